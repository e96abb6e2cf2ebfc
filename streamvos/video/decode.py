"""What files, streams and cameras share: opening a container, and decoding it whatever is damaged."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator

import av

from streamvos.errors import InputError
from streamvos.video.display import pixel_aspect
from streamvos.video.info import SourceConfig, expect_few_pixels
from streamvos.video.urls import LOCAL_PROTOCOLS, PROTOCOLS, mask_secrets

_log = logging.getLogger(__name__)
_MIB_PIXELS = 2**20


def open_container(location: str, scheme: str | None, config: SourceConfig) -> av.container.InputContainer:
    """Open a path (scheme None) or a URL; raises `InputError` with the secrets masked."""
    options = {"protocol_whitelist": PROTOCOLS[scheme] if scheme else LOCAL_PROTOCOLS}
    if config.containers:
        options["format_whitelist"] = config.containers
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = config.rtsp_transport
        options["fpsprobesize"] = "0"  # or FFmpeg reads seconds of the stream to measure its rate before it begins
    timeout = (config.open_timeout_s, config.read_timeout_s) if scheme else None
    began = time.monotonic()
    try:
        return av.open(location, options=options, timeout=timeout, metadata_errors="replace")
    except av.error.FFmpegError as error:
        waited_s = time.monotonic() - began
        is_silent = scheme is not None and (waited_s >= min(timeout) or isinstance(error, av.error.ExitError))
        reason = f"no answer in {waited_s:.0f} s" if is_silent else error.strerror or type(error).__name__
        raise InputError(_why_not(location, scheme, reason)) from None


class Decoder:
    """Decode a stream and survive damage: what cannot be decoded is skipped and counted, a broken end is just the end.

    A packet that the container marks as damaged is decoded as far as it goes, but for the last one, which is cut off.

    Args:
        container: open.
        stream: of it.
        location: for messages, without secrets.
        config: its `max_pixels` holds for every picture.
        show_marked: decode also packets that are marked to be discarded.

    Attributes:
        num_packets: packets that the container gave.
        num_frames: pictures handed out.
        num_damaged: packets and pictures that could not be used whole.
        num_hidden: packets that an edit list hides.
        broken: what the container said when it ended before its time, or None.
        last_byte: where the last packet ends in the file; None where that is unknown.
        is_cut: whether the last packet is not whole.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        location: str,
        config: SourceConfig,
        show_marked: bool = False,
    ) -> None:
        self._container, self._stream = container, stream
        self._location, self._config, self._show_marked = location, config, show_marked
        self._aspect = pixel_aspect(stream)
        self._size: tuple[int, int] | None = None
        self._lenient: av.video.codeccontext.VideoCodecContext | None = None
        self._options: dict[str, str] = {}
        if config.max_pixels:  # more than that, for sizes that decoders round up; the frames are measured exactly
            self._options["max_pixels"] = str(2 * config.max_pixels + _MIB_PIXELS)
        if stream.codec_context.name == "mjpeg":
            self._lenient = av.CodecContext.create("mjpeg", "r")
            self._lenient.options = dict(self._options)
            self._options["err_detect"] = "explode"  # or damaged JPEGs pass unnoticed
        stream.codec_context.options = dict(self._options)
        self.num_packets = self.num_frames = self.num_damaged = self.num_hidden = 0
        self.broken: str | None = None
        self.last_byte: int | None = None
        self.is_cut = False

    def __iter__(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            self.num_hidden += packet.is_discard and not self._show_marked
            try:
                frames = self._decode(packet)
            except av.error.EOFError:
                return
            except (av.error.MemoryError, av.error.BlockingIOError) as error:  # nothing is wrong with the packet
                self._expect_few_pixels_after(error)  # of HEVC, a picture that is too large
                raise MemoryError(
                    f"no memory, or no thread, to decode with ({error.strerror}); end other programs, or set "
                    "source.decode_threads to 1"
                ) from error
            except av.error.FFmpegError as error:
                self._expect_few_pixels_after(error)
                self.num_damaged += 1
                _log.warning("a packet could not be decoded and is skipped: %s", error.strerror)
                continue
            for frame in frames:
                self.num_frames += 1
                self.num_damaged += frame.is_corrupt
                if (frame.width, frame.height) != self._size:
                    expect_few_pixels(self._location, frame.width, frame.height, self._config, self._aspect)
                    self._size = frame.width, frame.height
                yield frame

    def _packets(self) -> Iterator[av.Packet]:
        """Packets to be decoded, the last of them empty: it makes the decoder give what it holds back."""
        damaged: av.Packet | None = None
        for packet in self._all_packets():
            if damaged is not None and packet.size:
                yield damaged
            self.is_cut, damaged = damaged is not None and not packet.size, None
            if packet.is_corrupt:
                self.num_damaged += 1
                damaged = packet
            else:
                yield packet
        self.is_cut |= damaged is not None

    def _all_packets(self) -> Iterator[av.Packet]:
        packets = self._container.demux(self._stream)
        while True:
            began = time.monotonic()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self.broken = error.strerror or type(error).__name__
                if isinstance(error, av.error.ExitError) or time.monotonic() - began >= self._config.read_timeout_s:
                    self.broken = f"no answer in {self._config.read_timeout_s:g} s"
                _log.warning("the container ended early: %s", self.broken)
                return
            if packet.size:
                self.num_packets += 1
                if packet.pos is not None and packet.pos >= 0:
                    self.last_byte = packet.pos + packet.size
            yield packet

    def _decode(self, packet: av.Packet) -> list[av.VideoFrame]:
        if packet.is_discard and self._show_marked:
            packet = _unmarked(packet)
        try:
            return self._stream.codec_context.decode(packet if packet.size else None)
        except av.error.EOFError:
            raise
        except av.error.FFmpegError:
            if self._lenient is None or not packet.size:
                raise
        frames = self._lenient.decode(_unmarked(packet))
        self.num_damaged += len(frames)
        return frames

    def _expect_few_pixels_after(self, error: av.error.FFmpegError) -> None:
        """Say so where a decoder refused a picture for its size: it forgets the size, or shows it."""
        context = self._stream.codec_context
        if not self._config.max_pixels:
            return
        expect_few_pixels(self._location, context.width, context.height, self._config, self._aspect)
        if self._size is not None and (not context.width or error.errno == errno.ERANGE):  # the latter of AV1
            raise InputError(
                f"source {self._location!r} goes on with larger pictures; expected at most {self._config.max_pixels} "
                f"pixels in all (source.max_pixels): scale it down first ({error.strerror})"
            )


def _unmarked(packet: av.Packet) -> av.Packet:
    """A copy without the mark that its picture is to be discarded."""
    copy = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    return copy


def _why_not(location: str, scheme: str | None, reason: str) -> str:
    if scheme is None:
        return (
            f"{location!r} cannot be read as a video ({reason}); expected a file that FFmpeg can open. "
            "An .mp4 that was cut short has lost its index and cannot be opened either"
        )
    reason = reason.replace(location, mask_secrets(location))
    return f"source {mask_secrets(location)!r} cannot be opened ({reason}); check address, password and network"
