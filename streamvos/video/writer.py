"""H.264 video with the source's own timestamps, in segments that are joined without encoding again.

A segment is a fragmented MP4: cut off at any byte, it plays up to its last whole fragment. There are no
B-frames, so that decoding order is presentation order and segments join at any frame.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

_BT601 = 6  # what OpenCV's conversion computes; written into the stream, so that players undo the same one


_LARGEST_STEP = 2**31 - 1  # units of an MP4 between two frames
_LEAST_UNITS = 10_000  # a second: FFmpeg doubles smaller numbers until they are as large


class SegmentWriter:
    """One segment.

    Args:
        path: the file; its name ends in .mp4.
        size: (H, W) of the pictures; odd sizes are padded by repeating the last row and column.
        time_base: unit of the timestamps, seconds.
        rate: nominal frames per second, for the length of the last frame and the key-frame interval.
        crf: quality, 0 to 51; lower is better and larger.
        preset: of libx264.
        threads: of the encoder.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        time_base: Fraction,
        rate: Fraction,
        crf: int = 23,
        preset: str = "veryfast",
        threads: int = 1,
    ) -> None:
        self._pad = (size[0] % 2, size[1] % 2)
        self._time_base = time_base
        self._duration = max(1, round(1 / rate / time_base))
        flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
        self._container = av.open(str(path.absolute()), "w", options=flags)
        stream = self._container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size[1] + self._pad[1], size[0] + self._pad[0]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = threads
        stream.codec_context.colorspace = _BT601
        interval = min(max(12, round(2 * rate)), 250)  # two seconds
        stream.options = {"preset": preset, "crf": str(crf), "bf": "0", "g": str(interval)}
        self._stream = stream

    def write(self, image: np.ndarray, ticks: int) -> None:
        """Append an (H, W, 3) uint8 RGB picture at `ticks` time bases after the start of the segment."""
        if any(self._pad):
            image = cv2.copyMakeBorder(image, 0, self._pad[0], 0, self._pad[1], cv2.BORDER_REPLICATE)
        planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base, frame.duration = ticks, self._time_base, self._duration
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder holds back, and the end of the file."""
        try:
            self._container.mux(self._stream.encode())
        finally:
            self._container.close()


def join_segments(segments: Sequence[tuple[Path, int]], path: Path, time_base: Fraction) -> list[int]:
    """Copy the packets of all segments into one .mp4.

    Where frames are further apart than an MP4 can hold in this unit (6.6 hours in 1/90000 s), it is made coarser.

    Args:
        segments: each file with the ticks at which it starts; in order. The first can be read.
        path: the file to write.
        time_base: unit of the ticks.

    Returns:
        How many frames came of each segment; fewer than were written where it is damaged.
    """
    options, unit_s = {"movflags": "faststart"}, time_base
    longest = _longest_step(segments, time_base)
    if longest > largest_step(time_base):
        coarser = math.ceil(longest * time_base * _units_a_second(time_base) / _LARGEST_STEP)
        unit_s = Fraction(1, max(1, _units_a_second(time_base) // coarser))
        options["video_track_timescale"] = str(unit_s.denominator)
    counts, last = [], -1
    with av.open(str(path.absolute()), "w", format="mp4", options=options) as output:
        stream = None
        for segment, start in segments:
            counts.append(0)
            with av.open(str(segment.absolute()), options={"protocol_whitelist": "file"}) as container:
                source = container.streams.video[0]
                if stream is None:
                    stream = output.add_stream_from_template(source)
                    stream.time_base = unit_s
                for packet in _packets(container, source):
                    ticks = round(packet.pts * packet.time_base / time_base) + start
                    last = max(round(ticks * time_base / unit_s), last + 1)
                    packet.pts = packet.dts = last  # no B-frames: they are equal
                    packet.duration = max(1, round(packet.duration * packet.time_base / unit_s))
                    packet.time_base = unit_s
                    packet.stream = stream
                    output.mux(packet)
                    counts[-1] += 1
    return counts


def largest_step(time_base: Fraction) -> int:
    """How many ticks two frames of an MP4 may be apart."""
    return int(_LARGEST_STEP / (time_base * _units_a_second(time_base)))


def _units_a_second(time_base: Fraction) -> int:
    units = time_base.denominator
    while units < _LEAST_UNITS:
        units *= 2
    return units


def _longest_step(segments: Sequence[tuple[Path, int]], time_base: Fraction) -> int:
    """Ticks between the two frames that are furthest apart; not more than that where segments start close together."""
    starts = [start for _, start in segments]
    bound = max((later - earlier for earlier, later in itertools.pairwise(starts)), default=0)
    if bound <= largest_step(time_base):
        return bound
    longest, last = 0, starts[0]
    for segment, start in segments:
        with av.open(str(segment.absolute()), options={"protocol_whitelist": "file"}) as container:
            for packet in _packets(container, container.streams.video[0]):
                ticks = round(packet.pts * packet.time_base / time_base) + start
                longest, last = max(longest, ticks - last), ticks
    return longest


def _packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Packets up to the end, or to where the file is damaged."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        if packet.dts is not None and not packet.is_corrupt:  # the flush packet at the end has no time
            yield packet
