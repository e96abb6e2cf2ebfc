"""One way to read every source of masks that may train what is shipped; its layout is recognised.

Layouts: label maps (`images/NAME.jpg`, `masks/NAME.png` with 0 for background, 1..n for instances and 255 for crowds
and what nobody knows, `labels.json` with the class of each instance), COCO segments in YOLO layout, Clothing
Co-Parsing, and drawn objects (`*.png` with transparency).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipelines.training.datasets import (
    REFINER_SHORT_SIDE_PX,
    TRACKER_SHORT_SIDE_PX,
    Picture,
    Region,
    read_ccp,
    read_coco,
    read_picture,
    split,
)
from pipelines.training.held_out import is_held_out
from streamvos.errors import InputError
from streamvos.models.efficientnet_lite import scale_to_short_side

VOID = 255  # label of pixels that belong to nobody knows what
_MIN_AREA_PX = 200  # of an instance at the stored size; smaller ones are not worth following
_MAX_REGIONS = 10  # of one picture, the largest; bounds memory
_MIN_WHOLE_PX = 600  # of an instance that may be cut out
_MIN_MAIN_PART = 0.85  # share of its largest connected part; less means that something stands before it
_COCO_NAMES = {
    "aeroplane": "airplane", "motorbike": "motorcycle", "diningtable": "dining table", "pottedplant": "potted plant",
    "sofa": "couch", "tvmonitor": "tv",
}  # fmt: skip


@dataclass(frozen=True)
class LabelledPicture:
    """A picture of a source with label maps.

    Args:
        path: of the picture. names: class of each instance, COCO's word where it has one.
        labels: (H, W) uint8: 0 background, `k` is instance `names[k - 1]`, `VOID` unknown.
        complete: every object of the classes of the source is labelled.
    """

    path: Path
    names: tuple[str, ...]
    labels: np.ndarray
    complete: bool


def has_label_maps(folder: Path) -> bool:
    """Whether a folder is in the layout of `read_label_maps`."""
    return (folder / "labels.json").is_file() and (folder / "masks").is_dir()


def read_label_maps(folder: Path, keep: Callable[[Path], bool] = lambda path: True) -> Iterator[LabelledPicture]:
    """The pictures of a folder with `images/`, `masks/` and `labels.json`, in the order of names.

    Args:
        folder: see there. keep: says of a picture's path whether it is wanted.

    Raises:
        InputError: a file that is missing or cannot be read, or a mask with more instances than classes.
    """
    classes, complete = _read_table(folder)
    for path, names in classes.items():
        mask = folder / "masks" / f"{path.stem}.png"
        if not keep(path):
            continue
        if not path.is_file() or not mask.is_file():
            raise InputError(f"{folder / 'labels.json'}: names {path.stem!r}; expected {path} and {mask}")
        labels = np.asarray(Image.open(mask))
        highest = int(labels[labels < VOID].max(initial=0))
        if labels.ndim != 2 or highest > len(names):
            raise InputError(
                f"{mask}: expected one channel and labels up to {len(names)}, got shape {labels.shape} and labels "
                f"up to {highest}"
            )
        yield LabelledPicture(path, names, labels, complete)


def read_source(folder: Path, short_side_px: int, held_out_only: bool = False) -> tuple[list[Picture], list[Picture]]:
    """All pictures of a source: those to learn from, and those that are set apart.

    Args:
        folder: in one of the layouts of the module's head. short_side_px: to which larger pictures are shrunk.
        held_out_only: give none to learn from, and read them only where the others cannot be known without them.

    Raises:
        InputError: another layout, or a file that cannot be read.
    """

    def wanted(path: Path) -> bool:
        return not held_out_only or is_held_out(path.stem)

    if has_label_maps(folder):
        read = [_from_labels(one, short_side_px) for one in read_label_maps(folder, wanted)]
        return _by_name([picture for picture in read if picture.regions])
    for reader, pattern in ((read_ccp, "labels/*.png"), (read_coco, "labels/**/*.txt")):
        if any(folder.glob(pattern)):
            learned, held_out = split(reader(folder, short_side_px))
            return ([] if held_out_only else learned), held_out
    if any(folder.glob("*.png")):
        return _by_name([_drawn(path) for path in sorted(folder.glob("*.png")) if wanted(path)])
    raise InputError(
        f"{folder}: expected label maps (images/, masks/, labels.json), YOLO polygons (images/, labels/*.txt), "
        "Clothing Co-Parsing (photos/, labels/*.png) or drawn objects (*.png)"
    )


def pictures_apart(folder: Path) -> tuple[frozenset[Path], frozenset[Path]] | None:
    """The pictures of a folder that our trainings learn from, and those that none of them has seen.

    For Clothing Co-Parsing and COCO segments it asks the trainings' own readers and `split`, so the folder must hold
    the same pictures as when they ran. A picture that one training learns from and another sets apart, or that they
    skip, is in neither.

    Returns:
        Resolved paths to learn from, and held out; None for a folder of a layout that no training reads.

    Raises:
        InputError: a file that cannot be read.
    """
    if has_label_maps(folder):
        paths = frozenset(path.resolve() for path in _read_table(folder)[0])
        held_out = frozenset(path for path in paths if is_held_out(path.stem))
        return paths - held_out, held_out
    if not (any((folder / "labels").glob("*.png")) or any((folder / "labels").glob("**/*.txt"))):
        return None
    parts = [read_source(folder, short_side_px) for short_side_px in (TRACKER_SHORT_SIDE_PX, REFINER_SHORT_SIDE_PX)]
    training, held_out = (
        frozenset.intersection(*(frozenset(p.path.resolve() for p in each[side] if p.path) for each in parts))
        for side in (0, 1)
    )
    return training, held_out


def _read_table(folder: Path) -> tuple[dict[Path, tuple[str, ...]], bool]:
    """The classes of the instances of each picture, in the order of names, and whether every object is labelled."""
    table = folder / "labels.json"
    try:
        document = json.loads(table.read_text(encoding="utf-8"))
        return {
            folder / "images" / f"{name}.jpg": tuple(map(_word, each["classes"]))
            for name, each in sorted(document["images"].items())
        }, not document["partial"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{table}: expected "partial" and "images" with the "classes" of each ({error!r})') from None


def _by_name(pictures: list[Picture]) -> tuple[list[Picture], list[Picture]]:
    held_out = [picture for picture in pictures if is_held_out(picture.path.stem)]
    return [picture for picture in pictures if not is_held_out(picture.path.stem)], held_out


def _word(name: str) -> str:
    """COCO's word for a class of VOC or LVIS ("pop_(soda)" is a pop)."""
    return _COCO_NAMES.get(name, name.split("_(")[0].replace("_", " "))


def _from_labels(one: LabelledPicture, short_side_px: int) -> Picture:
    image = scale_to_short_side(read_picture(one.path), short_side_px)
    labels = cv2.resize(one.labels, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    areas = np.bincount(labels.ravel(), minlength=len(one.names) + 1)[1 : len(one.names) + 1]
    largest = [index for index in np.argsort(-areas, kind="stable") if areas[index] >= _MIN_AREA_PX][:_MAX_REGIONS]
    regions = tuple(Region(one.names[index], labels == index + 1) for index in largest)
    whole = tuple(region for region in regions if _is_whole(region.mask)) or regions[:1]
    void = labels == VOID
    return Picture(image, regions, whole, one.path, frozenset(one.names), one.complete, void if void.any() else None)


def _is_whole(mask: np.ndarray) -> bool:
    parts = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return parts.sum() >= _MIN_WHOLE_PX and parts.max() >= _MIN_MAIN_PART * parts.sum()


def _drawn(path: Path) -> Picture:
    pixels = np.asarray(Image.open(path).convert("RGBA"))
    region = Region("drawn", pixels[..., 3] > 127)
    return Picture(np.ascontiguousarray(pixels[..., :3]), (region,), (region,), path, has_surroundings=False)
