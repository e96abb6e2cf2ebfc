"""The stage's side of the appearance model: masks are held against it, lost objects are looked for by it.

A mask that has slid onto something else is hidden, so that the tracker neither shows nor learns it. An object that is
not seen is looked for in every frame, in the tracker's proposals and wherever cells look like it; what is found is
shown once it was verified, mostly in several frames. Meanwhile nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from memory_bank.protocol import MemoryStats
from pipelines.segmentation.appearance import AppearanceModel
from pipelines.segmentation.identity_policy import (
    IdentityRules,
    IdentityState,
    MaskEvidence,
    Verdict,
    judge_tracked,
    note_sure,
)
from pipelines.segmentation.mask_maps import parts_of, shrink, withdrawn, without_parts
from pipelines.segmentation.object_table import ObjectTable
from pipelines.segmentation.reidentification import SHOWN, Reidentification, evidence_of
from pipelines.segmentation.similarity_regions import inside
from pipelines.trackers.protocol import BaseTracker, Propagation
from streamvos.records import Frame, MemoryEvent

_PERHAPS = 0.4  # similarity from which a cell may be an unseen object's: not learned as background
_NOT_YET_USUAL = 0.8  # similarity of an object's own cells before any were seen
_NEUTRAL = 0.35  # of the usual similarity, from which a cell does not speak against its object
_NEUTRAL_LEAD = 0.1  # by which a cell may fall behind that, or be liker to another
_WEIGHED = (-6.0, 0.0)  # least and most that the appearance may add to a logit: it is too coarse to draw edges


class Identity:
    """Its state: the appearances, and how sure each object's identity is.

    Args:
        is_on: off: the tracker is believed, and a lost object waits for it.
        appearance: of the stage.
        tracker, table: of the stage.
        rules: see `IdentityRules`.
    """

    def __init__(
        self,
        is_on: bool,
        appearance: AppearanceModel,
        tracker: BaseTracker,
        table: ObjectTable,
        rules: IdentityRules | None = None,
    ) -> None:
        self._is_on, self._rules = is_on, rules or IdentityRules()
        self._appearance, self._tracker, self._table = appearance, tracker, table
        self._reidentification = Reidentification(self._rules, appearance, tracker.confidence_is_calibrated)
        self.reset()

    def reset(self) -> None:
        self._appearance.reset()
        self._reidentification.reset()
        self._states: dict[int, IdentityState] = {}
        self._since_fit = 0

    def check(self, frame: Frame, propagation: Propagation) -> tuple[Propagation, dict[int, Verdict]]:
        """Hold the tracker's masks against the appearances, and look for the objects that are not seen.

        Args:
            frame: the current frame, which the tracker has observed.
            propagation: the tracker's maps.

        Returns:
            The maps, wrong masks emptied and found ones put in; and a verdict for each object that can be recognised,
            none where the check is off.
        """
        if not self._is_on:
            return propagation, {}
        maps = propagation.maps()
        self._appearance.observe(self._tracker.picture(), self._tracker.cells())
        self._drop_forgotten()
        rows = {key: row for row, key in enumerate(propagation.object_ids.tolist())}
        known = [key for key in rows if key in self._appearance.similarity()]
        maps = self._reweighted(maps, {key: rows[key] for key in known})
        verdicts = {}
        for object_id in known:
            if self._table.tracks[object_id].state == "tracked":
                maps[rows[object_id]], verdicts[object_id] = self._verify(object_id, maps[rows[object_id]])
        unseen = [key for key in known if key not in verdicts or not verdicts[key].visible]
        proposals = {key: maps[rows[key]].copy() for key in unseen}
        maps = withdrawn(maps, [rows[object_id] for object_id in unseen]) if unseen else maps
        for object_id in unseen:
            if self._table.tracks[object_id].prompted:  # others wait for the detector
                maps, found = self._search_for(frame, object_id, proposals[object_id], maps, rows)
                if found.visible or object_id not in verdicts:
                    verdicts[object_id] = found
        return propagation.with_maps(maps), verdicts

    def learn(
        self,
        frame_index: int,
        propagation: Propagation,
        verdicts: Mapping[int, Verdict],
        confident: Mapping[int, bool],
        decided: Mapping[int, np.ndarray],
        corrected: set[int],
    ) -> None:
        """Learn from the current frame, after all is decided.

        Args:
            frame_index: of the current frame.
            propagation: the masks that are shown, but for those decided anew.
            verdicts: of `check`.
            confident: whether the tracker may learn each object.
            decided: (H, W) bool masks of objects that were started or corrected in this frame.
            corrected: those of them whose earlier views may be wrong.
        """
        if not self._is_on:
            return
        self._drop_forgotten()
        self._since_fit += 1
        if not decided and self._since_fit < self._rules.fit_every:
            return
        self._since_fit = 0
        size, similarity = propagation.size, self._appearance.similarity()
        shares = {key: self._appearance.to_cells(shrink(mask, size)) for key, mask in decided.items()}
        for object_id, share in shares.items():
            self._appearance.confirm(frame_index, object_id, share, object_id in corrected)
            self._states[object_id] = IdentityState()
        for object_id, probability in propagation.items():
            share = shares[object_id] = self._appearance.to_cells(probability > 0.5)
            belief = verdicts[object_id].belief if object_id in verdicts else "unknown"
            if belief in ("certain", "sure") and confident.get(object_id, False) and share.any():
                own = share if belief == "certain" else self._own_cells(object_id, share)
                self._appearance.follow(frame_index, object_id, own)
                note_sure(self._state_of(object_id), self._evidence(object_id, probability, share))
        self._appearance.learn_background(self._background(shares, similarity))
        self._appearance.fit()

    def start_shot(self) -> None:
        """What was counted from frame to frame begins anew; what objects look like stays."""
        self._reidentification.start_shot()
        for state in self._states.values():
            state.doubts = state.streak = state.trial = 0

    def stats(self) -> dict[str, MemoryStats]:
        """Size of the appearances; nothing where the check is off."""
        return {self._appearance.memory.name: self._appearance.memory.stats()} if self._is_on else {}

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        return self._appearance.memory.drain_events()

    def state_dict(self) -> dict[str, Any]:
        return {
            "appearance": self._appearance.state_dict(),
            "states": {object_id: state.state_dict() for object_id, state in self._states.items()},
            "search": self._reidentification.state_dict(),
            "since_fit": self._since_fit,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._appearance.load_state_dict(state["appearance"])
        self._states = {object_id: IdentityState(**numbers) for object_id, numbers in state["states"].items()}
        self._reidentification.load_state_dict(state["search"])
        self._since_fit = state["since_fit"]

    def _reweighted(self, maps: np.ndarray, rows: Mapping[int, int]) -> np.ndarray:
        """(N, h, w) shares, the odds of each object multiplied by what the appearance says of every cell.

        It only ever speaks against: a cell that is hardly like the object, or that is more like another one.
        """
        if len(self._appearance.object_ids) < 2 or not rows or not self._rules.weight:
            return maps  # alone, there is no one to be taken for, and new sides of it may look like nothing known
        background, similarity, maps = 1.0 - maps.sum(axis=0), self._appearance.similarity(), maps.copy()
        for object_id, row in rows.items():
            usual = self._state_of(object_id).usual or _NOT_YET_USUAL
            distractors = [one for other, one in similarity.items() if other != object_id]
            against = np.max(distractors, axis=0, initial=_NEUTRAL * usual) - _NEUTRAL_LEAD
            evidence = self._rules.weight * (similarity[object_id] - against)
            shift = self._appearance.to_pixels(np.clip(evidence, *_WEIGHED).astype(np.float32))
            maps[row] *= np.exp(shift)
        maps /= np.maximum(background + maps.sum(axis=0), 1e-6)
        return maps

    def _verify(self, object_id: int, probability: np.ndarray) -> tuple[np.ndarray, Verdict]:
        """A tracked object's mask without the parts that are not the object, and whether the rest still is."""
        own = self._appearance.similarity()[object_id]
        parts = parts_of(probability)
        if len(parts) > 1 and len(self._appearance.object_ids) > 1:
            fits = [inside(own, self._appearance.to_cells(part)) for part in parts]
            least = min(self._rules.min_similarity, max(fits))
            probability = without_parts(probability, [one for one, fit in zip(parts, fits, strict=True) if fit < least])
        share = self._appearance.to_cells(probability > 0.5)
        if not share.any():
            return probability, Verdict("unknown", "the tracker sees nothing")
        verdict = judge_tracked(self._state_of(object_id), self._evidence(object_id, probability, share), self._rules)
        if not verdict.visible and not self._table.tracks[object_id].prompted:
            return probability, Verdict("doubt", verdict.reason)  # the detector decides
        return probability, verdict

    def _search_for(
        self, frame: Frame, object_id: int, proposal: np.ndarray, maps: np.ndarray, rows: Mapping[int, int]
    ) -> tuple[np.ndarray, Verdict]:
        """Look for an object that is not seen: (N, h, w) shares, with its mask where it is verified; the verdict."""
        state, usual_px = self._state_of(object_id), self._table.tracks[object_id].usual_area_px
        before = state.streak
        found = self._reidentification.search(object_id, state, usual_px, proposal, maps, rows)
        if found.verdict.belief == "returned":
            maps = _with_mask(maps, rows[object_id], found.mask)
            self._table.tell("merge", frame.index, f"object {object_id}", found.verdict.reason)
        elif before and not state.streak:
            self._table.tell("reject", frame.index, f"object {object_id}", found.verdict.reason)
        return maps, found.verdict

    def _evidence(self, object_id: int, probability: np.ndarray, share: np.ndarray) -> MaskEvidence:
        return evidence_of(self._appearance, object_id, probability, share, self._tracker.confidence_is_calibrated)

    def _own_cells(self, object_id: int, share: np.ndarray) -> np.ndarray:
        """The part of a mask that may be learned: what is like nothing of it, or more like another, has slid."""
        similarity = self._appearance.similarity()
        own = similarity[object_id]
        highest = np.max(list(similarity.values()), axis=0)
        return np.where((own >= highest) & (own > self._rules.learn_similarity), share, 0.0)

    def _background(self, shares: Mapping[int, np.ndarray], similarity: Mapping[int, np.ndarray]) -> np.ndarray:
        """(h, w) share of cells that are no object's, as far as is known."""
        free = np.ones(self._appearance.grid, np.float32)
        for share in shares.values():
            free = np.where(share > 0.02, 0.0, free)
        for object_id, own in similarity.items():
            if object_id not in shares or not shares[object_id].any():
                free = np.where(own > _PERHAPS, 0.0, free)
        return free

    def _state_of(self, object_id: int) -> IdentityState:
        return self._states.setdefault(object_id, IdentityState())

    def _drop_forgotten(self) -> None:
        """Nothing stays of objects that are no longer followed."""
        for object_id in {*self._appearance.object_ids, *self._states} - set(self._table.tracks):
            self._appearance.remove(object_id)
            self._states.pop(object_id, None)
            self._reidentification.remove(object_id)


def _with_mask(maps: np.ndarray, row: int, found: np.ndarray) -> np.ndarray:
    """(N, h, w) shares with a found (h, w) mask, at the cost of the others there."""
    maps, taken = maps.copy(), found > 0.5
    maps[:, taken] *= 1.0 - SHOWN
    maps[row] = found
    return maps
