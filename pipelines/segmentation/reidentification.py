"""Where an object that is not seen may be: in what the tracker proposes for it, or wherever cells look like it.

The tracker reads its key frames in every frame, so that it proposes a lost object by itself when that is back; its
confidence there tells returns from accidents better than looks do. Where it proposes nothing that convinces, the best
region of the similarity map is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.segmentation.appearance import AppearanceModel
from pipelines.segmentation.identity_policy import (
    IdentityRules,
    IdentityState,
    MaskEvidence,
    Verdict,
    is_candidate,
    judge_proposal,
    judge_region,
)
from pipelines.segmentation.mask_maps import parts_of
from pipelines.segmentation.similarity_regions import best_region, cells_of, inside, overlaps

SHOWN = 0.9  # probability of what was verified
_BETTER_RIGHT = 0.25  # more similarity of a cell, with which an unseen object may claim it from one that holds it
# Of a proposal, at the working size; the latter of the usual area. Of what is small, half of that is enough.
_LEAST_PX, _LEAST_SHARE = 60, 0.05


@dataclass(frozen=True)
class Finding:
    """Where a lost object may be: (h, w) bool cells, and its (h, w) probability where it is believed."""

    verdict: Verdict
    cells: np.ndarray | None = None
    mask: np.ndarray | None = None


class Reidentification:
    """Its state: where each lost object was found in the frame before.

    Args:
        rules: see `IdentityRules`.
        appearance: of the stage; it has observed the current frame.
        is_calibrated: of the stage's tracker.
    """

    def __init__(self, rules: IdentityRules, appearance: AppearanceModel, is_calibrated: bool) -> None:
        self._rules, self._appearance, self._is_calibrated = rules, appearance, is_calibrated
        self.reset()

    def reset(self) -> None:
        self._last_found: dict[int, np.ndarray] = {}  # (h, w) bool cells

    def search(
        self,
        object_id: int,
        state: IdentityState,
        usual_px: float,
        proposal: np.ndarray,
        probabilities: np.ndarray,
        rows: Mapping[int, int],
    ) -> Finding:
        """Look for an object; `state` follows.

        Args:
            usual_px: its usual area at the working size.
            proposal: (h, w) probability that the tracker has for it.
            probabilities: (N, h, w) of all objects, without those that are not seen.
            rows: of the objects in there.
        """
        last = self._last_found.pop(object_id, None)
        found = self._in_proposal(object_id, state, usual_px, proposal, last)
        if found is None:
            found = self._by_similarity(
                object_id, state, usual_px, proposal, self._free(object_id, probabilities, rows), last
            )
        if state.streak:
            self._last_found[object_id] = found.cells
        return found

    def remove(self, object_id: int) -> None:
        """Nothing stays of an object; an unknown id is fine."""
        self._last_found.pop(object_id, None)

    def start_shot(self) -> None:
        """The places of the frame before are void."""
        self._last_found.clear()

    def state_dict(self) -> dict[int, np.ndarray]:
        return {object_id: cells.copy() for object_id, cells in self._last_found.items()}

    def load_state_dict(self, state: Mapping[int, np.ndarray]) -> None:
        self._last_found = {object_id: cells.copy() for object_id, cells in state.items()}

    def _in_proposal(
        self, object_id: int, state: IdentityState, usual_px: float, proposal: np.ndarray, last: np.ndarray | None
    ) -> Finding | None:
        """What the tracker proposes, where that may be the object."""
        mask = proposal > 0.5
        if mask.sum() < max(1, min(_LEAST_PX, 0.5 * usual_px), _LEAST_SHARE * usual_px):
            return None
        share = self._appearance.to_cells(mask)
        evidence = evidence_of(self._appearance, object_id, proposal, share, self._is_calibrated)
        if not is_candidate(state, evidence, self._rules):
            return None
        cells = cells_of(share)
        again = last is not None and overlaps(last, cells)
        verdict = judge_proposal(state, evidence, again, self._rules)
        return Finding(verdict, cells, np.where(mask, SHOWN, 0.0))

    def _by_similarity(
        self,
        object_id: int,
        state: IdentityState,
        usual_px: float,
        proposal: np.ndarray,
        free: np.ndarray,
        last: np.ndarray | None,
    ) -> Finding:
        """The region of the free cells that looks like the object most."""
        own = self._appearance.similarity()[object_id]
        side_cells = np.sqrt(usual_px) * np.sqrt(own.size / proposal.size)
        region = best_region(own, free, self._rules.region_similarity, side_cells)
        if region is None:
            state.streak = 0
            return Finding(Verdict("other", "not found: nothing looks like it"))
        again = last is not None and overlaps(last, region.cells)
        verdict = judge_region(state, region.mean, region.peak, again, self._rules)
        has_returned = verdict.belief == "returned"
        return Finding(verdict, region.cells, self._mask_of(own, region.cells, proposal) if has_returned else None)

    def _free(self, object_id: int, probabilities: np.ndarray, rows: Mapping[int, int]) -> np.ndarray:
        """(h, w) bool cells that no other object holds with better right."""
        similarity = self._appearance.similarity()
        free = np.ones(self._appearance.grid, bool)
        for other, row in rows.items():
            if other == object_id or not (probabilities[row] > 0.5).any():
                continue
            held = self._appearance.to_cells(probabilities[row] > 0.5) > 0.5
            if other in similarity:
                held &= similarity[object_id] < similarity[other] + _BETTER_RIGHT
            free &= ~held
        return free

    def _mask_of(self, own: np.ndarray, region: np.ndarray, proposal: np.ndarray) -> np.ndarray:
        """The found object's (h, w) probability: the tracker's proposal there where it agrees, else the region."""
        touching = [
            part
            for part in parts_of(proposal)
            if (cells := self._appearance.to_cells(part) > 0.5).any() and (cells & region).sum() > 0.5 * cells.sum()
        ]
        if touching:
            mask = np.logical_or.reduce(touching)
            covered = (self._appearance.to_cells(mask) > 0.5) & region
            if covered.sum() > 0.5 * region.sum():
                return np.where(mask, SHOWN, 0.0)
        near = np.where(region, own, 0.0).astype(np.float32)
        return np.where(self._appearance.to_pixels(near) > self._rules.region_similarity, SHOWN, 0.0)


def evidence_of(
    appearance: AppearanceModel, object_id: int, probability: np.ndarray, share: np.ndarray, is_calibrated: bool
) -> MaskEvidence:
    """What speaks for a mask as the object's.

    Args:
        probability: (h, w), somewhere above one half.
        share: (h, w) of each cell that is above one half (`AppearanceModel.to_cells`).
        is_calibrated: of the tracker that made it.
    """
    similarity = appearance.similarity()
    distractors = [(inside(one, share), other) for other, one in similarity.items() if other != object_id]
    distractor_similarity, distractor = max(distractors, default=(0.0, 0))
    confidence = float(probability[probability > 0.5].mean()) if is_calibrated else None
    return MaskEvidence(confidence, inside(similarity[object_id], share), distractor, distractor_similarity)
