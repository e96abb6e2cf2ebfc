"""A source that a person plays, pauses and steps through."""

from __future__ import annotations

import threading
import time

from streamvos.records import Frame
from streamvos.video.info import Source, SourceAround

_REMEMBERED = 64  # frames whose passing is known


class Gate(SourceAround):
    """Lets the frames of a source through while it is open. Its controls may be called from any thread.

    A file plays no faster than it was filmed, every frame of it; a live source gives its newest frame, so what comes
    while the gate is closed is dropped.

    Args:
        source: closed together with the gate.
        playing: whether it is open at first.
    """

    def __init__(self, source: Source, playing: bool = False) -> None:
        super().__init__(source)
        self._condition = threading.Condition()
        self._playing, self._steps, self._stopped = playing, 0, False
        self._held: Frame | None = None
        self._began: tuple[float, float] | None = None  # when which time of the video was let through
        self._passed_s: dict[int, float] = {}  # of the latest frames

    @property
    def is_playing(self) -> bool:
        return self._playing

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def look(self) -> Frame | None:
        """The frame that comes next, which stays; None at the end. For files: a live picture would grow old."""
        if self._held is None:
            self._held = next(self._source, None)
        return self._held

    def play(self) -> None:
        self._set(playing=True)

    def pause(self) -> None:
        self._set(playing=False)

    def advance(self) -> None:
        """Let one frame through although the gate is closed."""
        with self._condition:
            self._steps += 1
            self._condition.notify_all()

    def stop(self) -> None:
        """End the source, also where someone waits for its next frame."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        if self.info.is_live:
            self._source.close()

    def close(self) -> None:
        self.stop()
        super().close()

    def __next__(self) -> Frame:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._playing or self._steps or self._stopped)
                if self._stopped:
                    raise StopIteration
            frame = self.look()
            if frame is None:
                raise StopIteration
            with self._condition:
                if self._is_due(frame):
                    self._held = None
                    self._steps = max(0, self._steps - 1)
                    self._passed_s[frame.index] = time.monotonic()
                    self._passed_s.pop(frame.index - _REMEMBERED, None)
                    return frame

    def passed_s(self, frame_index: int) -> float | None:
        """When a frame was let through, by the monotonic clock; told once, and of the latest frames only."""
        return self._passed_s.pop(frame_index, None)

    def _set(self, playing: bool) -> None:
        with self._condition:
            self._playing, self._steps, self._began = playing, 0, None
            self._condition.notify_all()

    def _is_due(self, frame: Frame) -> bool:
        """Wait for the frame's time; False where the gate was closed or stopped meanwhile."""
        if self.info.is_live or self._steps:
            return True
        now = time.monotonic()
        if self._began is None:
            self._began = now, frame.time_s
        due = self._began[0] + frame.time_s - self._began[1]
        if due <= now:
            self._began = now, frame.time_s  # what is late is not made up for
            return True
        return not self._condition.wait_for(lambda: not self._playing or self._steps or self._stopped, due - now)
