"""Where an object that is not seen may be: in what the tracker proposes for it, or wherever cells look like it.

The tracker reads its key frames in every frame, so that it proposes a lost object by itself when that is back; its
confidence there tells returns from accidents better than looks do. Where it proposes nothing that convinces, the best
region of the likeness map is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.segmentation.appearance import Appearance
from pipelines.segmentation.identity_policy import (
    Evidence,
    IdentityConfig,
    Standing,
    Verdict,
    is_candidate,
    judge_proposal,
    judge_region,
)
from pipelines.segmentation.mask_maps import parts_of
from pipelines.segmentation.similarity_regions import best_region, cells_of, inside, overlaps

SHOWN = 0.9  # probability of what was verified
_BETTER_RIGHT = 0.25  # more likeness of a cell, with which an unseen object may claim it from one that holds it
# Of a proposal, at the working size; the latter of the usual area. Of what is small, half of that is enough.
_LEAST_PX, _LEAST_SHARE = 60, 0.05


@dataclass(frozen=True)
class Find:
    """Where a lost object may be: (h, w) bool cells, and its (h, w) probability where it is believed."""

    verdict: Verdict
    cells: np.ndarray | None = None
    mask: np.ndarray | None = None


class IdentitySearch:
    """Its state: where each lost object was found in the frame before.

    Args:
        config: see `IdentityConfig`.
        appearance: of the stage; it has observed the current frame.
        knows_doubt: of the stage's tracker.
    """

    def __init__(self, config: IdentityConfig, appearance: Appearance, knows_doubt: bool) -> None:
        self._config, self._appearance, self._knows_doubt = config, appearance, knows_doubt
        self._sought: dict[int, np.ndarray] = {}  # (h, w) bool cells

    def find(
        self,
        object_id: int,
        standing: Standing,
        usual_px: float,
        proposal: np.ndarray,
        probabilities: np.ndarray,
        rows: Mapping[int, int],
    ) -> Find:
        """Look for an object; `standing` follows.

        Args:
            usual_px: its usual area at the working size.
            proposal: (h, w) probability that the tracker has for it.
            probabilities: (N, h, w) of all objects, without those that are not seen.
            rows: of the objects in there.
        """
        last = self._sought.pop(object_id, None)
        find = self._in_proposal(object_id, standing, usual_px, proposal, last)
        if find is None:
            find = self._by_likeness(
                object_id, standing, usual_px, proposal, self._free(object_id, probabilities, rows), last
            )
        if standing.streak:
            self._sought[object_id] = find.cells
        return find

    def forget(self, object_id: int) -> None:
        """Nothing stays of an object; an unknown id is fine."""
        self._sought.pop(object_id, None)

    def start_shot(self) -> None:
        """The places of the frame before are void."""
        self._sought.clear()

    def state_dict(self) -> dict[int, np.ndarray]:
        return {object_id: cells.copy() for object_id, cells in self._sought.items()}

    def load_state_dict(self, state: Mapping[int, np.ndarray]) -> None:
        self._sought = {object_id: cells.copy() for object_id, cells in state.items()}

    def _in_proposal(
        self, object_id: int, standing: Standing, usual_px: float, proposal: np.ndarray, last: np.ndarray | None
    ) -> Find | None:
        """What the tracker proposes, where that may be the object."""
        mask = proposal > 0.5
        if mask.sum() < max(1, min(_LEAST_PX, 0.5 * usual_px), _LEAST_SHARE * usual_px):
            return None
        share = self._appearance.to_cells(mask)
        evidence = evidence_of(self._appearance, object_id, proposal, share, self._knows_doubt)
        if not is_candidate(standing, evidence, self._config):
            return None
        cells = cells_of(share)
        again = last is not None and overlaps(last, cells)
        verdict = judge_proposal(standing, evidence, again, self._config)
        return Find(verdict, cells, np.where(mask, SHOWN, 0.0))

    def _by_likeness(
        self,
        object_id: int,
        standing: Standing,
        usual_px: float,
        proposal: np.ndarray,
        free: np.ndarray,
        last: np.ndarray | None,
    ) -> Find:
        """The region of the free cells that looks like the object most."""
        own = self._appearance.likeness()[object_id]
        side_cells = np.sqrt(usual_px) * np.sqrt(own.size / proposal.size)
        region = best_region(own, free, self._config.region_likeness, side_cells)
        if region is None:
            standing.streak = 0
            return Find(Verdict("other", "not found: nothing looks like it"))
        again = last is not None and overlaps(last, region.cells)
        verdict = judge_region(standing, region.mean, region.peak, again, self._config)
        has_returned = verdict.belief == "returned"
        return Find(verdict, region.cells, self._mask_of(own, region.cells, proposal) if has_returned else None)

    def _free(self, object_id: int, probabilities: np.ndarray, rows: Mapping[int, int]) -> np.ndarray:
        """(h, w) bool cells that no other object holds with better right."""
        likeness = self._appearance.likeness()
        free = np.ones(self._appearance.grid, bool)
        for other, row in rows.items():
            if other == object_id or not (probabilities[row] > 0.5).any():
                continue
            held = self._appearance.to_cells(probabilities[row] > 0.5) > 0.5
            if other in likeness:
                held &= likeness[object_id] < likeness[other] + _BETTER_RIGHT
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
        return np.where(self._appearance.to_pixels(near) > self._config.region_likeness, SHOWN, 0.0)


def evidence_of(
    appearance: Appearance, object_id: int, probability: np.ndarray, share: np.ndarray, knows_doubt: bool
) -> Evidence:
    """What speaks for a mask as the object's.

    Args:
        probability: (h, w), somewhere above one half.
        share: (h, w) of each cell that is above one half (`Appearance.to_cells`).
        knows_doubt: of the tracker that made it.
    """
    likeness = appearance.likeness()
    rivals = [(inside(one, share), other) for other, one in likeness.items() if other != object_id]
    rival_likeness, rival = max(rivals, default=(0.0, 0))
    confidence = float(probability[probability > 0.5].mean()) if knows_doubt else None
    return Evidence(confidence, inside(likeness[object_id], share), rival, rival_likeness)
