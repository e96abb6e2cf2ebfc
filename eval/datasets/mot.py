"""MOTChallenge as it lies on disk (MOT15, MOT16, MOT17, MOT20), and data sets of the same layout.

Layout: `<sequence>/seqinfo.ini`, `<sequence>/gt/gt.txt`, and the frames in the folder that seqinfo.ini names as
`imDir` (relative to the sequence; `img1` where it names none). Sequences lie in the root or in its folder `train` or
`mot`; beside `mot`, frames are also found in `JPEGImages/480p/<sequence>`, where composed benchmarks keep them. Frames
may be missing where only results are scored.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from streamvos.errors import InputError, unknown_name
from streamvos.foreign_files import is_folder
from streamvos.video.images import find_images
from streamvos.video.names import folders_in
from streamvos.video.rates import parse_rate

# Sets whose truth says what each box shows, by how their sequences are named; in others (MOT15) all boxes count.
_WITH_CLASSES = ("MOT16", "MOT17", "MOT20")
_PLACES = ("", "train", "mot")
_TRUTH_VALUES = 8
_MOST_FRAMES = 10_000_000  # of a sequence; TrackEval makes lists of so many


@dataclass(frozen=True)
class MotSequence:
    """One sequence on disk.

    Args:
        name: of the sequence.
        truth: its gt.txt.
        num_frames: its length, also where the frames are not there.
        rate: frames per second.
        frames_folder: where the frames are, or should be.
    """

    name: str
    truth: Path
    num_frames: int
    rate: Fraction
    frames_folder: Path

    @property
    def benchmark(self) -> str:
        """The set whose rules apply: "MOT15" where only boxes count, a later one where boxes have classes."""
        return next((name for name in _WITH_CLASSES if self.name.startswith(f"{name}-")), "MOT15")

    def frames(self) -> list[Path]:
        """The pictures, in order.

        Raises:
            InputError: there are none, or not as many as the sequence is long.
        """
        if not is_folder(self.frames_folder):
            raise InputError(
                f"sequence {self.name}: expected frames in {str(self.frames_folder)!r} (imDir of seqinfo.ini); "
                "without frames, give the results to be scored as --results DIR"
            )
        frames, _ = find_images(str(self.frames_folder))
        if len(frames) != self.num_frames:
            raise InputError(f"sequence {self.name}: expected {self.num_frames} frames, got {len(frames)}")
        return frames


def find_sequences(root: Path, names: Sequence[str] | None = None) -> list[MotSequence]:
    """The sequences under a root, all of them or those named, in order of name.

    Raises:
        InputError: no such layout, an unknown name, or an incomplete seqinfo.ini.
    """
    for place in (root / folder for folder in _PLACES):
        there = [path.name for path in folders_in(place) if (path / "seqinfo.ini").is_file()] if place.is_dir() else []
        if there:
            for name in names or ():
                if name not in there:
                    raise unknown_name("MOT sequence", name, there)
            return [_sequence(place / name) for name in there if not names or name in names]
    raise InputError(f"{str(root)!r} is not a MOTChallenge folder: expected <sequence>/seqinfo.ini and gt/gt.txt")


def truth_lines(path: Path) -> list[str]:
    """The lines of a gt.txt in the order of frames, without blank ones.

    Raises:
        InputError: a line with fewer values than TrackEval needs, or without the number of a frame; names it.
    """
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        values = [value.strip() for value in line.replace(" ", ",").split(",") if value.strip()]
        if not values:
            continue
        if len(values) < _TRUTH_VALUES or not re.fullmatch("[0-9]{1,9}", values[0]):
            raise InputError(
                f"{path}, line {number}: expected frame, id, left, top, width, height, flag, class (at least "
                f"{_TRUTH_VALUES} values), got {line[:80]!r}"
            )
        lines.append((int(values[0]), line))
    return [line for _, line in sorted(lines, key=lambda entry: entry[0])]


def _sequence(folder: Path) -> MotSequence:
    info, truth = configparser.ConfigParser(interpolation=None), folder / "gt" / "gt.txt"
    try:
        info.read(folder / "seqinfo.ini", encoding="utf-8-sig")
        part = info["Sequence"]
        num_frames = int(part["seqLength"])
        if not 1 <= num_frames <= _MOST_FRAMES:
            raise ValueError(f"1 to {_MOST_FRAMES}, got {part['seqLength']}")
    except (configparser.Error, KeyError, ValueError) as error:
        raise InputError(
            f"{str(folder / 'seqinfo.ini')!r}: expected [Sequence] with seqLength, a number of frames ({error})"
        ) from None
    if not truth.is_file():
        raise InputError(f"sequence {folder.name}: expected its truth as {str(truth)!r}")
    try:
        rate = parse_rate(part.get("frameRate", "25"))
    except InputError as error:
        raise InputError(f"{str(folder / 'seqinfo.ini')!r}: frameRate: {error}") from None
    truth_lines(truth)  # now, not when hours of following are over
    frames, elsewhere = folder / part.get("imDir", "img1"), folder.parent.parent / "JPEGImages" / "480p" / folder.name
    if not is_folder(frames) and folder.parent.name == "mot" and elsewhere.is_dir():
        frames = elsewhere
    return MotSequence(folder.name, truth, num_frames, rate, frames)
