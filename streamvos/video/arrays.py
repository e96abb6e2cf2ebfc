"""Pictures that a program has already, as a source of frames; and times for those that come without one."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.info import Source, SourceInfo

_NAME = "frames"
_LEAST_S = 1e-3  # between two frames that arrive; the long memory counts in milliseconds


class FrameClock:
    """Times of frames that come without one: counted at a rate, or by when they arrive.

    Args:
        rate: frames a second; None: the time between two frames is the time that passed between their arrivals.
    """

    def __init__(self, rate: Fraction | None) -> None:
        self._rate = rate
        self._arrived_s = 0.0
        self._anchor, self._count = Fraction(0), 0
        self._said_s: float | None = None

    def stamp(self, last_s: float | None, given_s: float | None) -> float:
        """Seconds of the frame that arrives now.

        Args:
            last_s: of the frame before; None for the first, which is at 0.
            given_s: what its sender says; believed where it is there.
        """
        now_s = time.perf_counter()
        passed_s, self._arrived_s = now_s - self._arrived_s, now_s
        if given_s is not None:
            return float(given_s)
        if last_s is None or (self._rate is not None and last_s != self._said_s):
            self._anchor, self._count = Fraction(last_s or 0), 0 if last_s is None else 1
        elif self._rate is not None:
            self._count += 1
        if last_s is None or self._rate is not None:
            self._said_s = float(self._anchor + (self._count / self._rate if self._rate else 0))
        else:
            self._said_s = last_s + max(passed_s, _LEAST_S)
        return self._said_s


class ArraySource(Source):
    """Pictures out of a list, an (N, H, W, 3) array, a generator, or anything else that can be looped over.

    Args:
        pictures: (H, W, 3) uint8 RGB arrays, or `Frame` records, which bring their times along.
        rate: frames a second; None: by when they arrive.
        start_index: number of the first frame; of a sequence, those before it are passed over.
        max_frames: index at which to stop.

    Raises:
        InputError: no picture, or something else in place of one.
    """

    def __init__(
        self,
        pictures: Iterable[Any],
        rate: Fraction | None = None,
        start_index: int = 0,
        max_frames: int | None = None,
    ) -> None:
        if isinstance(pictures, np.ndarray) and pictures.ndim != 4:
            raise InputError(
                f"frames: expected pictures in a list or an array (N, H, W, 3), got one array {pictures.shape}; "
                "one picture alone goes into Session.step"
            )
        is_there = isinstance(pictures, np.ndarray | Sequence)
        items = iter(pictures[start_index:] if is_there and start_index else pictures)
        first = next(items, None)
        if first is None:
            raise InputError("frames: expected at least one picture, got none")
        frame = _frame(first, 0, 0.0)
        height, width = frame.size
        base = Fraction(1, 90000) if rate is None else 1 / rate
        count = len(pictures) if is_there else None
        super().__init__(SourceInfo(_NAME, "images", _NAME, width, height, rate, count, None, False, base))
        self._items = itertools.chain((first,), items)
        self._index, self._stop = start_index, max_frames
        self._clock, self._last_s = FrameClock(rate), None
        if rate is not None and start_index:
            self._last_s = float((start_index - 1) / rate)

    def __next__(self) -> Frame:
        if self._index == self._stop:
            raise StopIteration
        item = next(self._items)
        given_s = item.time_s if isinstance(item, Frame) else None
        self._last_s = self._clock.stamp(self._last_s, given_s)
        frame = _frame(item, self._index, self._last_s)
        self._index += 1
        return frame


def is_source_of_arrays(value: Any) -> bool:
    """Whether something may be looped over for pictures: not a path, a number or an open source."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Source)


def _frame(item: Any, index: int, time_s: float) -> Frame:
    if isinstance(item, Frame):
        return dataclasses.replace(item, stream_id=_NAME, index=index)
    if isinstance(item, str | bytes | tuple | dict) or item is None:
        raise InputError(
            f"frame {index}: expected a picture, (H, W, 3) uint8 RGB, or a Frame; got {type(item).__name__} "
            "(several videos need a Session each)"
        )
    return Frame(_NAME, index, time_s, np.asarray(item))
