"""Video sequences with pictures of object ids beside their frames: what DAVIS, LVOS and the like have in common.

Frames are `*.jpg`, annotations are `*.png` of the same stem, in folders named after the sequence; not every frame
need have one. Pixels hold object ids, 0 the background, 255 void; annotations that hold only 0 and 255 (DAVIS-2016)
speak of one object, id 1, which is decided by a sequence's first annotation for all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from streamvos.errors import InputError, unknown_name
from streamvos.foreign_files import picture_errors
from streamvos.masks import VOID, davis_palette, ids_in
from streamvos.video.images import image_size, read_image
from streamvos.video.names import files_in, folders_in, natural_key


@dataclass(frozen=True)
class MaskSequence:
    """One sequence on disk.

    Args:
        name: of its folder.
        frames: pictures, in order.
        annotations: one for each frame, None where it has none.
        merge: whether all objects count as one, id 1.
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path | None, ...]
    merge: bool = False

    def images(self) -> Iterator[np.ndarray]:
        """The frames, (H, W, 3) uint8 RGB, one at a time."""
        return map(read_image, self.frames)

    def label_maps(self) -> Iterator[np.ndarray | None]:
        """The truth, (H, W) uint8 ids, one at a time; None for frames without annotation."""
        is_binary: bool | None = None
        for path in self.annotations:
            if path is None:
                yield None
                continue
            labels = read_labels(path)
            if is_binary is None:
                is_binary = _is_binary(labels)
            if is_binary:
                yield (labels > 0).astype(np.uint8)
            else:
                yield np.where((labels > 0) & (labels != VOID), 1, labels).astype(np.uint8) if self.merge else labels

    def objects_at_first(self) -> dict[int, int]:
        """The objects of the first annotation, each with its frame; raises `InputError` where it shows none."""
        index, labels = next((index, labels) for index, labels in enumerate(self.label_maps()) if labels is not None)
        ids = ids_in(labels)
        if not ids:
            raise InputError(f"expected objects in its first annotation, got none in frame {index}")
        return dict.fromkeys(ids, index)

    def first_appearances(self, visible_px: int = 1, share: float = 0.0) -> dict[int, int]:
        """The first frame in which each object is there; those that never are are left out.

        Args:
            visible_px: pixels from which on it is there.
            share: of its own median area (over the frames where it is there) that it must cover, too; larger skips the
                slivers with which objects enter the picture.

        Raises:
            InputError: no object is ever there.
        """
        indices, areas = [], []
        for index, labels in enumerate(self.label_maps()):
            if labels is not None:
                indices.append(index)
                areas.append(np.bincount(labels.reshape(-1), minlength=VOID + 1))
        table = np.stack(areas)  # (frames, 256) pixels
        table[:, [0, VOID]] = 0
        starts = {}
        for object_id in np.flatnonzero((table >= visible_px).any(axis=0)).tolist():
            area = table[:, object_id]
            least = max(visible_px, share * np.median(area[area >= visible_px]))
            starts[object_id] = indices[int(np.argmax(area >= least))]
        if not starts:
            raise InputError(f"expected an object of {visible_px} pixels or more, got none")
        return starts

    def check_sizes(self) -> None:
        """Raise `InputError` where a frame or an annotation has not the size of the first frame."""
        size = image_size(self.frames[0])
        for path in (*self.frames, *(path for path in self.annotations if path is not None)):
            have = image_size(path)
            if have != size:
                raise InputError(
                    f"expected {size[1]}x{size[0]} pixels as its first frame, got "
                    f"{have[1]}x{have[0]} in {path}; mend that file (masks: nearest neighbour), or leave the sequence "
                    "out (--sequences)"
                )


def pair_up(name: str, images: Path, annotations: Path, dense: bool, merge: bool = False) -> MaskSequence:
    """The sequence in two folders.

    Args:
        name: of the sequence.
        images: folder of `*.jpg`.
        annotations: folder of `*.png`.
        dense: whether each frame must have an annotation.
        merge: see `MaskSequence`.

    Raises:
        InputError: no frames, no annotations, an annotation without frame, or a frame without one it must have.
    """
    frames = files_in(images, "*.jpg")
    masks = {path.stem: path for path in files_in(annotations, "*.png")}
    stems = {path.stem for path in frames}
    odd = sorted(stems ^ set(masks) if dense else set(masks) - stems, key=natural_key)
    if not frames or not masks or odd:
        wanted = "one annotation for each frame" if dense else "frames, and annotations of some of them"
        raise InputError(
            f"sequence {name}: expected {wanted}, got {len(frames)} frames and {len(masks)} annotations "
            f"(first without its pair: {odd[0] if odd else 'none'}) in {images} and {annotations}"
        )
    return MaskSequence(name, tuple(frames), tuple(masks.get(path.stem) for path in frames), merge)


def read_label_map(path: Path) -> np.ndarray:
    """Read one annotation as (H, W) uint8 ids; 0 and 255 alone are DAVIS-2016's single object, id 1."""
    labels = read_labels(path)
    return (labels > 0).astype(np.uint8) if _is_binary(labels) else labels


def read_labels(path: Path) -> np.ndarray:
    """The (H, W) uint8 values of a palette or grey picture; raises `InputError` for colours."""
    with picture_errors(f"annotation {path}"), Image.open(path) as picture:
        values = np.array(picture if picture.mode in ("P", "L") else picture.convert("RGB"))
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise InputError(f"annotation {path}: expected a palette or grey picture of ids, got colours")
        values = values[..., 0]
    return np.ascontiguousarray(values)


def write_label_map(path: Path, labels: np.ndarray) -> None:
    """Write (H, W) ids up to 255 as an 8-bit PNG with the DAVIS palette."""
    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(davis_palette().reshape(-1).tolist())
    picture.save(path)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders inside a folder, in natural order."""
    return [path.name for path in folders_in(folder)]


def expect_folders(root: Path, kind: str, *folders: Path, hint: str = "") -> None:
    """Raise `InputError` where a data set's folders are not there."""
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{root} is not {kind} folder: expected {folder}{hint}")


def choose(kind: str, names: Sequence[str] | None, there: Sequence[str]) -> list[str]:
    """The sequences asked for, all where none is; raises `InputError` for unknown ones."""
    for name in names or ():
        if name not in there:
            raise unknown_name(f"{kind} sequence", name, there)
    return [name for name in there if not names or name in names]


def _is_binary(labels: np.ndarray) -> bool:
    return bool(labels.max(initial=0) == VOID and not ((labels > 0) & (labels < VOID)).any())
