"""RGB-D folders: colour with depth in metres and the camera matrix.

Two layouts. 7-Scenes (Shotton et al., CVPR 2013): `frame-000000.color.jpg|png`, `.depth.png` (16 bits,
millimetres; 0 and 65535 are unknown), `.pose.txt`, and `camera-intrinsics.txt` (3x3). TUM RGB-D (Sturm et
al., IROS 2012): `rgb.txt` and `depth.txt` list `timestamp file`, depth is 16 bits, 5000 to the metre, 0 is
unknown; each colour picture takes the depth picture nearest in time. Colour and depth must be of one size,
aligned.
"""

from __future__ import annotations

import bisect
import itertools
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from streamvos.errors import InputError
from streamvos.foreign_files import is_file, picture_errors
from streamvos.records import Frame
from streamvos.video.images import expect_one_size, opened, to_rgb
from streamvos.video.info import Source, SourceConfig, SourceInfo, expect_few_pixels
from streamvos.video.names import is_image, natural_key, printable, safe_name
from streamvos.video.prefetch import Prefetch
from streamvos.video.rates import parse_rate, parse_time

_log = logging.getLogger(__name__)
INTRINSICS_FILE = "camera-intrinsics.txt"
_MICROSECOND = Fraction(1, 1_000_000)
_PAUSED_SHARE = 10  # of the usual rate: a mean further below it tells of pauses
# Units that are not seconds: since which time of the clock (1970 and later), and from which step between two pictures.
_UNITS = (("nanoseconds", 10**17, 10**6), ("microseconds", 10**14, 10**4), ("milliseconds", 10**11, float("inf")))
_PER_SECOND = {"nanoseconds": 10**9, "microseconds": 10**6, "milliseconds": 10**3}
# The cameras of the TUM sequences (vision.in.tum.de/data/datasets/rgbd-dataset/file_formats): fx, fy, cx, cy.
_TUM_CAMERAS = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
}
_TUM_DEFAULT = (525.0, 525.0, 319.5, 239.5)


class Pair(NamedTuple):
    """One moment: colour, depth (None where no picture is near in time), time."""

    colour: Path
    depth: Path | None
    time_s: float


class RgbdFolder(Source):
    """Colour and depth pictures of a folder, in order of time.

    Args:
        folder: in one of the two layouts.
        start_index, max_frames: first index, and the index at which to stop.
    """

    def __init__(
        self,
        folder: Path,
        config: SourceConfig,
        stream_id: str | None = None,
        start_index: int = 0,
        max_frames: int | None = None,
    ) -> None:
        is_tum = layout_of(folder) == "tum"
        rate = None if is_tum else parse_rate(config.rgbd_rate)
        pairs = _tum_pairs(folder, config.depth_gap_s) if is_tum else _seven_scenes_pairs(folder, 1 / rate)
        self._pairs = pairs[:max_frames]
        self._invalid, self._per_metre = (0, 5000.0) if is_tum else (65535, 1000.0)
        self._intrinsics = _intrinsics(folder, is_tum)
        height, width = expect_one_size([pair.colour for pair in self._pairs])
        expect_few_pixels(str(self._pairs[0].colour), width, height, config)
        span_s = self._pairs[-1].time_s
        if rate is None and span_s > 0:
            rate = _usual_rate([pair.time_s for pair in self._pairs])
        time_base = _MICROSECOND if is_tum else 1 / rate
        name = safe_name(folder.resolve().name)
        shown, count = printable(str(folder)), len(self._pairs)
        super().__init__(SourceInfo(name, "rgbd", shown, width, height, rate, count, span_s, False, time_base))
        without = sum(pair.depth is None for pair in self._pairs)
        if without:
            self.warnings.append(f"{name}: {without} colour pictures have no depth within {config.depth_gap_s} s")
            _log.warning(self.warnings[-1])
        self._stream_id, self._start, self._config = stream_id or name, start_index, config
        self._frames = Prefetch(self._read, config.prefetch_frames)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()

    def _read(self) -> Iterator[Frame]:
        for index in range(self._start, len(self._pairs)):
            pair = self._pairs[index]
            with opened(pair.colour) as picture:
                expect_few_pixels(str(pair.colour), *picture.size, self._config)  # it may be another one by now
                image = to_rgb(pair.colour, picture)
            depth = self._depth(pair, image.shape[:2])
            yield Frame(self._stream_id, index, pair.time_s, image, depth, self._intrinsics)

    def _depth(self, pair: Pair, size: tuple[int, int]) -> np.ndarray:
        if pair.depth is None:
            return np.zeros(size, np.float32)
        raw = _read_depth(pair.depth)
        if raw.shape != size:
            raise InputError(
                f"depth {str(pair.depth)!r} is {raw.shape[1]}x{raw.shape[0]}, its colour picture "
                f"{size[1]}x{size[0]}; expected depth aligned to colour, of the same size"
            )
        depth = raw.astype(np.float32) / np.float32(self._per_metre)
        depth[raw == self._invalid] = 0
        return depth


def layout_of(folder: Path) -> str | None:
    """ "7scenes", "tum", or None where the folder is not RGB-D."""
    if (folder / "rgb.txt").is_file() and (folder / "depth.txt").is_file():
        return "tum"
    if any(map(is_image, folder.glob("frame-*.color.*"))) and next(folder.glob("frame-*.depth.png"), None):
        return "7scenes"
    return None


def read_pose(path: Path) -> np.ndarray:
    """A (4, 4) float64 camera-to-world matrix of a 7-Scenes `.pose.txt`."""
    return _matrix(path, 4)


def _seven_scenes_pairs(folder: Path, step: Fraction) -> list[Pair]:
    pairs = []
    colours = [path for path in folder.glob("frame-*.color.*") if is_image(path)]
    for index, colour in enumerate(sorted(colours, key=natural_key)):
        depth = folder / (colour.name.split(".")[0] + ".depth.png")
        if not depth.is_file():
            raise InputError(f"{str(colour)!r} has no depth picture; expected {depth.name} beside it")
        pairs.append(Pair(colour, depth, float(index * step)))
    return pairs


def _tum_pairs(folder: Path, gap_s: float) -> list[Pair]:
    colours, depths = _tum_list(folder / "rgb.txt"), _tum_list(folder / "depth.txt")
    _expect_seconds(folder / "rgb.txt", colours)
    times = [row.time_s for row in depths]
    pairs, last_ticks, last_line = [], -1, 0
    for time, colour, line in colours:
        at = bisect.bisect_left(times, time)
        near = min(range(max(0, at - 1), min(len(times), at + 1)), key=lambda i: abs(times[i] - time))
        depth = depths[near].file if abs(times[near] - time) <= Fraction(gap_s) else None
        ticks = round((time - colours[0].time_s) / _MICROSECOND)
        if ticks == last_ticks:
            raise InputError(
                f"{folder / 'rgb.txt'}, line {line}: expected a time of its own, got that of line {last_line} "
                f"({float(time):.6f} s); remove one of the two, or write more digits"
            )
        pairs.append(Pair(colour, depth, float(ticks * _MICROSECOND)))
        last_ticks, last_line = ticks, line
    return pairs


def _usual_rate(times_s: list[float]) -> Fraction:
    """Mean frames per second; where long pauses spoil the mean, that of most frames."""
    mean = Fraction((len(times_s) - 1) / times_s[-1]).limit_denominator(1001)
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(times_s))
    usual = Fraction(1 / steps[len(steps) // 2]).limit_denominator(1001)
    return usual if mean * _PAUSED_SHARE < usual else mean


class _Row(NamedTuple):
    """A line of rgb.txt or depth.txt."""

    time_s: Fraction
    file: Path
    line: int


def _tum_list(path: Path) -> list[_Row]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        words = line.split(maxsplit=1)
        if not words or words[0].startswith("#"):
            continue
        try:
            time, file = parse_time(words[0]), path.parent / words[1].strip()
        except (ValueError, IndexError):
            raise InputError(f"{path}, line {number}: expected 'timestamp file', got {line[:80]!r}") from None
        if not is_file(file):  # more may stand behind the name
            file = path.parent / words[1].split()[0]
        if not is_file(file):
            raise InputError(f"{path}, line {number}: {str(file)!r} does not exist")
        rows.append(_Row(time, file, number))
    if not rows:
        raise InputError(f"{path} lists no pictures; expected lines 'timestamp file'")
    return sorted(rows, key=lambda row: (row.time_s, row.line))


def _expect_seconds(path: Path, rows: list[_Row]) -> None:
    """Raise `InputError` where times are so large, or so far apart, that another unit must be meant."""
    steps = sorted(later.time_s - earlier.time_s for earlier, later in itertools.pairwise(rows))
    step = steps[len(steps) // 2] if steps else 0
    largest = max(abs(row.time_s) for row in rows)
    unit = next((name for name, since, _ in _UNITS if largest >= since), None)
    unit = unit or next((name for name, _, apart in _UNITS if step >= apart), None)
    if unit is not None:
        raise InputError(
            f"{path}, line {rows[0].line}: expected seconds, got {_shown(rows[0].time_s)}; are these {unit}? "
            f"Divide them (here and in depth.txt) by {_PER_SECOND[unit]:,}"
        )


def _shown(time: Fraction) -> str:
    return str(time.numerator) if time.denominator == 1 else f"{float(time):.6f}"


def _intrinsics(folder: Path, is_tum: bool) -> np.ndarray:
    path = folder / INTRINSICS_FILE
    if path.is_file():
        return _matrix(path, 3)
    if not is_tum:
        raise InputError(
            f"RGB-D folder {str(folder)!r} has no {INTRINSICS_FILE}; write the 3x3 camera matrix there "
            "(the Kinect of 7-Scenes: '585 0 320', '0 585 240', '0 0 1')"
        )
    camera = next((name for name in _TUM_CAMERAS if name in str(folder.resolve())), None)
    fx, fy, cx, cy = _TUM_CAMERAS[camera] if camera else _TUM_DEFAULT
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _matrix(path: Path, side: int) -> np.ndarray:
    try:
        matrix = np.loadtxt(path, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected {side} lines of {side} numbers ({error})") from None
    if matrix.shape != (side, side) or not np.isfinite(matrix).all():
        raise InputError(f"{path}: expected a finite {side}x{side} matrix, got shape {matrix.shape}")
    return matrix


def _read_depth(path: Path) -> np.ndarray:
    with picture_errors(f"depth {str(path)!r}"), Image.open(path) as image:
        raw = np.asarray(image)
    if raw.ndim != 2 or raw.dtype == np.uint8 or raw.dtype.kind not in "iu":
        raise InputError(f"depth {str(path)!r}: expected 16-bit grey, got {raw.shape} {raw.dtype}")
    return raw
