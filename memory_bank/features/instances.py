"""The instance level of the feature memory: where each instance is expected in the next frame.

MAMBA's instance level (Sun et al., 2401.09923, section 3.4) lets proposals attend over remembered proposals by
appearance. Ours attends by place: an instance seen before is moved on at constant velocity, and the one anchor that
fits the expected place best takes over part of the remembered class evidence. An anchor without any evidence of its
own, or off the place, stays below the threshold: nothing is reported that the frame does not support.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from memory_bank.features import policy
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.protocol import MemoryStats
from streamvos.answers import plural
from streamvos.boxes import box_iou
from streamvos.errors import InputError
from streamvos.records import MemoryAction, MemoryEvent

_DTYPE = np.dtype(
    [
        ("box", np.float32, 4),  # xyxy pixels in frame `seen`
        ("velocity", np.float32, 4),  # pixels a frame, of each side
        ("score", np.float32),  # class evidence, the peak, slowly forgotten
        ("class_id", np.int64),
        ("object_id", np.int64),  # -1 where it is no object that is followed
        ("seen", np.int64),  # frame of the last match
        ("unclear_runs", np.int64),  # detector runs since it was last found on a clean frame
        ("missed", np.int64),  # detector runs in a row without a match
    ]
)
_EVIDENCE_RANGE = (1e-4, 1 - 1e-4)  # keeps log-odds finite
# Chosen together with the limits in `policy.py`.
_MOMENTUM = 0.5  # of the velocity
_FORGET = 0.3  # share of a lower score that enters the peak


class ExpectedInstances:
    """Preallocated slots for instances; the first `count` are filled.

    Args:
        config: `max_instances` and `recall`; with a recall of 0 there are no slots.
        budget_bytes: must hold all slots.
        class_names: of class ids, for the reasons that people read.

    Raises:
        InputError: the budget does not hold `max_instances`.
    """

    name = "expected_places"

    def __init__(self, config: FeatureMemoryConfig, budget_bytes: int, class_names: Mapping[int, str]) -> None:
        self.config, self.class_names = config, class_names
        self.count = 0
        self._slots = np.zeros(config.max_instances if config.recall > 0 else 0, _DTYPE)
        if self.capacity_bytes > budget_bytes:
            raise InputError(
                f"feature memory: {budget_bytes} bytes do not hold {config.max_instances} expected instances of "
                f"{_DTYPE.itemsize} bytes; raise memory.features_mib or lower detect.features.max_instances"
            )
        self._events: list[MemoryEvent] = []

    @property
    def capacity_bytes(self) -> int:
        """What all slots take."""
        return self._slots.nbytes

    def places(self, frame_index: int) -> np.ndarray:
        """(N, 4) float32 xyxy boxes where the instances are expected in a frame, at constant velocity."""
        known = self._slots[: self.count]
        ahead = (frame_index - known["seen"]).astype(np.float32)
        return known["box"] + known["velocity"] * ahead[:, None]

    def read(self, frame_index: int, boxes_xyxy: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Raise the class score of the one anchor that fits each expected place best.

        Args:
            frame_index: the degraded frame that asks.
            boxes_xyxy: (A, 4) float32 pixels of all anchors.
            scores: (A, classes) float32 in [0, 1].

        Returns:
            Scores of the same shape, never lower than they came; at most one differs for each instance.
        """
        raised = scores.copy()
        overlaps = box_iou(boxes_xyxy, self.places(frame_index))
        for known, overlap in zip(self._slots[: self.count], overlaps.T, strict=True):
            trust = policy.score_recall(overlap, int(known["unclear_runs"]), self.config.recall)
            if not trust.any():
                continue
            own, remembered = _log_odds(scores[:, known["class_id"]]), _log_odds(known["score"])
            lifted = np.where(trust > 0, own + trust * np.maximum(remembered - own, 0), -np.inf)
            best = int(lifted.argmax())
            score = np.float32(1 / (1 + np.exp(-lifted[best])))
            raised[best, known["class_id"]] = max(raised[best, known["class_id"]], score)
        return raised

    def write(
        self,
        frame_index: int,
        boxes_xyxy: np.ndarray,
        class_ids: np.ndarray,
        scores: np.ndarray,
        object_ids: np.ndarray,
        degraded: bool,
    ) -> np.ndarray:
        """Match what was found with what was expected; follow known instances, take in new ones, drop missed ones.

        Args:
            frame_index: the frame, later than the one before.
            boxes_xyxy: (M, 4) float32 pixels, best first.
            class_ids: (M,) int64.
            scores: (M,) float32.
            object_ids: (M,) int64, -1 where the instance is no object that is followed.
            degraded: a degraded frame moves instances and takes in none.

        Returns:
            (M,) int64 object ids of the found: as given, else of the instance that it is, else -1.
        """
        if not len(self._slots):
            return object_ids
        rows = self._match(frame_index, boxes_xyxy, class_ids, object_ids)
        for found, row in enumerate(rows):
            if row >= 0:
                self._follow(row, frame_index, boxes_xyxy[found], scores[found], object_ids[found], degraded)
        object_ids_known = np.where(rows >= 0, self._slots["object_id"][rows], object_ids)
        unmatched = np.setdiff1d(np.arange(self.count), rows)
        self._slots["missed"][unmatched] += 1
        self._slots["unclear_runs"][unmatched] += 1
        followed = self._slots["class_id"][rows[rows >= 0]]
        if len(followed):
            reason = f"{len(followed)} of {self.count} found where they were expected, and followed"
            self._tell("merge", frame_index, f"expected places of {self._listed(followed)}", reason)
        self._drop_missed(frame_index, degraded)
        if not degraded:
            new = rows < 0
            self._take_in(frame_index, boxes_xyxy[new], class_ids[new], scores[new], object_ids[new])
        return object_ids_known

    def assign(self, row: int, object_id: int) -> None:
        """Say which object the instance in a row of `places` is."""
        self._slots["object_id"][row] = object_id

    def start_shot(self, frame_index: int) -> None:
        """A cut: nothing is expected anywhere any more."""
        if self.count:
            entry = f"expected places of {self._listed(self._slots['class_id'][: self.count])}"
            reason = f"a cut: all {self.count} are void" if self.count > 1 else "a cut: it is void"
            self._keep(np.zeros(self.count, bool))
            self._tell("evict", frame_index, entry, reason)

    def remove(self, object_id: int, frame_index: int = -1) -> None:
        """Forget the instances of one object."""
        mine = self._slots["object_id"][: self.count] == object_id
        entries = self._entries(mine)
        self._keep(~mine)
        for entry in entries:
            self._tell("remove", frame_index, entry, "removed on request")

    def reset(self) -> None:
        """Expect nothing; events are forgotten, too."""
        self._keep(np.zeros(self.count, bool))
        self._events.clear()

    def stats(self) -> MemoryStats:
        """Entries are expected places."""
        return MemoryStats(self.count, self._bytes(), self.capacity_bytes)

    def state_dict(self) -> dict[str, Any]:
        return {name: self._slots[name][: self.count].copy() for name in _DTYPE.names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        count = len(state["seen"])
        if count > len(self._slots):
            raise InputError(
                f"feature memory snapshot: expected at most {len(self._slots)} instances, got {count}; "
                "resume with the configuration that wrote it"
            )
        self.reset()
        for name in _DTYPE.names:
            self._slots[name][:count] = state[name]
        self.count = count

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _match(
        self, frame_index: int, boxes_xyxy: np.ndarray, class_ids: np.ndarray, object_ids: np.ndarray
    ) -> np.ndarray:
        """For each found box, best first, the row of the instance that it is, or -1."""
        known = self._slots[: self.count]
        overlaps = box_iou(boxes_xyxy, self.places(frame_index))
        rows = np.full(len(boxes_xyxy), -1, np.int64)
        free = np.ones(self.count, bool)
        for found, overlap in enumerate(overlaps if self.count else ()):
            same = (object_ids[found] < 0) | (known["object_id"] < 0) | (known["object_id"] == object_ids[found])
            fits = np.where(free & same & (known["class_id"] == class_ids[found]), overlap, 0.0)
            row = int(fits.argmax())
            if fits[row] > policy.MIN_OVERLAP:
                rows[found], free[row] = row, False
        return rows

    def _follow(
        self, row: int, frame_index: int, box: np.ndarray, score: float, object_id: int, degraded: bool
    ) -> None:
        known = self._slots[row : row + 1]
        elapsed = max(frame_index - int(known["seen"][0]), 1)
        known["velocity"] = _MOMENTUM * known["velocity"] + (1 - _MOMENTUM) * (box - known["box"]) / elapsed
        known["box"], known["seen"], known["missed"] = box, frame_index, 0
        if object_id >= 0:
            known["object_id"] = object_id
        if degraded:
            known["unclear_runs"] += 1
        else:
            known["score"] = np.maximum(score, (1 - _FORGET) * known["score"] + _FORGET * score)
            known["unclear_runs"] = 0

    def _drop_missed(self, frame_index: int, degraded: bool) -> None:
        limit = policy.max_missed(degraded)
        missed = self._slots["missed"][: self.count] > limit
        quality = "degraded" if degraded else "clean"
        reason = f"missed by more than {limit} detector runs in a row, the limit on {quality} frames"
        self._evict(frame_index, missed, reason)

    def _take_in(
        self, frame_index: int, boxes: np.ndarray, class_ids: np.ndarray, scores: np.ndarray, object_ids: np.ndarray
    ) -> None:
        """Fill slots with new instances, best first; those unseen for longest make room."""
        slots = len(self._slots)
        refused = class_ids[slots:]
        crowded = max(self.count + len(boxes[:slots]) - slots, 0)
        if crowded:
            oldest = np.argsort(self._slots["seen"][: self.count], kind="stable")[:crowded]
            reason = f"all {slots} places are taken: it was unseen for longest"
            self._evict(frame_index, np.isin(np.arange(self.count), oldest), reason)
        for box, class_id, score, object_id in zip(
            boxes[:slots], class_ids[:slots], scores[:slots], object_ids[:slots], strict=True
        ):
            self._slots[self.count] = (box, np.zeros(4), score, class_id, object_id, frame_index, 0, 0)
            self.count += 1
            (entry,) = self._entries(np.arange(self.count) == self.count - 1)
            reason = f"found at class score {score:.2f} on a clean frame; {self.count} of {slots} places are taken"
            self._tell("write", frame_index, entry, reason)
        if len(refused):
            reason = f"all {slots} places are taken by instances of this frame with better scores"
            self._tell("reject", frame_index, f"expected places of {self._listed(refused)}", reason)

    def _evict(self, frame_index: int, gone: np.ndarray, reason: str) -> None:
        entries = self._entries(gone)
        self._keep(~gone)
        for entry in entries:
            self._tell("evict", frame_index, entry, reason)

    def _keep(self, wanted: np.ndarray) -> None:
        """Close the gaps that unwanted instances leave."""
        kept = self._slots[: self.count][wanted]
        self._slots[: len(kept)] = kept
        self._slots[len(kept) : self.count] = 0
        self.count = len(kept)

    def _bytes(self) -> int:
        return self.count * _DTYPE.itemsize

    def _entries(self, rows: np.ndarray) -> list[str]:
        """Names of the expected places in (count,) bool rows: "expected place of a dog, object 3"."""
        entries = []
        for known in self._slots[: self.count][rows]:
            name, object_id = self.class_names[int(known["class_id"])], int(known["object_id"])
            article = "an" if name[0] in "aeiou" else "a"
            entries.append(f"expected place of {article} {name}" + (f", object {object_id}" if object_id >= 0 else ""))
        return entries

    def _listed(self, class_ids: Iterable[int]) -> str:
        """Counts by class, the most frequent first: "2 cars, 1 dog"."""
        ids, counts = np.unique(np.array(class_ids), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return ", ".join(plural(self.class_names[int(ids[row])], int(counts[row])) for row in order)

    def _tell(self, action: MemoryAction, frame_index: int, entry: str, reason: str) -> None:
        self._events.append(MemoryEvent(self.name, action, frame_index, entry, reason, self._bytes()))


def _log_odds(scores: Any) -> Any:
    scores = np.clip(scores, *_EVIDENCE_RANGE)
    return np.log(scores / (1 - scores))
