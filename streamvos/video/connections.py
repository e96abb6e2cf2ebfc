"""Links to live sources: network streams and cameras through FFmpeg, cameras through OpenCV where that fails."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import NamedTuple, Protocol

import av
import cv2
import numpy as np

from streamvos.errors import InputError
from streamvos.video.decode import Decoder, open_container
from streamvos.video.display import displayed_size, pixel_aspect, to_rgb
from streamvos.video.info import SourceConfig
from streamvos.video.live_clock import TOLERANCE_S
from streamvos.video.streams import has_no_times, video_stream

_log = logging.getLogger(__name__)
_CAMERA_APIS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("dshow", "{}")}
_MOST_CAMERAS = 1000
_PLAYLISTS = ("hls", "dash")  # what they list comes a piece at a time, each of some seconds, and begins before now
_PLAYLIST_TOLERANCE_S = 60.0


class Picture(NamedTuple):
    """A picture not yet converted.

    Args:
        time_s: of the source, in seconds; None if it has none.
        to_rgb: how to get RGB of a size (H, W).
        size: (H, W) that it has by itself; None where that never changes.
        num_damaged: pictures and packets that could not be used whole, this one or before it, since the last.
    """

    time_s: float | None
    to_rgb: Callable[[tuple[int, int]], np.ndarray]
    size: tuple[int, int] | None = None
    num_damaged: int = 0


class Connection(Protocol):
    """An open link to a live source."""

    size: tuple[int, int]
    rate: Fraction | None

    def pictures(self) -> Iterator[Picture]:
        """Pictures as they come; ends, or raises, when the link is lost."""

    def close(self) -> None: ...


class AvConnection:
    """A link through FFmpeg: a network stream, or a camera by FFmpeg's device layer.

    Args:
        container: open.
        location: for messages.

    Attributes:
        tolerance_s: how far its times may be from the clock when all is well.
        notes: what a reader of the results must know of it.
    """

    def __init__(self, container: av.container.InputContainer, location: str, config: SourceConfig) -> None:
        self._container = container
        self.notes: list[str] = []
        try:
            stream = video_stream(container, location, config, self.notes.append)
            self._is_timed = not has_no_times(container)
            self.rate = (stream.average_rate or stream.guessed_rate) if self._is_timed else None
            is_playlist = any(name in _PLAYLISTS for name in container.format.name.split(","))
            self.tolerance_s = _PLAYLIST_TOLERANCE_S if is_playlist else TOLERANCE_S
            self._aspect = pixel_aspect(stream)
            self._decoder = Decoder(container, stream, location, config)
            self._frames = iter(self._decoder)
            first = next(self._frames, None)
        except BaseException:
            container.close()
            raise
        if first is None:
            container.close()
            why = f" ({self._decoder.broken})" if self._decoder.broken else ""
            raise InputError(f"source {location!r} gave no frame{why}; expected a video")
        self._first, self.size = first, displayed_size(first, self._aspect)

    def pictures(self) -> Iterator[Picture]:
        first, self._first = self._first, None
        damaged = 0
        for frame in itertools.chain([] if first is None else [first], self._frames):
            time_s = frame.time if self._is_timed else None
            size = displayed_size(frame, self._aspect)
            yield Picture(time_s, partial(to_rgb, frame), size, self._decoder.num_damaged - damaged)
            damaged = self._decoder.num_damaged
        if self._decoder.broken:
            raise ConnectionError(0, self._decoder.broken)

    def close(self) -> None:
        self._container.close()


class OpenCvConnection:
    """A camera through OpenCV, where FFmpeg's device layer cannot open it."""

    def __init__(self, index: int) -> None:
        self._capture = _open_quietly(index)
        there, picture = self._capture.read() if self._capture.isOpened() else (False, None)
        if not there:
            self._capture.release()
            raise InputError(
                f"camera {index} cannot be opened; is it plugged in, free, and may you use it? "
                "A folder that is called by a number is read where it lies: change to its parent, or give its path"
            )
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
    if index >= _MOST_CAMERAS:
        raise InputError(f"no camera has the number {index}, and no folder or file here is called so")
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
