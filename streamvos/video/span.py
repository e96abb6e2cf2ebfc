"""A part of a video: from one time to another, and at most so many frames a second.

Frames are numbered anew from 0, as they are processed; their times stay those of the video.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.info import Source, SourceAround, SourceInfo

_SLACK = 1e-6  # of a step, for times that are rounded


@dataclass(frozen=True)
class Span:
    """Which frames of a video are wanted.

    Args:
        start_s: from this time on; None: from the first frame.
        end_s: up to this time, which is left out; None: to the last frame.
        fps: at most so many frames a second; None: all.
    """

    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        for name in ("start_s", "end_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name}: expected a time of at least 0 s, got {value}")
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise InputError(f"end_s: expected a time after the start, {self.start_s or 0:g} s; got {self.end_s:g} s")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"fps: expected more than 0 frames a second, got {self.fps}")

    @property
    def is_everything(self) -> bool:
        return self == Span()


class SpanSource(SourceAround):
    """The wanted frames of a source.

    Args:
        source: open at its first frame; closed together with this one.
        span: which frames.
        start_index: number of the first frame that is given; of a video, as many wanted ones are passed over first (a
            run that goes on), of a live source none.
        max_frames: index at which to stop.
    """

    def __init__(self, source: Source, span: Span, start_index: int = 0, max_frames: int | None = None) -> None:
        super().__init__(source)
        self._span, self._stop = span, max_frames
        self._index = start_index if source.info.is_live else 0
        self._start_index = start_index
        self._last_step = -1
        self._last_s: float | None = None
        self._info = _describe(source.info, span, max_frames)

    @property
    def info(self) -> SourceInfo:
        return self._info

    def __next__(self) -> Frame:
        while True:
            frame = self._next_wanted()
            if frame.index >= self._start_index:
                return frame

    def _next_wanted(self) -> Frame:
        if self._index == self._stop:
            raise StopIteration
        for frame in self._source:
            self._last_s = frame.time_s
            if self._span.end_s is not None and frame.time_s >= self._span.end_s:
                break
            if self._is_wanted(frame.time_s):
                self._index += 1
                return dataclasses.replace(frame, index=self._index - 1)
        if self._index == 0 and self._last_s is not None:
            raise InputError(
                f"start_s: expected a time inside the video; {self.info.location!r} has no frame from "
                f"{self._span.start_s or 0:g} s on"
                + (f" before {self._span.end_s:g} s" if self._span.end_s is not None else "")
                + f", the last one read is at {self._last_s:g} s"
            )
        raise StopIteration

    def _is_wanted(self, time_s: float) -> bool:
        start_s = self._span.start_s or 0.0
        if time_s < start_s:
            return False
        if self._span.fps is None:
            return True
        step = math.floor((time_s - start_s) * self._span.fps + _SLACK)  # one frame for each step of the wanted rate
        if step <= self._last_step:
            return False
        self._last_step = step
        return True


def _describe(info: SourceInfo, span: Span, max_frames: int | None) -> SourceInfo:
    """The source's facts with an estimate of how many frames are wanted; the rate stays that of the video."""
    count = info.num_frames
    if count is not None and info.rate is not None:
        length_s = float(count / info.rate)
        wanted_s = max(0.0, min(span.end_s or math.inf, length_s) - (span.start_s or 0.0))
        count = math.ceil(wanted_s * min(float(info.rate), span.fps or math.inf))
    if count is not None and max_frames is not None:
        count = min(count, max_frames)
    return dataclasses.replace(info, num_frames=count)
