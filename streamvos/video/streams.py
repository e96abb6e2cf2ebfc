"""Which stream of a container is the film, and what the container says of it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import av
from av.stream import Disposition

from streamvos.errors import InputError
from streamvos.video.clocks import DEFAULT_RATE
from streamvos.video.display import SQUARE, pixel_aspect
from streamvos.video.info import SourceConfig, expect_few_pixels
from streamvos.video.urls import mask_secrets

_log = logging.getLogger(__name__)
_PICTURE_CODECS = ("mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpeg2000", "jpegls")
_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails
_NO_TIMES = 0x80  # AVFMT_NOTIMESTAMPS: raw H.264, pictures in multipart HTTP
_MPEG_SYSTEMS = ("mpegts", "mpeg")
_SAMPLED_PACKETS = 32


class StreamFacts(NamedTuple):
    """What a container says of its film.

    Args:
        rate: mean frames per second; None where it does not say.
        time_base: unit of the time stamps.
        num_frames: how many are shown; None where unknown.
        is_counted: True where the container counts the frames; otherwise `num_frames` is length times rate.
        num_hidden: frames that an edit list hides: they are decoded and not shown.
        duration_s: length; None where unknown.
        container: FFmpeg's name of it.
        is_fragmented: an MP4 in fragments, whose index is not known beforehand.
        has_no_times: pictures one after the other, without time stamps.
        by_dts: the time stamps are in the order of decoding.
        wrap_ticks: after so many ticks the time stamps begin again at 0; None where they have room for all times.
    """

    rate: Fraction | None
    time_base: Fraction
    num_frames: int | None
    is_counted: bool
    num_hidden: int
    duration_s: float | None
    container: str
    is_fragmented: bool
    has_no_times: bool
    by_dts: bool
    wrap_ticks: int | None


def video_stream(
    container: av.container.InputContainer,
    location: str,
    config: SourceConfig,
    note: Callable[[str], None] = lambda text: None,
) -> av.video.stream.VideoStream:
    """The film among the video streams, with the decoder's threads and limits set.

    Covers and thumbnails are no films. Of several films the one with the most pixels is taken, the first of equals.

    Args:
        note: called with what a reader of the results must know of it.

    Raises:
        InputError: there is none, or it is too large.
    """
    shown = mask_secrets(location)
    videos = container.streams.video
    films = [stream for stream in videos if not stream.disposition & _NO_FILM]
    if not films:
        only = " (only a cover picture)" if videos else ""
        raise InputError(f"source {shown!r} holds no video stream{only}; expected a video")
    films = [stream for stream in films if stream.codec_context is not None]
    if not films:
        raise InputError(f"source {shown!r} holds video of a kind that FFmpeg cannot decode; convert it to H.264 first")
    stream = max(films, key=_rank)
    rivals = [other for other in films if _rank(other)[:2] == _rank(stream)[:2]]
    if len(rivals) > 1 and container.format.name not in ("hls", "dash"):  # where one film has several sizes
        taken = f"stream {stream.index}, {stream.width}x{stream.height}"
        note(f"holds {len(rivals)} films; the one with the most pixels is read ({taken})")
    aspect = pixel_aspect(stream)
    expect_few_pixels(shown, stream.width, stream.height, config, aspect)
    if aspect != SQUARE:
        stored = f"{stream.width}x{stream.height} pixels of {aspect.numerator}:{aspect.denominator}"
        shown_size = f"{max(1, round(stream.width * aspect))}x{stream.height}"
        note(f"has {stored}; it is shown as players do, with {shown_size} square ones")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = config.decode_threads
    return stream


def has_no_times(container: av.container.InputContainer) -> bool:
    """Whether pictures have no time stamps of their own."""
    return bool(container.format.flags & _NO_TIMES)


def facts_of(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> StreamFacts:
    """What the container says; reads on for some packets, so that it must be opened again for decoding."""
    rate = stream.average_rate or stream.guessed_rate
    time_base = stream.time_base or Fraction(1, 90000)
    seconds = None
    if stream.duration:
        seconds = float(stream.duration * time_base)
    elif container.duration:
        seconds = container.duration / 1e6
    is_raw, name = has_no_times(container), container.format.name
    is_mp4 = "mp4" in name.split(",")
    shown, hidden = _shown_and_hidden(stream) if is_mp4 else (stream.frames, 0)
    count = shown or (round(seconds * rate) if seconds and rate else None)
    return StreamFacts(
        DEFAULT_RATE if is_raw else rate or None,
        time_base,
        count,
        stream.frames > 0,
        hidden,
        seconds,
        name,
        is_mp4 and not stream.frames,
        is_raw,
        _is_by_dts(container, stream),
        2**33 if name in _MPEG_SYSTEMS else None,
    )


def _rank(stream: av.video.stream.VideoStream) -> tuple[bool, bool, int, int]:
    """Larger is more of a film: not one picture, not coded as pictures, many pixels, first."""
    is_one = stream.frames == 1 or bool(stream.disposition & Disposition.still_image)
    is_picture = stream.codec_context.name in _PICTURE_CODECS
    return not is_one, not is_picture, stream.width * stream.height, -stream.index


def _shown_and_hidden(stream: av.video.stream.VideoStream) -> tuple[int, int]:
    """Frames of an MP4 that an edit list leaves, and those that it hides but that are decoded; 0 and 0 where unknown.

    The header counts all frames that were ever recorded. The index is looked at where that does not fit their length.
    """
    if not (stream.frames and stream.duration and stream.time_base and stream.average_rate):
        return stream.frames, 0
    if abs(stream.frames - stream.duration * stream.time_base * stream.average_rate) < 1:
        return stream.frames, 0
    marks = [entry.is_discard for entry in stream.index_entries]
    return (marks.count(False), marks.count(True)) if marks else (stream.frames, 0)


def _is_by_dts(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> bool:
    """Whether frames are reordered but their time stamps are not, as in AVI and in files of some multiplexers."""
    if not stream.codec_context.has_b_frames:
        return False
    if container.format.name == "avi":
        return True
    stamps, shown = [], []
    try:
        for packet in itertools.islice(container.demux(stream), _SAMPLED_PACKETS):
            if packet.size:
                stamps.append((packet.pts, packet.dts))
            if packet.size and len(_delays(stamps)) != 1:
                return False
            shown += [frame.pts for frame in packet.decode()]
    except av.error.FFmpegError:
        return False
    return None not in shown and shown != sorted(shown)


def _delays(stamps: list[tuple[int | None, int | None]]) -> set[int]:
    """Differences between showing and decoding; more than one where frames are reordered in the time stamps."""
    return {pts - dts for pts, dts in stamps if pts is not None and dts is not None}
