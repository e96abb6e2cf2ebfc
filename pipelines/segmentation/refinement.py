"""The stage's side of refinement (HQ-SMem, Kazemi et al., 2025): whose masks are refined, and where they go.

When is decided in `refiners/triggers.py`, which candidate is taken in `refiners/policy.py`; what makes candidates is a
`Refiner`. Refined masks go out, and into the tracker only past a stricter gate: feeding all of them back made the
authors' tracker worse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from pipelines.refiners.config import RefineConfig
from pipelines.refiners.gate import Similarity, refine_mask
from pipelines.refiners.policy import GATE, GateRules
from pipelines.refiners.protocol import Refiner
from pipelines.refiners.triggers import (
    TRIGGERS,
    RefineRequest,
    TriggerRules,
    Usual,
    due,
    mask_facts,
    may_be_candidate,
    most_urgent,
)
from pipelines.segmentation.mask_maps import at_full_size, shrink
from pipelines.segmentation.object_table import ObjectTable
from pipelines.trackers.protocol import BaseTracker, Propagation
from streamvos.records import Frame

# Below and above, the word of a tracker whose confidence is calibrated stands: a refiner sees one picture, and takes
# the shadow under a car for the car (docs/model-cards/refiner.md).
_SURELY_OFF, _SURELY_ON = 0.1, 0.9
_FED_BACK = 0.9  # least probability of a refined mask that enters the tracker
_RING = 0.15  # width of what surrounds a mask, as a share of the square root of its area
_LEAST_RING_PX = 2


class Refinement:
    """Refines the tracked masks of one stream; its state is what each object's masks are usually like.

    Args:
        refiner: makes candidates; None: nothing is refined.
        config: see `RefineConfig`.
        tracker, table: of the stage.
        triggers, gate: see `TriggerRules`, `GateRules`.
    """

    def __init__(
        self,
        refiner: Refiner | None,
        config: RefineConfig,
        tracker: BaseTracker,
        table: ObjectTable,
        triggers: TriggerRules = TRIGGERS,
        gate: GateRules = GATE,
    ) -> None:
        self._refiner, self._config, self._triggers, self._gate = refiner, config, triggers, gate
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
            The maps with what passed the stricter gate, and (H, W) bool masks of the objects whose refinement was
            accepted.
        """
        refined: dict[int, np.ndarray] = {}
        if self._refiner is None:
            return propagation, refined
        maps, fed_back = dict(propagation.items()), {}
        requests = most_urgent(self._requests(frame.index, maps, confident), self._config.max_per_frame)
        full = {key: at_full_size(maps[key], frame.size) for key in (maps if requests else ())}
        coarse = {key: probability > 0.5 for key, probability in full.items()}
        for object_id, request in requests:
            mask, feeds_back = self._refine(frame, object_id, request, coarse)
            if mask is None:
                continue
            mask = refined[object_id] = self._where_undecided(mask, full[object_id])
            if feeds_back and confident.get(object_id, False):
                probability = maps[object_id]
                inside = shrink(mask, probability.shape)
                fed_back[object_id] = np.where(inside, np.maximum(probability, _FED_BACK), 0.0).astype(np.float32)
        return propagation.with_some(fed_back), refined

    def state_dict(self) -> dict[str, Any]:
        return {object_id: dataclasses.asdict(usual) for object_id, usual in self._usual.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._usual = {object_id: Usual(**numbers) for object_id, numbers in state.items()}

    def _requests(
        self, frame_index: int, maps: Mapping[int, np.ndarray], confident: Mapping[int, bool]
    ) -> list[tuple[int, RefineRequest]]:
        """What is due in this frame; the objects' usual numbers follow."""
        requests = []
        self._usual = {key: usual for key, usual in self._usual.items() if key in self._table.tracks}
        for object_id, probability in maps.items():
            facts = mask_facts(probability)
            if not facts.area_px:
                continue
            usual = self._usual.setdefault(object_id, Usual())
            learnable = confident.get(object_id, False) and may_be_candidate(frame_index, usual, self._triggers)
            novelty = self._novelty(object_id, probability) if learnable else None
            request = due(frame_index, object_id, facts, usual, novelty, self._config, self._triggers)
            usual.follow(facts)
            if request is not None and (request.trigger != "quick" or self._refiner.suits_quick(facts.box_px)):
                requests.append((object_id, request))
        return requests

    def _novelty(self, object_id: int, probability: np.ndarray) -> float:
        known = self._tracker.appearances(object_id)
        now = self._tracker.appearance(probability > 0.5)
        return 1.0 - float((known @ now).max()) if len(known) else 1.0

    def _refine(
        self, frame: Frame, object_id: int, request: RefineRequest, coarse: Mapping[int, np.ndarray]
    ) -> tuple[np.ndarray | None, bool]:
        """The accepted mask, None where it was rejected, and whether it may enter the tracker."""
        quick, usual = request.trigger == "quick", self._usual[object_id]
        usual.refined_frame = frame.index
        if not quick:
            usual.selected_frame = frame.index
        if request.trigger == "memory":
            usual.candidate_frame = frame.index
        self._refiner.set_image(frame.image, frame.index)
        similarity = None if quick else self._similarity(object_id)
        mask, decision = refine_mask(self._refiner, coarse[object_id], self._config, similarity, quick, self._gate)
        done = "refined the mask" if decision.action == "refine" else "left the mask as it is"
        reason = f"{done} of object {object_id} ({request.reason}): {decision.reason}"
        numbers = {**request.numbers, **decision.numbers}
        self._table.tell(decision.action, frame.index, f"object {object_id}", reason, numbers)
        if decision.action != "refine":
            return None, False
        for other, taken in coarse.items():
            if other != object_id:
                mask = mask & ~taken
        return mask, decision.feed_back and not quick

    def _where_undecided(self, mask: np.ndarray, probability: np.ndarray) -> np.ndarray:
        """(H, W) bool: a refined mask where the tracker's (H, W) probability leaves it open, else the tracker's."""
        if not self._tracker.confidence_is_calibrated:
            return mask
        return (mask & (probability >= _SURELY_OFF)) | (probability > _SURELY_ON)

    def _similarity(self, object_id: int) -> Callable[[np.ndarray], Similarity]:
        """How similar to the object's key frames a mask's content is, and a ring around it."""
        known = self._tracker.appearances(object_id)

        def of(mask: np.ndarray) -> float:
            return float(np.clip((known @ self._tracker.appearance(mask)).max(), 0.0, 1.0))

        def similarity(mask: np.ndarray) -> Similarity:
            ring = _ring(mask)
            return Similarity(of(mask), of(ring) if ring.any() else None)

        return similarity


def _ring(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: what lies around a mask that is not empty."""
    width = max(_LEAST_RING_PX, round(_RING * float(np.sqrt(np.count_nonzero(mask)))))
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    return (away > 0) & (away <= width)
