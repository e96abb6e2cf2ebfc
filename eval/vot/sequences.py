"""Sequences in the VOT toolkit's layout, written from folders in the DAVIS layout and read back.

A sequence is a folder with `sequence` (its properties), `color/%08d.jpg` (numbered from 1) and one
`groundtruth_<object>.txt` for each object, with a region a line: `0` where nothing is known, which it is until the
object is given to the tracker (at the first other line), an empty mask where it is away. Pixels of the void label 255
become the object `_ignore`, which the toolkit leaves out of every overlap. Where a sequence has `evaluation.tag`, with
a 0 or 1 for each frame, only frames of 1 are scored, as in the stacks of VOTS validation sets.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.datasets.mask_sequences import MaskSequence
from eval.datasets.vot_regions import (
    EMPTY,
    UNKNOWN,
    Mask,
    PackedRegions,
    Region,
    Special,
    cropped,
    format_region,
    read_trajectory,
    write_trajectory,
)
from eval.metrics.vots import VotsScores, score_sequence
from streamvos.errors import InputError
from streamvos.foreign_files import exists, is_file, read_text
from streamvos.masks import VOID, ids_in
from streamvos.video.images import image_size

IGNORE = "_ignore"
_PATTERN = re.compile(r"[^%]*%0?[0-9]{0,2}d[^%]*")
_MOST_DIGITS = 9  # of a number of frames
_FPS = 24  # whole numbers only; nothing here depends on it


@dataclass(frozen=True)
class VotSequence:
    """A sequence as the toolkit sees it.

    Args:
        name: of its folder.
        frames: one picture for each frame.
        size: (H, W) of the frames.
        objects: truth of each object, a region for each frame.
        ignore: regions that are in no overlap, one for each frame, or None.
        scored: whether each frame is scored, or None for all.
    """

    name: str
    frames: tuple[Path, ...]
    size: tuple[int, int]
    objects: Mapping[str, Sequence[Region]]
    ignore: Sequence[Region] | None = None
    scored: Sequence[bool] | None = None

    def score(self, results: Mapping[str, Sequence[Region]]) -> VotsScores:
        """Measure the regions of each object."""

        def chosen(regions: Sequence[Region]) -> Sequence[Region]:
            if self.scored is None:
                return regions
            packed = regions if isinstance(regions, PackedRegions) else PackedRegions.of(regions)
            return packed.chosen(self.scored)

        said, true = ({name: chosen(of) for name, of in part.items()} for part in (results, self.objects))
        return score_sequence(said, true, self.size, None if self.ignore is None else chosen(self.ignore))

    def starts(self) -> dict[str, int]:
        """The frame at which each object is given to the tracker, objects in the toolkit's order."""
        starts = {
            name: next((index for index, region in enumerate(truth) if not isinstance(region, Special)), None)
            for name, truth in self.objects.items()
        }
        unseen = [name for name, start in starts.items() if start is None]
        if unseen:
            raise InputError(f"sequence {self.name}: expected a mask of every object, got none of {unseen}")
        return dict(sorted(starts.items(), key=lambda item: (item[1], item[0])))

    def result_name(self, object_name: str) -> str:
        """Name of the file, without ending, in which the toolkit keeps an object's result."""
        return f"{self.name}_001" if len(self.objects) == 1 else f"{self.name}_{object_name}_001"


def write_sequence(sequence: MaskSequence, folder: Path, visible_px: int = 1) -> None:
    """Write a sequence in VOT's layout; frames are linked, or copied where links cannot be made.

    Args:
        sequence: annotated where something is known; frames without annotation become frames without truth.
        folder: made where absent.
        visible_px: an object is given to the tracker in the first frame with so many pixels of it, and there at least
            two wide and high; until then nothing is known of it.

    Raises:
        InputError: pictures of other sizes, or no object that is ever given.
    """
    try:
        sequence.check_sizes()
        trajectories = _trajectories(sequence, visible_px)
    except InputError as error:
        raise InputError(f"sequence {sequence.name}: {error}") from None
    (folder / "color").mkdir(parents=True, exist_ok=True)
    suffix = sequence.frames[0].suffix
    for index, frame in enumerate(sequence.frames, start=1):
        _link(frame, folder / "color" / f"{index:08d}{suffix}")
    for name, regions in trajectories.items():
        write_trajectory(folder / f"groundtruth_{name}.txt", regions)
    height, width = image_size(sequence.frames[0])
    properties = {
        "channels.color": f"color/%08d{suffix}",
        "fps": _FPS,
        "height": height,
        "length": len(sequence.frames),
        "name": sequence.name,
        "width": width,
    }
    (folder / "sequence").write_text("".join(f"{key}={value}\n" for key, value in properties.items()), encoding="utf-8")


def read_sequence(folder: Path) -> VotSequence:
    """Read a sequence in VOT's layout.

    Raises:
        InputError: files are missing or damaged.
    """
    if not is_file(folder / "sequence"):
        raise InputError(f"{folder} is not a VOT sequence: expected the file {folder / 'sequence'}")
    lines = read_text(folder / "sequence", str(folder / "sequence")).splitlines()
    properties = dict(line.split("=", 1) for line in lines if "=" in line)
    pattern = folder / properties.get("channels.color", "color/%08d.jpg")
    if "%" not in pattern.name:
        pattern = pattern / "%08d.jpg"
    length = _length(properties, pattern)
    frames = tuple(pattern.with_name(pattern.name % (index + 1)) for index in range(length))
    if not frames or not is_file(frames[0]):
        raise InputError(f"{folder}: expected frames {pattern}")
    files = sorted(folder.glob("groundtruth_*.txt")) or [folder / "groundtruth.txt"]
    objects = {path.stem.partition("_")[2] or "object": read_trajectory(path).filled(length) for path in files}
    ignore = objects.pop(IGNORE, None)
    return VotSequence(
        folder.name, frames, image_size(frames[0]), objects, ignore, _tag(folder / "evaluation.tag", length)
    )


def _trajectories(sequence: MaskSequence, visible_px: int) -> dict[str, PackedRegions]:
    """Truth of each object, and of what is to be ignored."""
    length, unknown, away = len(sequence.annotations), str(UNKNOWN), format_region(EMPTY)
    objects: dict[int, list[str]] = {}
    void = [away] * length
    for index, labels in enumerate(sequence.label_maps()):
        if labels is None:
            continue
        for regions in objects.values():
            regions[index] = away
        for object_id in ids_in(labels):
            region = cropped(Mask(labels == object_id))
            is_seen = min(region.pixels.shape) > 1 and region.pixels.sum() >= visible_px
            if object_id in objects or is_seen:
                objects.setdefault(object_id, [unknown] * length)[index] = format_region(region)
        void[index] = format_region(cropped(Mask(labels == VOID)))
    if not objects:
        raise InputError(
            f"expected an object at least two pixels wide and high, and of {visible_px} pixels or more, got none"
        )
    named = {str(object_id): PackedRegions(lines) for object_id, lines in sorted(objects.items())}
    return named | ({IGNORE: PackedRegions(void)} if set(void) != {away} else {})


def _length(properties: Mapping[str, str], pattern: Path) -> int:
    """How many frames there are; raises `InputError` where the pattern is none, or more are told than can be there."""
    if not _PATTERN.fullmatch(pattern.name):
        raise InputError(f"{pattern}: expected names of frames such as %08d.jpg")
    folder = pattern.parent
    there = [path for path in folder.iterdir() if path.suffix == pattern.suffix] if exists(folder) else []
    told = properties.get("length", str(len(there))).strip()
    if not told.isdecimal() or len(told) > _MOST_DIGITS or int(told) > len(there):
        raise InputError(f"{folder}: expected as many frames as `sequence` tells, {told!r}, got {len(there)}")
    return int(told)


def _tag(path: Path, length: int) -> list[bool] | None:
    """A truth value for each frame; missing lines are false."""
    if not path.is_file():
        return None
    lines = read_text(path, str(path)).splitlines()
    return [index < len(lines) and lines[index].strip() == "1" for index in range(length)]


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.symlink(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
