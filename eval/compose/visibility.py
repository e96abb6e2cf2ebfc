"""Who is visible when, from exact truth: what the event log and the questions of the composed benchmark are made of.

An object is *visible* in a frame where at least a quarter of its silhouette shows, and at least 20x20 pixels of it. It
stays visible through interruptions of less than a second (a person who walks past does not make a dog come back), and
a glimpse of less than a quarter of a second is none. That is the `PLAIN` reading; reasonable people may draw each of
these lines elsewhere, so a question is asked only where all `READINGS` give the same answer.

Everything is computed on one flag for each object and frame, not on intervals as the answering part computes it: a
fault there must not be in the truth, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.datasets.composed import SequenceTruth

Interval = tuple[float, float]
Side = Literal["left", "middle", "right"]
_BORDER = 0.01  # of the width: a box as near as this to the border touches it


@dataclass(frozen=True)
class Reading:
    """Where the lines are drawn.

    Args:
        min_share: of the silhouette that must show; smaller sees objects earlier and longer.
        min_px: that must show; smaller sees objects farther away.
        bridge_s: interruptions shorter than this are none; larger makes fewer and longer appearances.
        min_span_s: appearances shorter than this are none; larger drops more glimpses.
    """

    min_share: float
    min_px: int
    bridge_s: float
    min_span_s: float


PLAIN = Reading(0.25, 20 * 20, 1.0, 0.25)
READINGS = (
    PLAIN,
    *(
        Reading(min_share, min_px, bridge_s, min_span_s)
        for min_share, min_px in ((0.15, 14 * 14), (0.25, 20 * 20), (0.35, 28 * 28))
        for bridge_s in (0.5, 2.0)
        for min_span_s in (0.0, 0.5)
    ),
)


@dataclass(frozen=True)
class Span:
    """One appearance of an object, from its first to its last visible frame.

    Args:
        object_id: whose.
        first, last: rows of `SequenceTruth.frames`.
        from_s, to_s: their times.
        ended: "left" the picture, was "hidden" by something, or visible until the "end".
    """

    object_id: int
    first: int
    last: int
    from_s: float
    to_s: float
    ended: Literal["left", "hidden", "end"]


class Facts:
    """A sequence under one reading.

    Args:
        truth: of the sequence.
        reading: where the lines are drawn.
        until_s: nothing after this time is known; None for the whole sequence.
    """

    def __init__(self, truth: SequenceTruth, reading: Reading = PLAIN, until_s: float | None = None) -> None:
        frames = [frame for frame in truth.frames if until_s is None or frame.time_s <= until_s]
        self.truth = truth
        self.times_s = np.array([frame.time_s for frame in frames], np.float64)
        self.classes = {info.id: info.class_name for info in truth.objects}
        self._reading = reading
        raw = {info.id: np.zeros(len(frames), bool) for info in truth.objects}
        self._share = {info.id: np.full(len(frames), np.nan) for info in truth.objects}  # NaN: not in the picture
        self.boxes = {info.id: np.full((len(frames), 4), np.nan) for info in truth.objects}
        for row, frame in enumerate(frames):
            for one in frame.objects:
                raw[one.id][row] = one.visible_px >= max(reading.min_px, reading.min_share * one.full_px)
                self._share[one.id][row] = one.visible_px / one.full_px if one.full_px else np.nan
                if one.box_xyxy is not None:
                    self.boxes[one.id][row] = one.box_xyxy
        self.visible = {object_id: self._steady(flags) for object_id, flags in raw.items()}
        self.spans = {object_id: self._spans(object_id) for object_id in self.visible}

    @property
    def end_s(self) -> float:
        """Time of the last frame."""
        return float(self.times_s[-1])

    def any_of(self, object_ids: Iterable[int]) -> np.ndarray:
        """(F,) bool: at least one of the objects is visible."""
        return np.any([self.visible[object_id] for object_id in object_ids], axis=0)

    def number_of(self, object_ids: Iterable[int]) -> np.ndarray:
        """(F,) int64: how many of the objects are visible."""
        return np.sum([self.visible[object_id] for object_id in object_ids], axis=0)

    def intervals(self, flags: np.ndarray) -> list[Interval]:
        """(F,) bool as stretches of time, from the first frame to the last of each."""
        return [(float(self.times_s[first]), float(self.times_s[last])) for first, last in runs(flags)]

    def spans_of(self, object_ids: Iterable[int]) -> list[Span]:
        """The appearances of some objects, in order of time."""
        return sorted((s for one in object_ids for s in self.spans[one]), key=lambda s: (s.from_s, s.object_id))

    def within(self, from_s: float, to_s: float) -> np.ndarray:
        """(F,) bool: the frames in a closed stretch of time."""
        return (self.times_s >= from_s - 1e-9) & (self.times_s <= to_s + 1e-9)

    def centres(self, object_id: int) -> np.ndarray:
        """(F,) float64 middle of the object's box, as a fraction of the picture's width; NaN where it has none."""
        width = self.truth.size[0]
        return self.boxes[object_id][:, [0, 2]].mean(1) / width

    def _steady(self, flags: np.ndarray) -> np.ndarray:
        """Without short interruptions and glimpses."""
        steady = np.zeros(len(flags), bool)
        for first, last in steady_runs(flags, self.times_s, self._reading.bridge_s):
            if self.times_s[last] - self.times_s[first] >= self._reading.min_span_s:
                steady[first : last + 1] = True
        return steady

    def _spans(self, object_id: int) -> tuple[Span, ...]:
        return tuple(
            Span(
                object_id,
                first,
                last,
                float(self.times_s[first]),
                float(self.times_s[last]),
                self._ending(object_id, last),
            )
            for first, last in runs(self.visible[object_id])
        )

    def _ending(self, object_id: int, last: int) -> Literal["left", "hidden", "end"]:
        if self.end_s - self.times_s[last] < self._reading.bridge_s:
            return "end"  # what happens then, nobody sees
        share = self._share[object_id][last + 1]
        if np.isnan(share) or share < self._reading.min_share:
            return "left" if np.isnan(share) else "hidden"
        width, height = self.truth.size  # too little of it is left to be seen: beyond the border, or far away
        x1, y1, x2, y2 = self.boxes[object_id][last]
        return "left" if min(x1, y1, width - x2, height - y2) <= _BORDER * width else "hidden"


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) row of each stretch of true flags, in order."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))


def side_of(centre: float, margin: float = 0.0) -> Side | None:
    """The third of the picture in which a middle lies; None within `margin` of a line between two."""
    if min(abs(centre - 1 / 3), abs(centre - 2 / 3)) < margin:
        return None
    return "left" if centre < 1 / 3 else "right" if centre > 2 / 3 else "middle"


def steady_runs(flags: np.ndarray, times_s: np.ndarray, bridge_s: float) -> list[tuple[int, int]]:
    """`runs`, those joined that are less than `bridge_s` apart."""
    joined: list[tuple[int, int]] = []
    for first, last in runs(flags):
        if joined and times_s[first] - times_s[joined[-1][1]] < bridge_s:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Stretches of time in order, those joined that overlap or touch."""
    joined: list[Interval] = []
    for begin, end in sorted(intervals):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def inside(time_s: float, intervals: Sequence[Interval], slack_s: float = 0.0) -> bool:
    """Whether a time lies in one of the stretches, or no farther from it than `slack_s`."""
    return any(a - slack_s <= time_s <= b + slack_s for a, b in intervals)
