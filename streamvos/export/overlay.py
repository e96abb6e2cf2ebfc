"""overlay.mp4: the video with the results drawn in, at the exact times of the source.

Written in segments (`overlay.parts/TICKS.mp4`, named by the time at which they start), which are joined at
the end without encoding again. A run that goes on keeps the segments of its last checkpoint.
"""

from __future__ import annotations

import logging
import shutil
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
        self._start_ticks = self._num_frames = 0
        self._last_ticks = -1
        self._names: list[str] = []

    def write(self, image: np.ndarray, time_s: float) -> None:
        """Append an (H, W, 3) uint8 RGB picture of the source's size."""
        ticks = max(round(time_s / self._info.time_base), self._last_ticks + 1)
        if self._writer is not None and ticks - self._last_ticks > largest_step(self._info.time_base):
            self.end_segment()
        if self._writer is None:
            self._open(ticks)
        self._writer.write(image, ticks - self._start_ticks)
        self._last_ticks = ticks
        self._num_frames += 1
        if self._num_frames >= self._segment_frames:
            self.end_segment()

    def end_segment(self) -> list[str]:
        """Close the segment that is open; returns the names of all segments."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        return list(self._names)

    def resume(self, names: Sequence[str], last_ticks: int) -> None:
        """Go on after these segments; remove others, which were begun after the checkpoint."""
        for path in self._folder.glob("*.mp4"):
            if path.name not in names:
                path.unlink()
        missing = [name for name in names if not (self._folder / name).is_file()]
        if missing:
            raise IntegrityError(
                f"overlay segment {str(self._folder / missing[0])!r} is gone; run again with overwrite=True"
            )
        self._names, self._last_ticks = list(names), last_ticks

    @property
    def last_ticks(self) -> int:
        """Time of the last picture, in time bases; -1 before the first."""
        return self._last_ticks

    def join(self) -> None:
        """Make overlay.mp4 of the closed segments, which stay; nothing where there are none."""
        segments = [(self._folder / name, int(Path(name).stem)) for name in self._names]
        readable = [segment for segment in segments if _is_readable(segment[0])]
        if readable:
            with replacing(self._path) as temporary:
                join_segments(readable, temporary, self._info.time_base)

    def forget_segments(self) -> None:
        """Remove the segments; the run is over."""
        if self._folder.is_dir():
            shutil.rmtree(self._folder)

    def _open(self, ticks: int) -> None:
        self._folder.mkdir(exist_ok=True)
        name = f"{ticks:015d}.mp4"
        crf, preset, threads = self._encoder
        self._writer = SegmentWriter(
            self._folder / name,
            (self._info.height, self._info.width),
            self._info.time_base,
            self._info.rate or _DEFAULT_RATE,
            crf,
            preset,
            threads,
        )
        self._start_ticks, self._num_frames = ticks, 0
        self._names.append(name)


def _is_readable(path: Path) -> bool:
    """Whether a segment holds packets; one that the disk had no room for may not."""
    try:
        with av.open(str(path.absolute()), options={"protocol_whitelist": "file"}) as container:
            return next(container.demux(video=0)).dts is not None
    except (av.error.FFmpegError, OSError, StopIteration, IndexError):
        _log.warning("overlay segment %s cannot be read and is left out", path)
        return False
