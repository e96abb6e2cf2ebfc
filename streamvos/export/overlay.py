"""overlay.mp4: the video with the results drawn in, at the exact times of the source.

Written in segments (`overlay.parts/TICKS.mp4`, named by the time at which they start), which are joined at
the end without encoding again. A run that goes on keeps the segments of its last checkpoint.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamvos.errors import IntegrityError
from streamvos.export.parts import replacing
from streamvos.video.info import SourceInfo
from streamvos.video.writer import SegmentWriter, join_segments, largest_step

_log = logging.getLogger(__name__)
_DEFAULT_RATE = Fraction(25)


class OverlayWriter:
    """Encodes pictures into segments.

    Args:
        path: of overlay.mp4.
        info: of the source: size, rate, time base.
        crf, preset, threads: of the encoder.
        segment_frames: a segment is closed after so many frames at the latest.
    """

    def __init__(self, path: Path, info: SourceInfo, crf: int, preset: str, threads: int, segment_frames: int) -> None:
        self._path, self._info = path, info
        self._encoder = (crf, preset, threads)
        self._segment_frames = segment_frames
        self._folder = path.with_name("overlay.parts")
        self._writer: SegmentWriter | None = None
        self._start_ticks = 0
        self._last_ticks = -1
        self._name = ""  # of the segment that is open
        self._frames: dict[str, int] = {}  # in each segment, in order

    def write(self, image: np.ndarray, time_s: float) -> None:
        """Append an (H, W, 3) uint8 RGB picture of the source's size."""
        ticks = max(round(time_s / self._info.time_base), self._last_ticks + 1)
        if self._writer is not None and ticks - self._last_ticks > largest_step(self._info.time_base):
            self.end_segment()
        if self._writer is None:
            self._open(ticks)
        self._writer.write(image, ticks - self._start_ticks)
        self._last_ticks = ticks
        self._frames[self._name] += 1
        if self._frames[self._name] >= self._segment_frames:
            self.end_segment()

    def end_segment(self) -> None:
        """Close the segment that is open."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def mark(self) -> list[tuple[str, int, int]]:
        """Close the segment that is open; name, frames and bytes of each, for `resume`."""
        self.end_segment()
        return [(name, frames, (self._folder / name).stat().st_size) for name, frames in self._frames.items()]

    def resume(self, segments: Sequence[tuple[str, int, int]], last_ticks: int) -> None:
        """Go on after the segments of a `mark`; remove others, which were begun after the checkpoint.

        Raises:
            IntegrityError: one of them is gone, or not what it was.
        """
        names = [name for name, _, _ in segments]
        for path in self._folder.glob("*.mp4"):
            if path.name not in names:
                path.unlink()
        for name, _, size in segments:
            path = self._folder / name
            if not re.fullmatch(r"\d+\.mp4", name) or not path.is_file() or path.stat().st_size != size:
                raise IntegrityError(f"overlay segment {str(path)!r} is gone or damaged; run again with overwrite=True")
        self._frames, self._last_ticks = {name: frames for name, frames, _ in segments}, last_ticks

    @property
    def last_ticks(self) -> int:
        """Time of the last picture, in time bases; -1 before the first."""
        return self._last_ticks

    def join(self) -> None:
        """Make overlay.mp4 of the closed segments, which stay; nothing where there are none.

        Raises:
            IntegrityError: frames that were written are missing; what can be read is joined all the same.
        """
        readable = [name for name in self._frames if _is_readable(self._folder / name)]
        counts: list[int] = []
        if readable:
            segments = [(self._folder / name, int(Path(name).stem)) for name in readable]
            with replacing(self._path) as temporary:
                counts = join_segments(segments, temporary, self._info.time_base)
        joined = dict(zip(readable, counts, strict=True))
        damaged = [name for name, frames in self._frames.items() if joined.get(name, 0) < frames]
        if damaged:
            total = sum(self._frames.values())
            raise IntegrityError(
                f"overlay.mp4 lacks {total - sum(counts)} of {total} frames: its segment "
                f"{str(self._folder / damaged[0])!r} is damaged; all other results are whole, run again with "
                "overwrite=True for this one"
            )

    def _open(self, ticks: int) -> None:
        self._folder.mkdir(exist_ok=True)
        self._name = f"{ticks:015d}.mp4"
        crf, preset, threads = self._encoder
        self._writer = SegmentWriter(
            self._folder / self._name,
            (self._info.height, self._info.width),
            self._info.time_base,
            self._info.rate or _DEFAULT_RATE,
            crf,
            preset,
            threads,
        )
        self._start_ticks = ticks
        self._frames[self._name] = 0


def _is_readable(path: Path) -> bool:
    """Whether a segment holds packets; one that the disk had no room for may not."""
    try:
        with av.open(str(path.absolute()), options={"protocol_whitelist": "file"}) as container:
            return next(container.demux(video=0)).dts is not None
    except (av.error.FFmpegError, OSError, StopIteration, IndexError):
        _log.warning("overlay segment %s cannot be read and is left out", path)
        return False
