"""What files, streams and cameras share: opening a container, decoding it, RGB upright at one size."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from streamvos.errors import InputError
from streamvos.video.info import SourceConfig
from streamvos.video.urls import LOCAL_PROTOCOLS, PROTOCOLS, mask_secrets

_log = logging.getLogger(__name__)


def open_container(location: str, scheme: str | None, config: SourceConfig) -> av.container.InputContainer:
    """Open a path (scheme None) or a URL; raises `InputError` with the secrets masked."""
    options = {"protocol_whitelist": PROTOCOLS[scheme] if scheme else LOCAL_PROTOCOLS}
    if config.containers:
        options["format_whitelist"] = config.containers
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = config.rtsp_transport
    timeout = (config.open_timeout_s, config.read_timeout_s) if scheme else None
    try:
        return av.open(location, options=options, timeout=timeout, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise InputError(_why_not(location, scheme, error)) from None


def video_stream(
    container: av.container.InputContainer, location: str, config: SourceConfig
) -> av.video.stream.VideoStream:
    """The first video stream, with the decoder's threads set."""
    if not container.streams.video:
        raise InputError(f"source {mask_secrets(location)!r} holds no video stream; expected a video")
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if config.max_pixels and width * height > config.max_pixels:
        raise InputError(
            f"source {mask_secrets(location)!r} has {width}x{height} pixels; expected at most {config.max_pixels} in "
            "all (source.max_pixels): scale it down first"
        )
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = config.decode_threads
    return stream


class Decoder:
    """Decode a stream and survive damage: bad packets are skipped and counted, a broken end is just the end.

    Attributes:
        num_frames: pictures handed out.
        num_damaged: packets and pictures that could not be used.
        broken: what the container said when it ended before its time, or None.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> None:
        self._container, self._stream = container, stream
        self.num_frames = 0
        self.num_damaged = 0
        self.broken: str | None = None

    def __iter__(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            if packet.is_corrupt:
                self.num_damaged += 1
                continue
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.MemoryError, av.error.BlockingIOError) as error:  # nothing is wrong with the packet
                raise MemoryError(
                    f"no memory, or no thread, to decode with ({error.strerror}); end other programs, or set "
                    "source.decode_threads to 1"
                ) from error
            except av.error.FFmpegError as error:
                self.num_damaged += 1
                _log.warning("a packet could not be decoded and is skipped: %s", error.strerror)
                continue
            for frame in frames:
                self.num_frames += 1
                if frame.is_corrupt:
                    self.num_damaged += 1
                yield frame

    def _packets(self) -> Iterator[av.Packet]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self.broken = error.strerror or type(error).__name__
                _log.warning("the container ended early: %s", self.broken)
                return
            yield packet


class Clock:
    """Presentation times in seconds, from 0 at the first frame, strictly increasing.

    A frame without a timestamp, or with one that does not increase (damage, raw streams), is placed one
    nominal frame after the last.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self._time_base = time_base
        self._step_ticks = max(1, round(1 / (rate or Fraction(25)) / time_base))
        self._first: int | None = None
        self._last_ticks = -1

    def time_s(self, pts: int | None) -> float:
        """The time of the next frame, whose container timestamp is `pts`."""
        if pts is not None and self._first is None:
            self._first = pts
        ticks = self._last_ticks + 1 if pts is None or self._first is None else pts - self._first
        if self._last_ticks < 0:
            ticks = 0
        elif pts is None or ticks <= self._last_ticks:
            ticks = self._last_ticks + self._step_ticks
        self._last_ticks = ticks
        return float(ticks * self._time_base)


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """(H, W) of a decoded frame after its rotation."""
    size = (frame.height, frame.width)
    return size[::-1] if round(frame.rotation / 90) % 2 else size


def to_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """An (H, W, 3) uint8 RGB picture of a frame, upright, scaled to `size` (H, W) where it differs.

    The rotation that the container asks for is done to the nearest quarter turn. Full and limited range,
    BT.601 and BT.709 are told apart by the stream's own tags. Higher bit depths are reduced to 8.
    """
    turns = round(frame.rotation / 90) % 4  # counter-clockwise, as in numpy.rot90
    height, width = size[::-1] if turns % 2 else size
    picture = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def _why_not(location: str, scheme: str | None, error: av.error.FFmpegError) -> str:
    reason = error.strerror or type(error).__name__
    if scheme is None:
        return (
            f"{location!r} cannot be read as a video ({reason}); expected a file that FFmpeg can open. "
            "An .mp4 that was cut short has lost its index and cannot be opened either"
        )
    reason = reason.replace(location, mask_secrets(location))
    return f"source {mask_secrets(location)!r} cannot be opened ({reason}); check address, password and network"
