"""The instance level of the feature memory: what is expected where in the next frame.

MAMBA's instance level (Sun et al., 2401.09923, section 3.4) lets proposals attend over remembered proposals
by appearance. Ours attends by place: a thing seen before is carried on by its own motion, and the one anchor
that fits the expected place best takes over part of the remembered class evidence. An anchor without any
evidence of its own, or off the place, stays below the threshold: nothing is reported that the frame does not
support.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memory_bank.features import policy
from memory_bank.features.policy import FeatureMemoryConfig
from streamvos.boxes import box_iou
from streamvos.errors import InputError

_DTYPE = np.dtype(
    [
        ("box", np.float32, 4),  # xyxy pixels in frame `seen`
        ("velocity", np.float32, 4),  # pixels a frame, of each side
        ("score", np.float32),  # class evidence, the peak, slowly forgotten
        ("class_id", np.int64),
        ("object_id", np.int64),  # -1 where nobody named it
        ("seen", np.int64),  # frame of the last match
        ("unseen_reads", np.int64),  # degraded frames since it was last seen clearly
        ("missed", np.int64),  # frames without a match
    ]
)
_EVIDENCE_RANGE = (1e-4, 1 - 1e-4)  # keeps log-odds finite
_MOMENTUM = 0.5  # of the velocity
_FORGET = 0.3  # share of a lower score that enters the peak


class Expectations:
    """Preallocated slots for things; the first `count` are filled.

    Args:
        config: `max_things`, `recall`, `recall_decay`, `min_overlap`, `max_missed`, `max_missed_degraded`.
    """

    def __init__(self, config: FeatureMemoryConfig) -> None:
        self.config = config
        self.count = 0
        self.last_frame = 0
        self._slots = np.zeros(config.max_things if config.recall > 0 else 0, _DTYPE)

    @property
    def bytes(self) -> int:
        """What the filled slots take."""
        return self.count * _DTYPE.itemsize

    @property
    def capacity_bytes(self) -> int:
        """What all slots take."""
        return self._slots.nbytes

    def places(self, frame_index: int) -> np.ndarray:
        """(N, 4) float32 xyxy boxes where the things are expected in a frame, at constant velocity."""
        things = self._slots[: self.count]
        ahead = (frame_index - things["seen"]).astype(np.float32)
        return things["box"] + things["velocity"] * ahead[:, None]

    def recall(self, frame_index: int, boxes_xyxy: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Raise the class score of the one anchor that fits each expected thing best.

        Args:
            frame_index: the degraded frame that asks.
            boxes_xyxy: (A, 4) float32 pixels of all anchors.
            scores: (A, classes) float32 in [0, 1].

        Returns:
            Scores of the same shape, never lower than they came; at most one differs for each thing.
        """
        config, raised = self.config, scores.copy()
        overlaps = box_iou(boxes_xyxy, self.places(frame_index))
        for thing, overlap in zip(self._slots[: self.count], overlaps.T, strict=True):
            trust = policy.score_recall(
                overlap, int(thing["unseen_reads"]), config.recall, config.recall_decay, config.min_overlap
            )
            if not trust.any():
                continue
            own, remembered = _log_odds(scores[:, thing["class_id"]]), _log_odds(thing["score"])
            lifted = np.where(trust > 0, own + trust * np.maximum(remembered - own, 0), -np.inf)
            best = int(lifted.argmax())
            score = np.float32(1 / (1 + np.exp(-lifted[best])))
            raised[best, thing["class_id"]] = max(raised[best, thing["class_id"]], score)
        return raised

    def update(
        self,
        frame_index: int,
        boxes_xyxy: np.ndarray,
        class_ids: np.ndarray,
        scores: np.ndarray,
        object_ids: np.ndarray,
        degraded: bool,
    ) -> tuple[np.ndarray, list[tuple[str, str, str]]]:
        """Match what was found with what was expected; follow, take in and drop things.

        Args:
            frame_index: the frame, later than the one before.
            boxes_xyxy: (M, 4) float32 pixels, best first.
            class_ids: (M,) int64.
            scores: (M,) float32.
            object_ids: (M,) int64, -1 where nobody named the thing.
            degraded: a degraded frame moves things and takes in none.

        Returns:
            (M,) int64 names of the found: as given, else of the thing that it is, else -1; and the decisions
            as (action, entry, reason).
        """
        self.last_frame = frame_index
        if not len(self._slots):
            return object_ids, []
        rows = self._match(frame_index, boxes_xyxy, class_ids, object_ids)
        for found, row in enumerate(rows):
            if row >= 0:
                self._follow(row, frame_index, boxes_xyxy[found], scores[found], object_ids[found], degraded)
        names = np.where(rows >= 0, self._slots["object_id"][rows], object_ids)
        lonely = np.setdiff1d(np.arange(self.count), rows)
        self._slots["missed"][lonely] += 1
        self._slots["unseen_reads"][lonely] += 1
        limit = self.config.max_missed_degraded if degraded else self.config.max_missed
        gone = self._keep(self._slots["missed"][: self.count] <= limit)
        new = np.flatnonzero(rows < 0) if not degraded else np.zeros(0, np.int64)
        crowded = self._take_in(frame_index, boxes_xyxy[new], class_ids[new], scores[new], object_ids[new])
        decisions = []
        if gone or crowded:
            reason = f"{gone} not found for more than {limit} frames, {crowded} for want of room"
            decisions.append(("evict", "expected things", reason))
        if len(rows) and (len(new) or (rows >= 0).any()):
            reason = f"{int((rows >= 0).sum())} followed, {len(new)} new"
            decisions.append(("write", f"expected things, {self.count} of {len(self._slots)}", reason))
        return names, decisions

    def name(self, row: int, object_id: int) -> None:
        """Give the thing in a row of `places` a name."""
        if not 0 <= row < self.count:
            raise InputError(f"expected things: row within 0..{self.count - 1}, got {row}")
        self._slots["object_id"][row] = object_id

    def remove(self, object_id: int) -> int:
        """Forget the things of one object; returns how many there were."""
        return self._keep(self._slots["object_id"][: self.count] != object_id)

    def reset(self) -> None:
        """Expect nothing."""
        self._keep(np.zeros(self.count, bool))

    def state_dict(self) -> dict[str, Any]:
        things = {name: self._slots[name][: self.count].copy() for name in _DTYPE.names}
        return {"things": things, "last_frame": self.last_frame}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        count = len(state["things"]["seen"])
        if count > len(self._slots):
            raise InputError(
                f"feature memory snapshot: expected at most {len(self._slots)} things, got {count}; "
                "resume with the configuration that wrote it"
            )
        self.reset()
        for name in _DTYPE.names:
            self._slots[name][:count] = state["things"][name]
        self.count, self.last_frame = count, state["last_frame"]

    def _match(
        self, frame_index: int, boxes_xyxy: np.ndarray, class_ids: np.ndarray, object_ids: np.ndarray
    ) -> np.ndarray:
        """For each found box, best first, the row of the thing that it is, or -1."""
        things = self._slots[: self.count]
        overlaps = box_iou(boxes_xyxy, self.places(frame_index))
        rows = np.full(len(boxes_xyxy), -1, np.int64)
        free = np.ones(self.count, bool)
        for found, overlap in enumerate(overlaps if self.count else ()):
            named = (object_ids[found] < 0) | (things["object_id"] < 0) | (things["object_id"] == object_ids[found])
            fits = np.where(free & named & (things["class_id"] == class_ids[found]), overlap, 0.0)
            row = int(fits.argmax())
            if fits[row] > self.config.min_overlap:
                rows[found], free[row] = row, False
        return rows

    def _follow(
        self, row: int, frame_index: int, box: np.ndarray, score: float, object_id: int, degraded: bool
    ) -> None:
        thing = self._slots[row : row + 1]
        elapsed = max(frame_index - int(thing["seen"][0]), 1)
        thing["velocity"] = _MOMENTUM * thing["velocity"] + (1 - _MOMENTUM) * (box - thing["box"]) / elapsed
        thing["box"], thing["seen"], thing["missed"] = box, frame_index, 0
        if object_id >= 0:
            thing["object_id"] = object_id
        if degraded:
            thing["unseen_reads"] += 1
        else:
            thing["score"] = np.maximum(score, (1 - _FORGET) * thing["score"] + _FORGET * score)
            thing["unseen_reads"] = 0

    def _take_in(self, frame_index: int, boxes: np.ndarray, classes: Any, scores: Any, names: Any) -> int:
        """Fill slots with new things, best first; returns how many old ones had to make room."""
        boxes, classes, scores, names = (column[: len(self._slots)] for column in (boxes, classes, scores, names))
        crowded = max(self.count + len(boxes) - len(self._slots), 0)
        if crowded:
            oldest = np.argsort(self._slots["seen"][: self.count], kind="stable")[:crowded]
            self._keep(~np.isin(np.arange(self.count), oldest))
        for box, class_id, score, object_id in zip(boxes, classes, scores, names, strict=True):
            self._slots[self.count] = (box, np.zeros(4), score, class_id, object_id, frame_index, 0, 0)
            self.count += 1
        return crowded

    def _keep(self, wanted: np.ndarray) -> int:
        """Close the gaps that unwanted things leave; returns how many went."""
        kept = self._slots[: self.count][wanted]
        gone = self.count - len(kept)
        self._slots[: len(kept)] = kept
        self._slots[len(kept) : self.count] = 0
        self.count = len(kept)
        return gone


def _log_odds(scores: Any) -> Any:
    scores = np.clip(scores, *_EVIDENCE_RANGE)
    return np.log(scores / (1 - scores))
