"""Contradictions between what the parts of a run say of one frame, counted without any truth.

Ours; no public toolkit counts this. A detector that sees each frame alone is the witness. A contradiction tells that
one of two parts errs, not which: a rate near zero is needed for a good run, and does not make one. Each kind counts
once in each frame in which it stands, but `renamed`, which counts in the frame where it happens.

Visible objects are "tracked" ones with a mask. A detection is sure from `SURE` on. An object explains a detection
where their boxes agree by `AGREES`, or, being of its class, by `NEAR`; masks of its class also explain it where they
cover `FILLED` of its box together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eval.metrics.mask_pieces import far_pieces
from streamvos.boxes import box_iou
from streamvos.masks import decode
from streamvos.records import Detections, StepResult

KINDS = {
    "unexplained": "a sure detection that no object explains, and that is not `lost`",
    "class": "an object whose box is a sure detection of another class, with none of its own class there",
    "lost": "an object said to be hidden or lost, where a sure detection of its class that no object explains stands",
    "merged": "one mask over several sure detections of its class that lie apart",
    "doubled": "several masks of a class in the box of a sure detection, which fits one and is the best of each",
    "renamed": "the class of an object is another than before",
    "pieces": "a mask in large pieces far from each other, which no detection of its class holds together",
}

SURE = 0.7  # score; the packaged detector is seldom wrong above it, and misses half of what is there
AGREES = 0.5  # IoU of two boxes of one thing, as detection benchmarks ask
SAME_BOX = 0.7  # IoU from which two boxes are one thing and nothing else: a rider and the bicycle overlap by less
NEAR = 0.3  # IoU of boxes of one class of which one lacks a part, such as legs behind a table
FILLED = 0.25  # share of a box under masks; people and animals fill about half of their boxes
APART = 0.3  # share of the smaller box from which two boxes may be of one thing
WITHIN = 0.8  # share of a mask inside a box that is its own; boxes of this detector cut off hands and tails
PART = 0.1  # share of a box that a mask must cover to be more than a remainder
STALE_S = 2.0  # after so long, a thing of the class at the place may be another one


@dataclass(frozen=True)
class Contradiction:
    """One of `KINDS` in one frame.

    Args:
        kind: out of `KINDS`.
        object_ids: of the objects that are part of it.
        rows: of the witness's detections that are part of it.
        box_xyxy: (4,) around all of them, pixels.
        says: what contradicts what, in a few words.
    """

    kind: str
    object_ids: tuple[int, ...]
    rows: tuple[int, ...]
    box_xyxy: np.ndarray
    says: str


def num_visible(result: StepResult) -> int:
    """Visible objects of a frame; their sum is the number of object-frames."""
    return len(_Frame(result, _NOTHING).ids)


class ConsistencyJudge:
    """Compares the results of one stream with the witness, frame by frame in order."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._last: dict[int, tuple[float, np.ndarray]] = {}  # time and box where each was last visible in this shot
        self._shot = 0

    def step(self, result: StepResult, found: Detections) -> list[Contradiction]:
        """What contradicts what in the next frame.

        Args:
            result: of the run, with masks.
            found: what the witness found in the frame; those below `SURE` only speak for objects, never against them.
        """
        if result.shot_index != self._shot:
            self._shot, self._last = result.shot_index, {}
        frame = _Frame(result, found)
        lost = self._lost(frame)
        taken = {row for one in lost for row in one.rows}
        kinds = (_unexplained(frame, taken), _class(frame), lost, _merged(frame), _doubled(frame), _pieces(frame))
        contradictions = [one for kind in kinds for one in kind] + self._renamed(frame)
        for row, object_id in enumerate(frame.ids):
            self._last[object_id] = result.time_s, frame.boxes[row]
        alive = {one.object_id for one in result.masks}
        self._last = {object_id: seen for object_id, seen in self._last.items() if object_id in alive}
        return contradictions

    def _lost(self, frame: _Frame) -> list[Contradiction]:
        contradictions, taken = [], set()
        for one in frame.result.masks:
            if one.object_id in frame.ids or one.object_id not in self._last:
                continue
            time_s, box = self._last[one.object_id]
            if frame.result.time_s - time_s > STALE_S:
                continue
            overlap = box_iou(box[None], frame.found.boxes_xyxy)[0]
            for row in frame.sure:
                fits = frame.found.class_names[row] == one.class_name and overlap[row] >= AGREES
                if fits and not frame.explained[row] and row not in taken:
                    taken.add(row)
                    says = f"#{one.object_id} {one.class_name} is {one.state}"
                    contradictions.append(frame.contradiction("lost", (), (row,), says, (one.object_id,)))
                    break
        return contradictions

    def _renamed(self, frame: _Frame) -> list[Contradiction]:
        contradictions = []
        for one in frame.result.masks:
            before = self._names.get(one.object_id, "")
            if one.class_name:
                self._names[one.object_id] = one.class_name
            if before and one.class_name and one.class_name != before:
                says = f"#{one.object_id}: {before} before, now {one.class_name}"
                shown = [frame.ids.index(one.object_id)] if one.object_id in frame.ids else []
                contradictions.append(frame.contradiction("renamed", shown, (), says, (one.object_id,)))
        return contradictions


class _Frame:
    """The visible objects (N) of a frame and the witness's detections (M), with what they have in common."""

    def __init__(self, result: StepResult, found: Detections) -> None:
        self.result, self.found = result, found
        rows = [row for row, one in enumerate(result.masks) if one.state == "tracked" and one.box_xyxy.any()]
        shown = result.masks[rows]
        self.ids: list[int] = shown.object_ids.tolist()
        self.names, self.boxes = shown.class_names, shown.boxes_xyxy
        self._rles = shown.rles
        self.sure: list[int] = np.flatnonzero(found.scores >= SURE).tolist()

    @cached_property
    def masks(self) -> list[np.ndarray]:
        """N (H, W) bool."""
        return [decode(rle) for rle in self._rles]

    @cached_property
    def overlap(self) -> np.ndarray:
        """(N, M) IoU of the boxes."""
        return box_iou(self.boxes, self.found.boxes_xyxy)

    @cached_property
    def same_class(self) -> np.ndarray:
        """(N, M) bool."""
        names = np.array(self.names, object)[:, None]
        return names == np.array(self.found.class_names, object)[None]

    @cached_property
    def shared_px(self) -> np.ndarray:
        """(N, M) pixels of each mask inside each box."""
        boxes = np.round(self.found.boxes_xyxy).astype(int)
        counts = [[np.count_nonzero(mask[y1:y2, x1:x2]) for x1, y1, x2, y2 in boxes] for mask in self.masks]
        return np.array(counts, float).reshape(len(self.ids), len(self.found))

    @cached_property
    def filled(self) -> np.ndarray:
        """(N, M) share of each box under each mask."""
        sides = self.found.boxes_xyxy[:, 2:] - self.found.boxes_xyxy[:, :2]
        return self.shared_px / np.maximum(1, sides.prod(axis=1))[None]

    @cached_property
    def within(self) -> np.ndarray:
        """(N, M) share of each mask inside each box."""
        areas = np.array([np.count_nonzero(mask) for mask in self.masks], float)
        return self.shared_px / np.maximum(1, areas)[:, None]

    @cached_property
    def explained(self) -> np.ndarray:
        """(M,) whether a visible object explains the detection."""
        by_box = (self.overlap >= np.where(self.same_class, NEAR, AGREES)).any(axis=0)
        return by_box | ((self.filled * self.same_class).sum(axis=0) >= FILLED)

    def witness(self, row: int) -> str:
        return f"{self.found.class_names[row]} {self.found.scores[row]:.2f}"

    def contradiction(
        self, kind: str, objects: list[int] | tuple[int, ...], rows: tuple[int, ...], says: str, hidden: tuple = ()
    ) -> Contradiction:
        """Of visible objects by their place here, of detections by their rows, and of other objects by their ids."""
        boxes = [*self.boxes[list(objects)], *self.found.boxes_xyxy[list(rows)]]
        stack = np.array(boxes, np.float32).reshape(-1, 4)
        around = np.zeros(4, np.float32)
        if len(stack):
            around = np.concatenate([stack[:, :2].min(axis=0), stack[:, 2:].max(axis=0)])
        ids = tuple(self.ids[place] for place in objects) or hidden
        return Contradiction(kind, ids, rows, around, says)


def _unexplained(frame: _Frame, lost: set[int]) -> Iterator[Contradiction]:
    for row in frame.sure:
        if not frame.explained[row] and row not in lost:
            yield frame.contradiction("unexplained", (), (row,), f"no object for {frame.witness(row)}")


def _class(frame: _Frame) -> Iterator[Contradiction]:
    for place, object_id in enumerate(frame.ids):
        own = frame.same_class[place] & (frame.overlap[place] >= AGREES)
        if not frame.names[place] or own.any():
            continue
        against = [row for row in frame.sure if frame.overlap[place, row] >= SAME_BOX]
        # a rider does not contradict the bicycle below, which is an object of its own
        against = [row for row in against if frame.overlap[:, row].argmax() == place]
        if against:
            says = f"#{object_id} {frame.names[place]} is {frame.witness(against[0])}"
            yield frame.contradiction("class", (place,), (against[0],), says)


def _merged(frame: _Frame) -> Iterator[Contradiction]:
    for place, object_id in enumerate(frame.ids):
        under: list[int] = []
        for row in frame.sure:
            others = frame.same_class[:, row].copy()
            others[place] = False
            is_theirs = (frame.overlap[others, row] >= AGREES) | (frame.filled[others, row] >= frame.filled[place, row])
            if not frame.same_class[place, row] or frame.filled[place, row] < FILLED or is_theirs.any():
                continue
            if all(
                _share_of_smaller(frame.found.boxes_xyxy[row], frame.found.boxes_xyxy[one]) < APART for one in under
            ):
                under.append(row)
        if len(under) > 1:
            says = f"#{object_id} over " + ", ".join(frame.witness(row) for row in under)
            yield frame.contradiction("merged", (place,), tuple(under), says)


def _doubled(frame: _Frame) -> Iterator[Contradiction]:
    if not len(frame.found):
        return
    own = np.where(frame.same_class, frame.overlap, -1).argmax(axis=1)
    for row in frame.sure:
        inside = frame.same_class[:, row] & (frame.within[:, row] >= WITHIN) & (frame.filled[:, row] >= PART)
        places = np.flatnonzero(inside & (own == row)).tolist()
        # a box over a group, of which each fills a little, is one that the detector did not take apart
        if len(places) > 1 and frame.overlap[places, row].max() >= AGREES:
            says = " and ".join(f"#{frame.ids[place]}" for place in places) + f" on {frame.witness(row)}"
            yield frame.contradiction("doubled", places, (row,), says)


def _pieces(frame: _Frame) -> Iterator[Contradiction]:
    for place, object_id in enumerate(frame.ids):
        if (frame.same_class[place] & (frame.within[place] >= WITHIN)).any():
            continue
        others = [mask for other, mask in enumerate(frame.masks) if other != place]
        in_front = np.any(others, axis=0) if others else np.zeros(frame.result.size, bool)
        count = far_pieces(frame.masks[place], in_front)
        if count > 1:
            says = f"#{object_id} {frame.names[place]} in {count} pieces"
            yield frame.contradiction("pieces", (place,), (), says)


def _share_of_smaller(one: np.ndarray, other: np.ndarray) -> float:
    shared = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    smaller = min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod())
    return float(shared / smaller) if smaller > 0 else 0.0


_NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), (), np.zeros(0, np.int64)
)
