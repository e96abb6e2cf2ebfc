"""The stage's side of refinement (HQ-SMem, Kazemi et al., 2025): whose masks are refined, and where they go.

When is decided in `refiners/triggers.py`, which candidate is believed in `refiners/policy.py`; what makes candidates is
a `Refiner`. Refined masks go out, and into the tracker only past a stricter gate: feeding all of them back made the
authors' tracker worse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from pipelines.refiners.gate import Likeness, refine_mask
from pipelines.refiners.policy import RefineConfig
from pipelines.refiners.protocol import Refiner
from pipelines.refiners.triggers import Turn, Usual, due, mask_facts, may_be_candidate, most_urgent
from pipelines.segmentation.mask_maps import at_full_size, shrink
from pipelines.segmentation.object_table import ObjectTable
from pipelines.trackers.protocol import BaseTracker, Propagation
from streamvos.records import Frame

_FED_BACK = 0.9  # least probability of a refined mask that enters the tracker
_RING = 0.15  # width of what surrounds a mask, as a share of the square root of its area


class Refinement:
    """Refines the tracked masks of one stream; its state is what each object's masks are usually like.

    Args:
        refiner: makes candidates; None: nothing is refined.
        config: see `RefineConfig`.
        tracker, table: of the stage.
    """

    def __init__(self, refiner: Refiner | None, config: RefineConfig, tracker: BaseTracker, table: ObjectTable) -> None:
        self._refiner, self._config = refiner, config
        self._tracker, self._table = tracker, table
        self.reset()

    def reset(self) -> None:
        self._usual: dict[int, Usual] = {}

    def step(
        self, frame: Frame, propagation: Propagation, confident: Mapping[int, bool]
    ) -> tuple[Propagation, dict[int, np.ndarray]]:
        """Refine the masks whose turn it is.

        Args:
            frame: the current frame, which the tracker has observed.
            propagation: the tracker's maps.
            confident: whether the appearance of each object may be learned in this frame.

        Returns:
            The maps, with what passed the stricter gate; (H, W) bool masks of the objects whose refinement was taken.
        """
        refined: dict[int, np.ndarray] = {}
        if self._refiner is None:
            return propagation, refined
        maps, fed_back = dict(propagation.items()), {}
        turns = most_urgent(self._turns(frame.index, maps, confident), self._config.when)
        full = {key: at_full_size(maps[key], frame.size) for key in (maps if turns else ())}
        coarse = {key: probability > 0.5 for key, probability in full.items()}
        for object_id, turn in turns:
            mask, feeds_back = self._refine(frame, object_id, turn, coarse)
            if mask is None:
                continue
            mask = refined[object_id] = self._where_undecided(mask, full[object_id])
            if feeds_back and confident.get(object_id, False):
                raised = np.maximum(maps[object_id], np.float32(_FED_BACK))
                fed_back[object_id] = np.where(shrink(mask, raised.shape), raised, np.float32(0))
        return propagation.with_some(fed_back), refined

    def state_dict(self) -> dict[str, Any]:
        return {object_id: dataclasses.asdict(usual) for object_id, usual in self._usual.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._usual = {object_id: Usual(**numbers) for object_id, numbers in state.items()}

    def _turns(
        self, frame_index: int, maps: Mapping[int, np.ndarray], confident: Mapping[int, bool]
    ) -> list[tuple[int, Turn]]:
        """What is due in this frame; the objects' usual numbers follow."""
        when, turns = self._config.when, []
        self._usual = {key: usual for key, usual in self._usual.items() if key in self._table.tracks}
        for object_id, probability in maps.items():
            facts = mask_facts(probability)
            if not facts.area_px:
                continue
            usual = self._usual.setdefault(object_id, Usual())
            learnable = confident.get(object_id, False) and may_be_candidate(frame_index, usual, when)
            novelty = self._novelty(object_id, probability) if learnable else None
            turn = due(frame_index, object_id, facts, usual, novelty, when)
            usual.follow(facts)
            if turn is not None and (turn.trigger != "polish" or self._refiner.polishes(facts.box_px)):
                turns.append((object_id, turn))
        return turns

    def _novelty(self, object_id: int, probability: np.ndarray) -> float:
        known = self._tracker.appearances(object_id)
        now = self._tracker.appearance(probability > 0.5)
        return 1.0 - float((known @ now).max()) if len(known) else 1.0

    def _refine(
        self, frame: Frame, object_id: int, turn: Turn, coarse: Mapping[int, np.ndarray]
    ) -> tuple[np.ndarray | None, bool]:
        """The accepted mask, None where it was rejected, and whether it may enter the tracker."""
        quick, usual = turn.trigger == "polish", self._usual[object_id]
        usual.refined_frame = frame.index
        if not quick:
            usual.selected_frame = frame.index
        if turn.trigger == "memory":
            usual.candidate_frame = frame.index
        self._refiner.set_image(frame.image, frame.index)
        likeness = None if quick else self._likeness(object_id)
        mask, decision = refine_mask(self._refiner, coarse[object_id], self._config, likeness, quick)
        self._table.tell(decision.action, frame.index, f"object {object_id}", f"{turn.reason}; {decision.reason}")
        if decision.action != "refine":
            return None, False
        for other, taken in coarse.items():
            if other != object_id:
                mask = mask & ~taken
        return mask, decision.feed_back and not quick

    def _where_undecided(self, mask: np.ndarray, probability: np.ndarray) -> np.ndarray:
        """(H, W) bool: a refined mask where the tracker's (H, W) probability leaves it open, else the tracker's."""
        if not self._tracker.knows_doubt:
            return mask
        return (mask & (probability >= self._config.sure_off)) | (probability > self._config.sure_on)

    def _likeness(self, object_id: int) -> Callable[[np.ndarray], Likeness]:
        """How like the object's key frames a mask's content is, and a ring around it."""
        known = self._tracker.appearances(object_id)

        def of(mask: np.ndarray) -> float:
            return float(np.clip((known @ self._tracker.appearance(mask)).max(), 0.0, 1.0))

        def likeness(mask: np.ndarray) -> Likeness:
            ring = _ring(mask)
            return Likeness(of(mask), of(ring) if ring.any() else None)

        return likeness


def _ring(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: what lies around a mask that is not empty."""
    width = max(2, round(_RING * float(np.sqrt(np.count_nonzero(mask)))))
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    return (away > 0) & (away <= width)
