"""LVOS (v1 and v2) as it lies on disk: long videos, objects that come and go, a meta file with their ranges.

Layout, for one split: `JPEGImages/<video>/00000001.jpg`, `Annotations/<video>/00000001.png` and `valid_meta.json`
({"videos": {video: {"objects": {id: {"frame_range": {"start", "end", "frame_nums"}}}}}}). Which videos show classes
that are unseen in training is told by `unseen_videos.txt`, a name a line, which comes with the evaluation package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.datasets.mask_sequences import MaskSequence, choose, expect_folders, pair_up, subfolders
from streamvos.errors import InputError
from streamvos.foreign_files import read_json, read_text
from streamvos.video.names import files_in, natural_key

EVERY = 5  # frames


@dataclass(frozen=True)
class FrameRange:
    """When an object is there, by the numbers in the names of the frames.

    Args:
        start: of its first frame. end: of the frame at which counting ends. num_frames: annotated ones between them.
    """

    start: int
    end: int
    num_frames: int

    def scored(self) -> tuple[int, ...]:
        """Numbers of the frames it is scored on; raises `InputError` where the range holds more than are counted."""
        last = self.num_frames - 1
        num_numbers = max(0, -((self.start - self.end) // EVERY))
        if num_numbers > self.num_frames or self.num_frames < 3:
            raise InputError(
                f"expected a frame range with at least 3 annotated frames, every {EVERY}th of it, got frames "
                f"{self.start} to {self.end} and {self.num_frames} annotated ones"
            )
        numbers = range(self.start, self.end, EVERY)
        return tuple(number for place, number in enumerate(numbers) if place not in (0, last))


@dataclass(frozen=True)
class LvosSplit:
    """One split of LVOS.

    Args:
        root: folder that holds `JPEGImages`, `Annotations` and the meta file.
        ranges: of the objects of each video, by the meta file.
        unseen: names of videos of unseen classes.
    """

    root: Path
    ranges: Mapping[str, Mapping[int, FrameRange]]
    unseen: frozenset[str]

    def names(self, chosen: Sequence[str] | None = None) -> list[str]:
        """The videos of the meta file, or those chosen; raises `InputError` for unknown ones."""
        return choose("LVOS", chosen, sorted(self.ranges, key=natural_key))

    def sequence(self, name: str) -> MaskSequence:
        """One video; raises `InputError` where its frames, or annotations of frames, are not there."""
        return pair_up(name, self.root / "JPEGImages" / name, self.root / "Annotations" / name, dense=False)


def read_split(root: Path, subset: str = "valid", unseen: Path | None = None) -> LvosSplit:
    """Read what a split says of itself.

    Args:
        root: folder of the split.
        subset: the meta file is `<subset>_meta.json`.
        unseen: list of videos; `unseen_videos.txt` in the root where None.

    Raises:
        InputError: not an LVOS layout, a malformed meta file, no list, or a video that is not there.
    """
    inside = [name for name in ("valid", "val") if (root / name / "JPEGImages").is_dir()]
    hint = f"; give the folder of the split, {root / inside[0]}" if inside else ""
    expect_folders(root, "an LVOS", root / "JPEGImages", root / "Annotations", hint=hint)
    ranges = _read_meta(root, subset)
    there = subfolders(root / "Annotations")
    missing = sorted(set(ranges) - set(there))
    if missing:
        raise InputError(
            f"{subset}_meta.json names {len(ranges)} videos, of which {len(missing)} are not in {root / 'Annotations'} "
            f"(first: {missing[0]}); complete the data"
        )
    path = root / "unseen_videos.txt" if unseen is None else unseen
    if not path.is_file():
        raise InputError(
            f"{path} is not there; the evaluation package of LVOS (lvos-evaluation) has it: put it there, or give "
            "--unseen FILE with the names of the videos of unseen classes (an empty file: all are seen)"
        )
    return LvosSplit(root, ranges, frozenset(read_text(path, str(path)).split()))


def frame_numbers(sequence: MaskSequence) -> list[int]:
    """The numbers in the names of a video's frames; raises `InputError` for names that are none."""
    for path in sequence.frames:
        if not path.stem.isdecimal():
            raise InputError(f"expected frames named by their numbers, such as 00000001.jpg, got {path.name}")
    return [int(path.stem) for path in sequence.frames]


def _read_meta(root: Path, subset: str) -> dict[str, dict[int, FrameRange]]:
    path = root / f"{subset}_meta.json"
    if not path.is_file():
        there = ", ".join(other.name for other in files_in(root, "*_meta.json")) or "none"
        raise InputError(f"expected {path} (--set {subset}); meta files there: {there}")
    try:
        videos = read_json(path, str(path))["videos"]
        ranges = {
            name: {int(key): _frame_range(entry) for key, entry in video["objects"].items()}
            for name, video in videos.items()
        }
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f'{path}: expected {{"videos": {{name: {{"objects": {{id: {{"frame_range": {{"start", "end", "frame_nums"}}'
            f"}}}}}}}}}}, got something else ({type(error).__name__}: {error})"
        ) from None
    if not any(ranges.values()):
        raise InputError(f"{path} names no object")
    return ranges


def _frame_range(entry: Mapping[str, Any]) -> FrameRange:
    span = entry["frame_range"]
    return FrameRange(int(span["start"]), int(span["end"]), int(span["frame_nums"]))
