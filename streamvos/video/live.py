"""Live sources: cameras and endless streams. The newest frame wins, drops are counted, links come back.

A thread reads as fast as the source gives and keeps only the newest picture (a queue would add its length to
the delay). A lost connection is opened again with waits that double. `Frame.index` counts the frames that
are delivered, without gaps; `Frame.time_s` follows the source's own timestamps within a connection while they keep
step with the wall clock (`streamvos.video.live_clock`), and the wall clock across connections. What was wrong and
survived is told once for each kind, with how often.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from fractions import Fraction

import av

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.connections import Connection, Picture
from streamvos.video.info import Source, SourceConfig, SourceInfo
from streamvos.video.live_clock import TOLERANCE_S, LiveClock
from streamvos.video.prefetch import LatestSlot

_log = logging.getLogger(__name__)
TIME_BASE = Fraction(1, 90000)
_STALL_S = 2.0
_LEARNED_GAPS = 5  # before they are known well enough to tell what is long
_STALL_SHARE = 4  # of the usual time between two pictures: a camera of one picture in five seconds does not stall
_MOST_WARNINGS = 100  # a camera may run for months


class LiveSource(Source):
    """Frames of a live source as they come.

    Args:
        connect: opens the link; raises `InputError` where that fails.
        describe: makes the info from size and rate of the first connection.
        start_index: number of the first frame (a run that goes on).
        start_time_s: time of the first frame (a run that goes on).
        max_frames: index at which to stop.
        first: the first connection, where it is open already.
        began_s: when that was asked for (`time.monotonic`).
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        describe: Callable[[tuple[int, int], Fraction | None], SourceInfo],
        config: SourceConfig,
        stream_id: str | None = None,
        start_index: int = 0,
        max_frames: int | None = None,
        start_time_s: float = 0.0,
        first: Connection | None = None,
        began_s: float | None = None,
    ) -> None:
        began_s = time.monotonic() if began_s is None else began_s
        connection = connect() if first is None else first
        super().__init__(describe(connection.size, connection.rate))
        self._connect, self._config = connect, config
        self._stream_id = stream_id or self.info.name
        self._index, self._stop_index = start_index, max_frames
        self._clock = LiveClock(start_time_s, self.info.rate)
        self._last_s = -1.0
        self._start_s = start_time_s
        self._before: tuple[float, int] | None = None  # times and drops before the first frame was asked for
        self._told: dict[str, int] = {}  # place among the warnings, by kind
        self._num_damaged = self._num_stalls = 0
        self._longest_stall_s = self._usual_gap_s = 0.0
        self._num_gaps = 0
        self._slot: LatestSlot[tuple[float, Picture]] = LatestSlot()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(connection, began_s), name="live", daemon=True)
        self._thread.start()

    def __next__(self) -> Frame:
        if self._stop_index is not None and self._index >= self._stop_index:
            raise StopIteration
        time_s, picture = self._slot.take()
        if self._before is None:  # what came before anyone asked is no part of the stream
            self._before = time_s - self._start_s, self._slot.num_dropped
        self.num_dropped = self._slot.num_dropped - self._before[1]
        ticks = round((time_s - self._before[0]) / TIME_BASE)
        image = picture.to_rgb((self.info.height, self.info.width))
        frame = Frame(self._stream_id, self._index, float(ticks * TIME_BASE), image)
        self._index += 1
        return frame

    def close(self) -> None:
        self._stop.set()
        self._slot.close()
        self._thread.join(timeout=self._config.open_timeout_s + self._config.read_timeout_s)

    def _work(self, connection: Connection | None, began_s: float) -> None:
        failures = 0
        try:
            while connection is not None and not self._stop.is_set():
                if self._read(connection, began_s):
                    failures = 0
                if self._stop.is_set():
                    return
                connection, failures, began_s = self._reconnect(failures)
        except BaseException as error:
            self._slot.close(error)
        finally:
            self._slot.close()

    def _read(self, connection: Connection, began_s: float) -> bool:
        """Read until the link is lost; returns whether a picture came."""
        self._clock.connect(began_s, getattr(connection, "tolerance_s", TOLERANCE_S))
        for note in getattr(connection, "notes", ()):
            self._tell(note, note)
        arrived_s: float | None = None
        try:
            for picture in connection.pictures():
                if self._stop.is_set():
                    break
                now_s = time.monotonic()
                self._judge(picture, None if arrived_s is None else now_s - arrived_s)
                arrived_s = now_s
                self._slot.put((self._tick(self._clock.time_s(picture.time_s, now_s)), picture))
                if self._clock.fault is not None:
                    self._tell("clock", f"its times {self._clock.fault}; from there on the time of arrival is taken")
            else:
                self._warn("the connection ended")
        except (av.error.FFmpegError, OSError) as error:
            self._warn(f"the connection was lost ({error.strerror or type(error).__name__})")
        finally:
            connection.close()
        return arrived_s is not None

    def _judge(self, picture: Picture, gap_s: float | None) -> None:
        """Tell what is wrong with a picture, or with the time it took to come."""
        size = self.info.height, self.info.width
        if picture.size is not None and picture.size != size:
            sizes = f"{size[1]}x{size[0]} to {picture.size[1]}x{picture.size[0]}"
            self._tell(
                "size", f"the size changes within the stream, from {sizes}; frames were scaled to that of the first"
            )
        if picture.num_damaged:
            self._num_damaged += picture.num_damaged
            self._tell("damage", f"{self._num_damaged} damaged packets or pictures")
        if gap_s is None:
            return
        is_known = self._num_gaps >= _LEARNED_GAPS
        if is_known and gap_s >= _STALL_S and gap_s > _STALL_SHARE * self._usual_gap_s:
            self._num_stalls += 1
            self._longest_stall_s = max(self._longest_stall_s, gap_s)
            found = f"{self._num_stalls} found, the longest of {self._longest_stall_s:.1f} s"
            self._tell("stall", f"pauses of {_STALL_S:g} s or more between pictures: {found}")
        self._num_gaps += 1
        self._usual_gap_s += (gap_s - self._usual_gap_s) / min(self._num_gaps, 10)

    def _tick(self, time_s: float) -> float:
        """Round to the time base and keep times strictly increasing."""
        ticks = max(round(time_s / TIME_BASE), round(self._last_s / TIME_BASE) + 1)
        self._last_s = float(ticks * TIME_BASE)
        return self._last_s

    def _reconnect(self, failures: int) -> tuple[Connection | None, int, float]:
        config = self._config
        while failures < config.reconnect_attempts:
            wait_s = min(config.reconnect_first_s * 2**failures, config.reconnect_max_s)
            if self._stop.wait(wait_s):
                return None, failures, 0.0
            failures += 1
            began_s = time.monotonic()
            try:
                connection = self._connect()
            except InputError as error:
                _log.warning("try %d of %d to reconnect: %s", failures, config.reconnect_attempts, error)
                continue
            self._warn("reconnected")
            return connection, failures, began_s
        raise InputError(
            f"source {self.info.location!r} was lost and did not return in {config.reconnect_attempts} tries"
        )

    def _warn(self, text: str) -> None:
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(f"{self.info.name}: {text}")
        _log.warning("%s: %s", self.info.location, text)

    def _tell(self, kind: str, text: str) -> None:
        """One warning for each kind, which is brought up to date."""
        if kind in self._told:
            self.warnings[self._told[kind]] = f"{self.info.name}: {text}"
        elif len(self.warnings) < _MOST_WARNINGS:
            self._told[kind] = len(self.warnings)
            self._warn(text)
