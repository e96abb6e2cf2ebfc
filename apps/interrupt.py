"""Ctrl-C and SIGTERM: the first stops reading, so that the rest can end well; the second ends at once."""

from __future__ import annotations

import signal
from types import FrameType

from streamvos.records import Frame
from streamvos.video.info import Source, SourceAround


class Interrupt:
    """Catches SIGINT and SIGTERM inside a `with` block.

    Attributes:
        is_set: True once one came.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._waiting = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def next_of(self, source: Source) -> Frame:
        """The next frame; raises StopIteration once a signal came, also while waiting for a frame."""
        if self.is_set:
            raise StopIteration
        try:
            self._waiting = True
            try:
                return next(source)
            finally:
                self._waiting = False
        except _Stop:
            raise StopIteration from None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_set:
            raise KeyboardInterrupt
        self.is_set = True
        if self._waiting:  # for a camera that may never give another frame
            raise _Stop


class _Stop(BaseException):
    """Leaves the wait for a frame."""


class InterruptibleSource(SourceAround):
    """A source that ends when a signal comes."""

    def __init__(self, source: Source, interrupt: Interrupt) -> None:
        super().__init__(source)
        self._interrupt, self._begun = interrupt, False

    def __next__(self) -> Frame:
        if self._interrupt.is_set and not self._begun:
            raise KeyboardInterrupt  # nothing was done, there is nothing to end well
        frame = self._interrupt.next_of(self._source)
        self._begun = True
        return frame
