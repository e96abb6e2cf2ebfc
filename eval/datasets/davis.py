"""DAVIS as it lies on disk, and data sets of the same layout.

Layout: `JPEGImages/480p/<sequence>/00000.jpg`, `Annotations/480p/<sequence>/00000.png`. Masks of DAVIS-2016
hold 0 and 255 and become object 1; masks of DAVIS-2017 hold the object ids.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from streamvos.errors import InputError, unknown_name
from streamvos.masks import davis_palette

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DavisSequence:
    """One sequence on disk: a frame and an annotation for each name, in order."""

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path, ...]

    def images(self) -> Iterator[np.ndarray]:
        """The frames, (H, W, 3) uint8 RGB, one at a time."""
        return map(_read_image, self.frames)

    def label_maps(self) -> Iterator[np.ndarray]:
        """The truth, (H, W) uint8 ids, one at a time."""
        return map(read_label_map, self.annotations)


def find_sequences(root: Path, names: Sequence[str] | None = None, resolution: str = "480p") -> list[DavisSequence]:
    """The sequences under a DAVIS root, all of them or those named, in order of name.

    Raises:
        InputError: not a DAVIS layout, an unknown name, or frames without annotations.
    """
    images, annotations = root / "JPEGImages" / resolution, root / "Annotations" / resolution
    for folder in (images, annotations):
        if not folder.is_dir():
            raise InputError(f"{root} is not a DAVIS folder: expected {folder}")
    there = sorted(path.name for path in annotations.iterdir() if path.is_dir())
    for name in names or ():
        if name not in there:
            raise unknown_name("DAVIS sequence", name, there)
    if not there:
        raise InputError(f"{annotations} holds no sequence folders")
    return [_sequence(name, images / name, annotations / name) for name in there if not names or name in names]


def read_label_map(path: Path) -> np.ndarray:
    """Read an annotation as (H, W) uint8 ids; 0 and 255 alone are DAVIS-2016's single object, id 1."""
    with Image.open(path) as picture:
        labels = np.array(picture if picture.mode in ("P", "L") else picture.convert("L"))
    if labels.max(initial=0) == 255 and not ((labels > 0) & (labels < 255)).any():
        return (labels > 0).astype(np.uint8)
    return labels


def write_label_map(path: Path, labels: np.ndarray) -> None:
    """Write (H, W) ids up to 255 as an 8-bit PNG with the DAVIS palette."""
    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(davis_palette().reshape(-1).tolist())
    picture.save(path)


def _sequence(name: str, images: Path, annotations: Path) -> DavisSequence:
    masks = sorted(annotations.glob("*.png"))
    frames = sorted(images.glob("*.jpg"))
    if not frames or [path.stem for path in frames] != [path.stem for path in masks]:
        odd = sorted({path.stem for path in frames} ^ {path.stem for path in masks})
        raise InputError(
            f"sequence {name}: expected one annotation for each frame, got {len(frames)} frames and "
            f"{len(masks)} annotations (first without its pair: {odd[0] if odd else 'none'})"
        )
    return DavisSequence(name, tuple(frames), tuple(masks))


def _read_image(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))
