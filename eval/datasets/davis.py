"""DAVIS as it lies on disk, 2016 and 2017, and data sets of the same layout.

Layout: `JPEGImages/480p/<sequence>/00000.jpg`, `Annotations/480p/<sequence>/00000.png`, an annotation for each frame;
masks of 2016 hold 0 and 255, those of 2017 the object ids. Where there are lists of sequences they lie in
`ImageSets/2017/val.txt` (a name a line) or, in the first release, `ImageSets/480p/val.txt` (a frame and its annotation
a line).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.datasets.mask_sequences import (
    MaskSequence,
    choose,
    expect_folders,
    pair_up,
    read_label_map,
    subfolders,
    write_label_map,
)
from streamvos.errors import InputError, unknown_name
from streamvos.foreign_files import read_text
from streamvos.video.names import files_in, natural_key

__all__ = ["find_sequences", "list_sequences", "read_label_map", "write_label_map"]


def list_sequences(
    root: Path,
    names: Sequence[str] | None = None,
    *,
    resolution: str = "480p",
    year: int = 2017,
    image_set: str | None = None,
) -> list[str]:
    """Names of the sequences under a DAVIS root, in order.

    Args:
        root: folder that holds `JPEGImages` and `Annotations`.
        names: those wanted; all of the set where None.
        resolution: folder of that name.
        year: of the lists in `ImageSets`.
        image_set: such as "val"; None takes "val" where it is listed, otherwise all folders; no matter where `names`
            are given.

    Raises:
        InputError: not a DAVIS layout, or an unknown name, set or resolution, or a set whose sequences are not there.
    """
    images, annotations = root / "JPEGImages", root / "Annotations"
    expect_folders(root, "a DAVIS", images, annotations)
    known = subfolders(annotations)
    if resolution not in known:
        raise unknown_name(f"resolution, a folder in {annotations},", resolution, known)
    expect_folders(root, "a DAVIS", images / resolution)
    there = subfolders(annotations / resolution)
    if not there:
        raise InputError(f"{annotations / resolution} holds no sequence folders")
    if names:
        return choose("DAVIS", names, there)
    listed = _image_set(root, resolution, year, image_set)
    missing = [name for name in listed or () if name not in there]
    if missing:
        raise InputError(
            f"the set {image_set or 'val'} lists {len(listed or ())} sequences, of which {len(missing)} are not in "
            f"{annotations / resolution} (first: {missing[0]}); complete the data, or name sequences (--sequences)"
        )
    return there if listed is None else listed


def find_sequences(
    root: Path, names: Sequence[str] | None = None, resolution: str = "480p", merge: bool = False
) -> list[MaskSequence]:
    """The sequences under a DAVIS root, those of `list_sequences`.

    Args:
        root, names, resolution: see there.
        merge: whether all objects count as one, as in DAVIS-2016.

    Raises:
        InputError: as there, or a frame without annotation.
    """
    return [
        pair_up(name, *(root / kind / resolution / name for kind in ("JPEGImages", "Annotations")), True, merge)
        for name in list_sequences(root, names, resolution=resolution)
    ]


def _image_set(root: Path, resolution: str, year: int, image_set: str | None) -> list[str] | None:
    """Names in a list of sequences; None where none was asked for and there is none."""
    folders = [root / "ImageSets" / str(year), root / "ImageSets" / resolution]
    paths = {path.stem: path for folder in reversed(folders) for path in files_in(folder, "*.txt")}
    if (image_set or "val") not in paths:
        if image_set is None:
            return None
        if not paths:
            raise InputError(f"--set {image_set}: expected {folders[0] / image_set}.txt, which is not there")
        raise unknown_name(f"set in {root / 'ImageSets'}", image_set, paths)
    path = paths[image_set or "val"]
    lines = [line.split()[0] for line in read_text(path, str(path)).splitlines() if line.strip()]
    names = sorted({Path(line).parent.name if "/" in line else line for line in lines}, key=natural_key)
    if not names:
        raise InputError(f"{path} lists no sequence")
    return names
