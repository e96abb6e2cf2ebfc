"""CDnet 2014 as it lies on disk: one video, a folder of videos, or categories of videos.

Layout: `<category>/<video>/input/in000001.jpg`, `groundtruth/gt000001.png`, `temporalROI.txt` (the first and the last
frame that are scored; all where the file is absent). Composed data has its videos in `cdnet`. The region of interest
is in the labels (85 is outside), so its picture is not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from streamvos.errors import InputError, unknown_name
from streamvos.foreign_files import picture_errors, read_text
from streamvos.video.images import find_images
from streamvos.video.info import Source
from streamvos.video.names import folders_in
from streamvos.video.sources import open_source


@dataclass(frozen=True)
class CdnetVideo:
    """One video on disk.

    Args:
        category: "" where the videos lie in none.
        name: of its folder.
        folder: that holds `input` and `groundtruth`.
        numbers: of the frames, in order, as their names have them.
        first, last: numbers between which frames are scored, both included.
    """

    category: str
    name: str
    folder: Path
    numbers: tuple[int, ...]
    first: int
    last: int

    @property
    def path(self) -> str:
        """Category and name, as results are laid out."""
        return f"{self.category}/{self.name}" if self.category else self.name

    def open(self, max_frames: int | None = None) -> Source:
        """All frames, also those before the scored ones; to be used in a `with` block."""
        return open_source(self.folder / "input", max_frames=max_frames)

    def labels(self, number: int) -> np.ndarray | None:
        """The (H, W) uint8 truth of a frame, None where it is not scored."""
        if not self.first <= number <= self.last:
            return None
        path = self.folder / "groundtruth" / f"gt{number:06d}.png"
        if not path.is_file():
            raise InputError(f"{path} is missing: expected the truth of each frame that temporalROI.txt names")
        with picture_errors(f"truth {path}"), Image.open(path) as picture:
            return np.array(picture.convert("L"))  # some are palettes of greys


def find_videos(root: Path, names: Sequence[str] | None = None) -> list[CdnetVideo]:
    """The videos of a CDnet folder, all of them or those named (`highway` or `baseline/highway`), in order of name.

    Args:
        root: one video, a folder of videos, of categories, or composed data, whose videos lie in `cdnet`.
        names: None for all.

    Raises:
        InputError: no such layout, or no such video.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; expected a video of CDnet or a folder of several")
    if _is_video(root):
        there = [_video("", root)]
    else:
        parent = root / "cdnet" if (root / "cdnet").is_dir() else root
        there = [_video("", folder) for folder in _folders(parent) if _is_video(folder)]
        for category in _folders(parent):
            there += [_video(category.name, folder) for folder in _folders(category) if _is_video(folder)]
    if not there:
        raise InputError(f"{root} is no CDnet folder: expected folders with input/in000001.jpg, groundtruth/ inside")
    for name in names or ():
        if not any(name in (one.name, one.path) for one in there):
            raise unknown_name("CDnet video", name, [one.path for one in there])
    return [one for one in there if not names or one.name in names or one.path in names]


def write_foreground(path: Path, foreground: np.ndarray) -> None:
    """Write an (H, W) bool mask as CDnet's results are: 255 where something moves, 0 elsewhere."""
    Image.fromarray(np.where(foreground, 255, 0).astype(np.uint8)).save(path)


def _is_video(folder: Path) -> bool:
    return (folder / "input").is_dir() and (folder / "groundtruth").is_dir()


def _folders(parent: Path) -> list[Path]:
    return folders_in(parent)


def _video(category: str, folder: Path) -> CdnetVideo:
    paths, _ = find_images(str(folder / "input"))
    numbers = tuple(_number(path) for path in paths)
    first, last = _temporal_roi(folder / "temporalROI.txt", numbers)
    return CdnetVideo(category, folder.resolve().name, folder, numbers, first, last)


def _number(path: Path) -> int:
    found = re.search(r"(\d+)$", path.stem)
    if found is None:
        raise InputError(f"{path}: expected a name such as in000001.jpg, with the number of the frame")
    return int(found[1])


def _temporal_roi(path: Path, numbers: Sequence[int]) -> tuple[int, int]:
    if not path.is_file():
        return numbers[0], numbers[-1]
    words = read_text(path, str(path)).split()
    if len(words) != 2 or not all(re.fullmatch("[0-9]{1,18}", word) for word in words):
        raise InputError(f"{path}: expected the numbers of the first and the last frame, got {' '.join(words)!r}")
    return int(words[0]), int(words[1])
