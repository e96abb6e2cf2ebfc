"""Parts of a video: which frames, their numbers, their times."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.info import Source, SourceInfo
from streamvos.video.span import Span, SpanSource


class Tens(Source):
    """Ten frames a second, `count` of them."""

    def __init__(self, count: int = 40, is_live: bool = False) -> None:
        super().__init__(
            SourceInfo("s", "video", "s.mp4", 4, 4, Fraction(10), count, count / 10, False, Fraction(1, 10))
        )
        self.info = dataclasses.replace(self.info, is_live=is_live)
        self._next, self._count, self.closed = 0, count, False

    def __next__(self) -> Frame:
        if self._next == self._count:
            raise StopIteration
        self._next += 1
        return Frame("s", self._next - 1, (self._next - 1) / 10, np.zeros((4, 4, 3), np.uint8))

    def close(self) -> None:
        self.closed = True


def times(span: Span, **options) -> list[float]:
    return [frame.time_s for frame in SpanSource(Tens(), span, **options)]


@pytest.mark.parametrize(
    ("span", "first", "last", "count"),
    [
        (Span(), 0.0, 3.9, 40),
        (Span(start_s=1.0), 1.0, 3.9, 30),
        (Span(end_s=1.0), 0.0, 0.9, 10),
        (Span(0.95, 1.25), 1.0, 1.2, 3),
        (Span(fps=5), 0.0, 3.8, 20),
        (Span(fps=3), 0.0, 3.7, 12),
        (Span(fps=100), 0.0, 3.9, 40),
        (Span(1, 2, 2.5), 1.0, 1.8, 3),
    ],
)
def test_which_frames(span, first, last, count):
    got = times(span)
    assert (got[0], got[-1], len(got)) == (first, last, count)
    assert SpanSource(Tens(), span).info.num_frames in (count, count + 1)


def test_frames_are_numbered_anew_and_keep_their_times():
    frames = list(SpanSource(Tens(), Span(1, 2, 5)))
    assert [(frame.index, frame.time_s) for frame in frames] == [(0, 1.0), (1, 1.2), (2, 1.4), (3, 1.6), (4, 1.8)]


@pytest.mark.parametrize("start_index", [1, 3, 7])
def test_a_part_that_goes_on_has_the_same_frames(start_index):
    span = Span(0.5, 3.5, 3)
    whole = [(frame.index, frame.time_s) for frame in SpanSource(Tens(), span)]
    rest = [(frame.index, frame.time_s) for frame in SpanSource(Tens(), span, start_index)]
    assert rest == whole[start_index:]


def test_the_end_of_so_many_frames():
    assert times(Span(start_s=1), max_frames=4) == [1.0, 1.1, 1.2, 1.3]
    assert SpanSource(Tens(), Span(start_s=1), max_frames=4).info.num_frames == 4


def test_a_live_source_goes_on_without_a_search():
    frames = list(SpanSource(Tens(5, is_live=True), Span(fps=5), start_index=12))
    assert [frame.index for frame in frames] == [12, 13, 14]


def test_a_start_after_the_end():
    with pytest.raises(InputError, match="'s.mp4' has no frame from 9 s on, the last one read is at 3.9 s"):
        next(SpanSource(Tens(), Span(start_s=9)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"start_s": -1}, "start_s: expected a time of at least 0 s"),
        ({"start_s": 5, "end_s": 5}, "end_s: expected a time after the start, 5 s; got 5 s"),
        ({"end_s": 0}, "end_s: expected a time after the start"),
        ({"fps": 0}, "fps: expected more than 0 frames a second"),
        ({"fps": float("nan")}, "fps: expected"),
    ],
)
def test_wrong_parts(values, message):
    with pytest.raises(InputError, match=message):
        Span(**values)


def test_it_closes_its_source():
    source = Tens()
    with SpanSource(source, Span()):
        pass
    assert source.closed
