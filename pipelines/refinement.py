"""The stage's side of refinement (HQ-SMem, Kazemi et al., 2025): whose masks are refined, and where they go.

Which candidate is believed is decided in `refine_policy.py`; what makes candidates is a `Refiner`. Refined masks go
out, and into the tracker only past a stricter gate: feeding all of them back made the authors' tracker worse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from pipelines.grabcut import GrabCutRefiner
from pipelines.mask_maps import enlarge, shrink
from pipelines.refine import Refiner, SamHqRefiner, refine_mask
from pipelines.refine_embedded import EmbeddedRefiner
from pipelines.refine_policy import RefineConfig
from pipelines.roster import Roster
from pipelines.trackers.protocol import BaseTracker, Propagation
from streamvos.models.sam_hq import SamHqPredictor, SamHqSize
from streamvos.records import Frame


class Refinement:
    """Refines the tracked masks of one stream.

    Args:
        refiner: makes candidates; None: nothing is refined.
        config: see `RefineConfig`.
        tracker, roster: of the stage.
    """

    def __init__(self, refiner: Refiner | None, config: RefineConfig, tracker: BaseTracker, roster: Roster) -> None:
        self._refiner, self._config = refiner, config
        self._tracker, self._roster = tracker, roster

    def step(self, frame: Frame, propagation: Propagation, confident: Mapping[int, bool]) -> dict[int, np.ndarray]:
        """Refine the masks whose turn it is.

        Args:
            frame: the current frame, which the tracker has observed.
            propagation: the tracker's maps; what passes the stricter gate is written into them in place.
            confident: whether the appearance of each object may be learned in this frame.

        Returns:
            (H, W) bool masks of the objects whose refinement was accepted.
        """
        refined: dict[int, np.ndarray] = {}
        if self._refiner is None:
            return refined
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            if (frame.index + object_id) % self._config.every or not (probability > 0.5).any():
                continue
            self._refiner.set_image(frame.image, frame.index)
            coarse = enlarge(probability, frame.size)
            mask, decision = refine_mask(self._refiner, coarse, self._config, self._likeness(object_id))
            self._roster.tell(decision.action, frame.index, f"object {object_id}", decision.reason)
            if decision.action == "refine":
                refined[object_id] = mask
                if decision.feed_back and confident.get(object_id, False):
                    probability[:] = np.where(shrink(mask, probability.shape), np.maximum(probability, 0.9), 0.0)
        return refined

    def _likeness(self, object_id: int) -> Callable[[np.ndarray], float]:
        """How like the object's key frames a mask's content is, in [0, 1]."""
        known = self._tracker.appearances(object_id)

        def likeness(mask: np.ndarray) -> float:
            return float(np.clip((known @ self._tracker.appearance(mask)).max(), 0.0, 1.0))

        return likeness


def make_refiner(name: str, sam_size: SamHqSize, device: torch.device, seed: int) -> Refiner | None:
    """The refiner of that name, None for "none"; raises `MissingWeightsError` where its weights are not here."""
    if name == "none":
        return None
    if name == "grabcut":
        return GrabCutRefiner(seed=seed)
    if name == "embedded":
        return EmbeddedRefiner.shipped(device)
    return SamHqRefiner(SamHqPredictor(sam_size, None, device))
