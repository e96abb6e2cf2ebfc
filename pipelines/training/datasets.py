"""Pictures with regions, readers of CCP and COCO-segment folders and horses, and clips in DAVIS layout.

Everything is decoded once and kept small in memory: some thousand pictures, read thousands of times. Of CCP and of
COCO segments, every tenth picture (in the order of names) is set apart for validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from streamvos.errors import InputError
from streamvos.models.efficientnet_lite import scale_to_short_side

_MIN_AREA_PX = 500  # of a region at the stored size; smaller ones are not worth following
_MAX_REGIONS = 6  # of one picture, the largest; bounds memory
TRACKER_SHORT_SIDE_PX = 320  # at which its training reads pictures; what is worth following may differ with it
REFINER_SHORT_SIDE_PX = 360  # likewise


@dataclass(frozen=True)
class Region:
    """Something in a picture that can be followed: class name and (h, w) bool mask."""

    name: str
    mask: np.ndarray


@dataclass(frozen=True)
class Picture:
    """(h, w, 3) uint8 RGB and the regions in it; `whole` are those that stand for themselves as cut-outs.

    Args:
        path: the file it was read from; None for a picture that was made.
        classes: of all that is labelled in it, however small. complete: every object of those classes is labelled.
        void: (h, w) bool, of which nobody knows what it shows; None: nothing.
        has_surroundings: False for a drawn object with nothing around it.
    """

    image: np.ndarray
    regions: tuple[Region, ...]
    whole: tuple[Region, ...]
    path: Path | None = None
    classes: frozenset[str] = frozenset()
    complete: bool = True
    void: np.ndarray | None = None
    has_surroundings: bool = True

    def lacks(self, name: str) -> bool:
        """Whether no object of a class is in the picture, as far as its labels can tell."""
        return self.complete and name not in self.classes and all(region.name != name for region in self.regions)


@dataclass(frozen=True)
class PictureSets:
    """`learned` is trained on; `validation`, by name, never is."""

    learned: Sequence[Picture]
    validation: Mapping[str, Sequence[Picture]]


def read_ccp(folder: Path, short_side_px: int) -> list[Picture]:
    """Clothing Co-Parsing: `photos/NAME.jpg`, `labels/NAME.png` (0 is background); the person is the union."""
    pictures = []
    for label_path in _files(folder / "labels", "*.png"):
        candidates = [path for path in folder.glob(f"*/{label_path.stem}.jpg")]
        if not candidates:
            raise InputError(f"{label_path}: expected a photo {label_path.stem}.jpg in a folder beside labels/")
        image = scale_to_short_side(read_picture(candidates[0]), short_side_px)
        labels = _shrink_labels(_read_labels(label_path), image.shape[:2])
        person = Region("person", labels > 0)
        if not _is_worth(person.mask):
            continue
        parts = [Region(f"ccp-{value}", labels == value) for value in np.unique(labels) if value]
        pictures.append(Picture(image, (person, *_largest(parts, _MAX_REGIONS - 1)), (person,), candidates[0]))
    return pictures


def read_coco(folder: Path, short_side_px: int) -> list[Picture]:
    """COCO segments in YOLO layout: `images/**/NAME.jpg`, `labels/**/NAME.txt` with "class x y x y ..." lines."""
    pictures = []
    for path in _files(folder / "images", "**/*.jpg"):
        image = scale_to_short_side(read_picture(path), short_side_px)
        labels = folder / "labels" / path.relative_to(folder / "images").with_suffix(".txt")
        lines = labels.read_text().split("\n") if labels.exists() else []
        regions = _largest([_polygon(line, image.shape[:2], labels) for line in lines if line.strip()], _MAX_REGIONS)
        if regions:
            pictures.append(Picture(image, regions, regions, path))
    return pictures


def read_horses(folder: Path, short_side_px: int) -> list[Picture]:
    """Weizmann horses: `horse/NAME.jpg`, `mask/NAME.*` with 0 for background. For evaluation only."""
    pictures = []
    for path in _files(folder / "horse", "*.jpg"):
        mask_path = next(iter(folder.glob(f"*/{path.stem}.png")), None)
        if mask_path is None:
            raise InputError(f"{path}: expected a mask {path.stem}.png in a folder beside horse/")
        image = scale_to_short_side(read_picture(path), short_side_px)
        region = Region("horse", _shrink_labels(_read_labels(mask_path), image.shape[:2]) > 0)
        if _is_worth(region.mask):
            pictures.append(Picture(image, (region,), (region,), path))
    return pictures


class ClipFolder:
    """Clips in DAVIS layout: `JPEGImages/480p/NAME/*.jpg` and `Annotations/480p/NAME/*.png`.

    Args:
        folder: the root.

    Raises:
        InputError: no annotated sequence there.
    """

    def __init__(self, folder: Path) -> None:
        self._sequences = []
        for frames in sorted((folder / "JPEGImages" / "480p").glob("*")):
            paths = sorted(frames.glob("*.jpg"))
            labels = [folder / "Annotations" / "480p" / frames.name / f"{path.stem}.png" for path in paths]
            kept = [(path, label) for path, label in zip(paths, labels, strict=True) if label.exists()]
            if len(kept) >= 8:
                self._sequences.append(kept)
        if not self._sequences:
            raise InputError(f"{folder}: expected JPEGImages/480p/NAME and Annotations/480p/NAME of 8 frames or more")

    def sample(self, rng: np.random.Generator, num_frames: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """`num_frames` frames (H, W, 3) and label maps (H, W) some frames apart, in either direction of time."""
        sequence = self._sequences[rng.integers(len(self._sequences))]
        gap = int(rng.integers(1, max(2, min(12, len(sequence) // num_frames))))
        start = int(rng.integers(0, len(sequence) - gap * (num_frames - 1)))
        chosen = [sequence[start + gap * step] for step in range(num_frames)][:: int(rng.choice([-1, 1]))]
        return [read_picture(path) for path, _ in chosen], [_read_labels(label) for _, label in chosen]


def split(pictures: list[Picture]) -> tuple[list[Picture], list[Picture]]:
    """Training and validation: every tenth picture is set apart."""
    return [p for i, p in enumerate(pictures) if i % 10], pictures[::10]


def _files(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(f"{folder}: expected files {pattern}, found none")
    return found


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB; raises `InputError` where there is no picture."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: not a picture that can be read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _read_labels(path: Path) -> np.ndarray:
    """(H, W) uint8 as stored: colour tables are not looked up."""
    from PIL import Image  # OpenCV would turn indexed pictures into colours

    labels = np.asarray(Image.open(path))
    return labels[..., 0] if labels.ndim == 3 else labels


def _shrink_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(labels.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)


def _polygon(line: str, size: tuple[int, int], path: Path) -> Region:
    try:
        name, *numbers = line.split()
        corners = np.array(numbers, np.float64).reshape(-1, 2) * (size[1], size[0])
    except ValueError:
        raise InputError(f"{path}: expected lines of class and x y pairs, got {line[:60]!r}") from None
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    return Region(f"coco-{name}", mask > 0)


def _is_worth(mask: np.ndarray) -> bool:
    return int(mask.sum()) >= _MIN_AREA_PX


def _largest(regions: list[Region], count: int) -> tuple[Region, ...]:
    worth = [region for region in regions if _is_worth(region.mask)]
    return tuple(sorted(worth, key=lambda region: -int(region.mask.sum()))[:count])
