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
from pipelines.segmentation.appearance import Appearance
from pipelines.segmentation.identity_policy import Evidence, IdentityConfig, Standing, Verdict, judge_tracked, note_sure
from pipelines.segmentation.mask_maps import keep_parts, parts_of, shrink, withdraw
from pipelines.segmentation.object_table import Roster
from pipelines.segmentation.reidentification import SHOWN, IdentitySearch, evidence_of
from pipelines.segmentation.similarity_regions import inside
from pipelines.trackers.protocol import BaseTracker, Propagation
from streamvos.records import Frame

_PERHAPS = 0.4  # likeness from which a cell may be an unseen object's: not learned as background
_NOT_YET_USUAL = 0.8  # likeness of an object's own cells before any were seen
_NEUTRAL = 0.35  # of the usual likeness, from which a cell does not speak against its object
_NEUTRAL_LEAD = 0.1  # by which a cell may fall behind that, or be liker to another
_WEIGHED = (-6.0, 0.0)  # least and most that the appearance may add to a logit: it is too coarse to draw edges


class Identity:
    """Its state: the appearances, and how each object stands.

    Args:
        config: see `IdentityConfig`.
        appearance: of the stage.
        tracker, roster: of the stage.
    """

    def __init__(self, config: IdentityConfig, appearance: Appearance, tracker: BaseTracker, roster: Roster) -> None:
        self._config, self._appearance = config, appearance
        self._tracker, self._roster = tracker, roster
        self._standings: dict[int, Standing] = {}
        self._search = IdentitySearch(config, appearance, tracker.confidence_is_calibrated)
        self._since_fit = 0

    def check(self, frame: Frame, propagation: Propagation) -> dict[int, Verdict]:
        """Hold the tracker's masks against the appearances, and look for the objects that are not seen.

        Args:
            frame: the current frame, which the tracker has observed.
            propagation: the tracker's maps; wrong masks are emptied, found ones put in, in place.

        Returns:
            A verdict for each object that can be recognised; none where the check is off.
        """
        if not self._config.check:
            return {}
        probabilities = propagation.probabilities
        self._appearance.observe(self._tracker.picture(), self._tracker.cells())
        self._drop_forgotten()
        rows = {key: row for row, key in enumerate(propagation.object_ids.tolist())}
        known = [key for key in rows if key in self._appearance.likeness()]
        self._weigh(probabilities, {key: rows[key] for key in known})
        verdicts = {}
        for object_id in known:
            if self._roster.lives[object_id].state == "tracked":
                verdicts[object_id] = self._hold(object_id, probabilities[rows[object_id]])
        sought = [key for key in known if key not in verdicts or not verdicts[key].visible]
        proposals = {key: probabilities[rows[key]].copy() for key in sought}
        for object_id in sought:
            withdraw(probabilities, rows[object_id])
        for object_id in sought:
            if self._roster.lives[object_id].prompted:  # others wait for the detector
                found = self._seek(frame, object_id, proposals[object_id], probabilities, rows)
                if found.visible or object_id not in verdicts:
                    verdicts[object_id] = found
        return verdicts

    def learn(
        self,
        propagation: Propagation,
        verdicts: Mapping[int, Verdict],
        confident: Mapping[int, bool],
        fresh: Mapping[int, np.ndarray],
        corrected: set[int],
    ) -> None:
        """Learn from the current frame, after all is decided.

        Args:
            propagation: the masks that are shown, but for those decided anew.
            verdicts: of `check`.
            confident: whether the tracker may learn each object.
            fresh: (H, W) bool masks of objects that were started or corrected in this frame.
            corrected: those of them whose earlier views may be wrong.
        """
        if not self._config.check:
            return
        self._drop_forgotten()
        self._since_fit += 1
        if not fresh and self._since_fit < self._config.fit_every:
            return
        self._since_fit = 0
        size, likeness = propagation.probabilities.shape[1:], self._appearance.likeness()
        shares = {key: self._appearance.to_cells(shrink(mask, size)) for key, mask in fresh.items()}
        for object_id, share in shares.items():
            self._appearance.vouch(object_id, share, object_id in corrected)
            self._standings[object_id] = Standing()
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            share = shares[object_id] = self._appearance.to_cells(probability > 0.5)
            belief = verdicts[object_id].belief if object_id in verdicts else "unknown"
            if belief in ("certain", "sure") and confident.get(object_id, False) and share.any():
                own = share if belief == "certain" else self._own_cells(object_id, share)
                self._appearance.follow(object_id, own)
                note_sure(self._standing(object_id), self._evidence(object_id, probability, share))
        self._appearance.learn_background(self._background(shares, likeness))
        self._appearance.fit()

    def start_shot(self) -> None:
        """What was counted from frame to frame begins anew; what objects look like stays."""
        self._search.start_shot()
        for standing in self._standings.values():
            standing.doubts = standing.streak = standing.trial = 0

    def stats(self) -> dict[str, MemoryStats]:
        """Size of the appearances; nothing where the check is off."""
        return {"appearance": self._appearance.stats()} if self._config.check else {}

    def state_dict(self) -> dict[str, Any]:
        return {
            "appearance": self._appearance.state_dict(),
            "standings": {object_id: standing.state_dict() for object_id, standing in self._standings.items()},
            "search": self._search.state_dict(),
            "since_fit": self._since_fit,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._appearance.load_state_dict(state["appearance"])
        self._standings = {object_id: Standing(**numbers) for object_id, numbers in state["standings"].items()}
        self._search.load_state_dict(state["search"])
        self._since_fit = state["since_fit"]

    def _weigh(self, probabilities: np.ndarray, rows: Mapping[int, int]) -> None:
        """Multiply, in place, the odds of each object by what the appearance says of every cell.

        It only ever speaks against: a cell that is hardly like the object, or that is more like another one.
        """
        if len(self._appearance.object_ids) < 2 or not rows or not self._config.weight:
            return  # alone, there is no one to be taken for, and new sides of it may look like nothing known
        background, likeness = 1.0 - probabilities.sum(axis=0), self._appearance.likeness()
        for object_id, row in rows.items():
            usual = self._standing(object_id).usual or _NOT_YET_USUAL
            rivals = [one for other, one in likeness.items() if other != object_id]
            against = np.max(rivals, axis=0, initial=_NEUTRAL * usual) - _NEUTRAL_LEAD
            evidence = self._config.weight * (likeness[object_id] - against)
            shift = self._appearance.to_pixels(np.clip(evidence, *_WEIGHED).astype(np.float32))
            probabilities[row] *= np.exp(shift)
        probabilities /= np.maximum(background + probabilities.sum(axis=0), 1e-6)

    def _hold(self, object_id: int, probability: np.ndarray) -> Verdict:
        """Whether a tracked object's mask is still the object; parts that are not are taken out in place."""
        own = self._appearance.likeness()[object_id]
        parts = parts_of(probability)
        if len(parts) > 1 and len(self._appearance.object_ids) > 1:
            fits = [inside(own, self._appearance.to_cells(part)) for part in parts]
            keep_parts(probability, parts, [fit >= min(self._config.min_likeness, max(fits)) for fit in fits])
        share = self._appearance.to_cells(probability > 0.5)
        if not share.any():
            return Verdict("unknown", "the tracker sees nothing")
        verdict = judge_tracked(self._standing(object_id), self._evidence(object_id, probability, share), self._config)
        if not verdict.visible and not self._roster.lives[object_id].prompted:
            return Verdict("doubt", verdict.reason)  # the detector decides
        return verdict

    def _seek(
        self,
        frame: Frame,
        object_id: int,
        proposal: np.ndarray,
        probabilities: np.ndarray,
        rows: Mapping[int, int],
    ) -> Verdict:
        """Look for an object that is not seen; where it is verified, its mask is put into the maps."""
        standing, usual_px = self._standing(object_id), self._roster.lives[object_id].usual_area_px
        before = standing.streak
        find = self._search.find(object_id, standing, usual_px, proposal, probabilities, rows)
        if find.verdict.belief == "returned":
            self._put(rows[object_id], find.mask, probabilities)
            self._roster.tell("merge", frame.index, f"object {object_id}", find.verdict.reason)
        elif before and not standing.streak:
            self._roster.tell("reject", frame.index, f"object {object_id}", find.verdict.reason)
        return find.verdict

    def _put(self, row: int, found: np.ndarray, probabilities: np.ndarray) -> None:
        """Write a found mask into the maps, at the cost of the others there."""
        taken = found > 0.5
        probabilities[:, taken] *= 1.0 - SHOWN
        probabilities[row] = found

    def _evidence(self, object_id: int, probability: np.ndarray, share: np.ndarray) -> Evidence:
        return evidence_of(self._appearance, object_id, probability, share, self._tracker.confidence_is_calibrated)

    def _own_cells(self, object_id: int, share: np.ndarray) -> np.ndarray:
        """The part of a mask that may be learned: what is like nothing of it, or more like another, has slid."""
        likeness = self._appearance.likeness()
        own = likeness[object_id]
        highest = np.max(list(likeness.values()), axis=0)
        return np.where((own >= highest) & (own > self._config.learn_likeness), share, 0.0)

    def _background(self, shares: Mapping[int, np.ndarray], likeness: Mapping[int, np.ndarray]) -> np.ndarray:
        """(h, w) share of cells that are no object's, as far as is known."""
        free = np.ones(self._appearance.grid, np.float32)
        for share in shares.values():
            free = np.where(share > 0.02, 0.0, free)
        for object_id, own in likeness.items():
            if object_id not in shares or not shares[object_id].any():
                free = np.where(own > _PERHAPS, 0.0, free)
        return free

    def _standing(self, object_id: int) -> Standing:
        return self._standings.setdefault(object_id, Standing())

    def _drop_forgotten(self) -> None:
        """Nothing stays of objects that are no longer followed."""
        for object_id in {*self._appearance.object_ids, *self._standings} - set(self._roster.lives):
            self._appearance.remove(object_id)
            self._standings.pop(object_id, None)
            self._search.forget(object_id)
