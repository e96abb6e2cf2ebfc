"""Live sources: cameras and endless streams. The newest frame wins, drops are counted, links come back.

A thread reads as fast as the source gives and keeps only the newest picture (a queue would add its length to
the delay). A lost connection is opened again with waits that double. `Frame.index` counts the frames that
are delivered, without gaps; `Frame.time_s` follows the source's own timestamps within a connection and the
wall clock across connections.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import NamedTuple, Protocol

import av
import cv2
import numpy as np

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.decode import Decoder, open_container, to_rgb, upright_size, video_stream
from streamvos.video.info import Source, SourceConfig, SourceInfo
from streamvos.video.prefetch import LatestSlot

_log = logging.getLogger(__name__)
TIME_BASE = Fraction(1, 90000)
_CAMERA_APIS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("dshow", "{}")}


class Picture(NamedTuple):
    """A picture not yet converted: time of the source in seconds (None if it has none), how to get RGB."""

    time_s: float | None
    to_rgb: Callable[[tuple[int, int]], np.ndarray]


class Connection(Protocol):
    """An open link to a live source."""

    size: tuple[int, int]
    rate: Fraction | None

    def pictures(self) -> Iterator[Picture]:
        """Pictures as they come; ends, or raises, when the link is lost."""

    def close(self) -> None: ...


class LiveSource(Source):
    """Frames of a live source as they come.

    Args:
        connect: opens the link; raises `InputError` where that fails.
        describe: makes the info from size and rate of the first connection.
        start_index: number of the first frame (a run that goes on).
        start_time_s: time of the first frame (a run that goes on).
        max_frames: index at which to stop.
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
    ) -> None:
        connection = connect()
        super().__init__(describe(connection.size, connection.rate))
        self._connect, self._config = connect, config
        self._stream_id = stream_id or self.info.name
        self._index, self._stop_index = start_index, max_frames
        self._first_s, self._last_s = start_time_s, -1.0
        self._slot: LatestSlot[tuple[float, Picture]] = LatestSlot()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(connection,), name="live", daemon=True)
        self._thread.start()

    def __next__(self) -> Frame:
        if self._stop_index is not None and self._index >= self._stop_index:
            raise StopIteration
        time_s, picture = self._slot.take()
        self.num_dropped = self._slot.num_dropped
        image = picture.to_rgb((self.info.height, self.info.width))
        frame = Frame(self._stream_id, self._index, time_s, image)
        self._index += 1
        return frame

    def close(self) -> None:
        self._stop.set()
        self._slot.close()
        self._thread.join(timeout=self._config.open_timeout_s + self._config.read_timeout_s)

    def _work(self, connection: Connection | None) -> None:
        began = time.monotonic()
        failures = 0
        try:
            while connection is not None and not self._stop.is_set():
                if self._read(connection, began):
                    failures = 0
                if self._stop.is_set():
                    return
                connection, failures = self._reconnect(failures)
        except BaseException as error:
            self._slot.close(error)
        finally:
            self._slot.close()

    def _read(self, connection: Connection, began: float) -> bool:
        """Read until the link is lost; returns whether a picture came."""
        anchor: float | None = None  # what to add to the source's times
        try:
            for picture in connection.pictures():
                if self._stop.is_set():
                    break
                elapsed_s = time.monotonic() - began + self._first_s
                source_s = elapsed_s if picture.time_s is None else picture.time_s
                if anchor is None:
                    anchor = (self._first_s if self._last_s < 0 else elapsed_s) - source_s
                self._slot.put((self._tick(source_s + anchor), picture))
            else:
                self._warn("the connection ended")
        except (av.error.FFmpegError, OSError) as error:
            self._warn(f"the connection was lost ({error.strerror or type(error).__name__})")
        finally:
            connection.close()
        return anchor is not None

    def _tick(self, time_s: float) -> float:
        """Round to the time base and keep times strictly increasing."""
        ticks = max(round(time_s / TIME_BASE), round(self._last_s / TIME_BASE) + 1)
        self._last_s = float(ticks * TIME_BASE)
        return self._last_s

    def _reconnect(self, failures: int) -> tuple[Connection | None, int]:
        config = self._config
        while failures < config.reconnect_attempts:
            wait_s = min(config.reconnect_first_s * 2**failures, config.reconnect_max_s)
            if self._stop.wait(wait_s):
                return None, failures
            failures += 1
            try:
                connection = self._connect()
            except InputError as error:
                _log.warning("try %d of %d to reconnect: %s", failures, config.reconnect_attempts, error)
                continue
            self._warn("reconnected")
            return connection, failures
        raise InputError(
            f"source {self.info.location!r} was lost and did not return in {config.reconnect_attempts} tries"
        )

    def _warn(self, text: str) -> None:
        if len(self.warnings) < 100:  # a camera may run for months
            self.warnings.append(f"{self.info.name}: {text}")
        _log.warning("%s: %s", self.info.location, text)


class AvConnection:
    """A link through FFmpeg: a network stream, or a camera by FFmpeg's device layer.

    Args:
        container: open.
        location: for messages.
    """

    def __init__(self, container: av.container.InputContainer, location: str, config: SourceConfig) -> None:
        self._container = container
        try:
            stream = video_stream(container, location, config)
            self.rate = stream.average_rate or stream.guessed_rate
            self._frames = iter(Decoder(container, stream))
            first = next(self._frames, None)
        except BaseException:
            container.close()
            raise
        if first is None:
            container.close()
            raise InputError(f"source {location!r} gave no frame; expected a video")
        self._first, self.size = first, upright_size(first)

    def pictures(self) -> Iterator[Picture]:
        first, self._first = self._first, None
        if first is not None:
            yield Picture(first.time, partial(to_rgb, first))
        for frame in self._frames:
            yield Picture(frame.time, partial(to_rgb, frame))

    def close(self) -> None:
        self._container.close()


class OpenCvConnection:
    """A camera through OpenCV, where FFmpeg's device layer cannot open it."""

    def __init__(self, index: int) -> None:
        self._capture = _open_quietly(index)
        there, picture = self._capture.read() if self._capture.isOpened() else (False, None)
        if not there:
            self._capture.release()
            raise InputError(f"camera {index} cannot be opened; is it plugged in, free, and may you use it?")
        self.size = picture.shape[:2]
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(rate).limit_denominator(1001) if rate > 0 else None

    def pictures(self) -> Iterator[Picture]:
        while True:
            there, picture = self._capture.read()
            if not there:
                return
            yield Picture(None, partial(_bgr_to_rgb, picture))

    def close(self) -> None:
        self._capture.release()


def connect_url(url: str, scheme: str, masked: str, config: SourceConfig) -> AvConnection:
    """Open a network stream."""
    return AvConnection(open_container(url, scheme, config), masked, config)


def connect_camera(index: int, config: SourceConfig) -> Connection:
    """Open a camera by its number: FFmpeg's device layer first, OpenCV where that fails."""
    layer, pattern = _CAMERA_APIS.get(sys.platform, (None, ""))
    if layer is not None:
        try:
            return AvConnection(av.open(pattern.format(index), format=layer), f"camera {index}", config)
        except (av.error.FFmpegError, ValueError) as error:
            _log.info("camera %d: %s cannot open it (%s), trying OpenCV", index, layer, error)
    return OpenCvConnection(index)


def _open_quietly(index: int) -> cv2.VideoCapture:
    """OpenCV writes to stderr when it fails; what matters of it becomes our own error."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(index)
    finally:
        cv2.utils.logging.setLogLevel(level)


def _bgr_to_rgb(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[:2] != size:
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
