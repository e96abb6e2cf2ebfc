"""Folders of pictures with masks of things: COCO instances, label maps, YOLO polygons, pictures beside masks."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from pipelines.training.mask_sources import has_label_maps, read_label_maps
from streamvos.errors import InputError
from streamvos.models.coco import NAME_OF, NAMES
from streamvos.video.images import image_size
from streamvos.video.names import IMAGE_SUFFIXES, natural_key

_log = logging.getLogger(__name__)
_MAX_PICTURES = 150  # of a folder of one class; more are thinned out evenly, to be read in seconds
_MASK_FOLDERS = ("mask", "masks", "labels", "annotations", "segmentation")


@dataclass(frozen=True)
class PictureObjects:
    """One picture and the things in it.

    Args:
        path: of the picture.
        names: class of each thing.
        masks: (N, H, W) uint8 0 or 1, in the order of `names`.
    """

    path: Path
    names: tuple[str, ...]
    masks: np.ndarray


def read_folder(
    folder: Path, class_name: str | None = None, keep: Callable[[Path], bool] = lambda path: True
) -> Iterator[PictureObjects]:
    """Pictures of a folder in a layout that is recognised, in natural order.

    Args:
        folder: label maps (see `pipelines.training.mask_sources`), COCO style (a .json with "segmentation" of its
            annotations), YOLO polygons (`images/` and `labels/` with .txt) or two folders with pictures and masks of
            the same stem.
        class_name: class of all things where the layout does not name one; the default is the name of the pictures'
            folder, or "person" for masks with several labels (parts of clothing).
        keep: says of a picture's path whether it may be used; the others are not read.

    Raises:
        InputError: none of the layouts, or a file that cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"cut-outs {str(folder)!r}: expected a folder with pictures and masks")
    if has_label_maps(folder):
        return _read_label_maps(folder, keep)
    jsons = [path for path in sorted([*folder.glob("*.json"), *folder.glob("annotations/*.json")])]
    if jsons:
        return _read_coco(folder, jsons[0], keep)
    texts = sorted(folder.glob("labels/**/*.txt"), key=natural_key)
    if texts:
        return _read_yolo(folder, texts, keep)
    return _read_pairs(folder, class_name, keep)


def _read_label_maps(folder: Path, keep: Callable[[Path], bool]) -> Iterator[PictureObjects]:
    for one in read_label_maps(folder, keep):
        if one.names:
            values = np.arange(1, len(one.names) + 1)[:, None, None]
            yield PictureObjects(one.path, one.names, (one.labels == values).astype(np.uint8))


def _read_coco(folder: Path, path: Path, keep: Callable[[Path], bool]) -> Iterator[PictureObjects]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        names = {each["id"]: each["name"] for each in document["categories"]}
        by_image: dict[Any, list[dict[str, Any]]] = {}
        for each in document["annotations"]:
            if each.get("segmentation") and not each.get("iscrowd"):
                by_image.setdefault(each["image_id"], []).append(each)
        images = sorted(document["images"], key=lambda image: image["id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{str(path)!r}: expected COCO instances, images, annotations, categories ({error!r})"
        ) from None
    for image in images:
        things = by_image.get(image["id"], [])
        if things:
            picture = _find_picture(folder, image["file_name"])
            if not keep(picture):
                continue
            masks = [_coco_mask(each["segmentation"], image["height"], image["width"]) for each in things]
            yield PictureObjects(picture, tuple(names[each["category_id"]] for each in things), np.stack(masks))


def _coco_mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, height, width)
    else:
        rle = segmentation
    return coco_mask.decode(rle)


def _find_picture(folder: Path, name: str) -> Path:
    for place in (folder, folder / "images", *sorted(each for each in folder.iterdir() if each.is_dir())):
        if (place / name).is_file():
            return place / name
    raise InputError(f"cut-outs {str(folder)!r}: the annotations name {name!r}, which is not there")


def _read_yolo(folder: Path, texts: list[Path], keep: Callable[[Path], bool]) -> Iterator[PictureObjects]:
    ids = sorted(NAME_OF)  # YOLO counts the 80 COCO classes without the gaps of their ids
    for text in texts:
        stem = folder / "images" / text.relative_to(folder / "labels").with_suffix("")
        picture = next((p for suffix in IMAGE_SUFFIXES if (p := stem.with_suffix(suffix)).is_file()), None)
        if picture is None:
            _log.warning("%s has no picture, and is left out", text)
            continue
        if not keep(picture):
            continue
        height, width = image_size(picture)
        names, masks = [], []
        for number, line in enumerate(text.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = [float(word) for word in line.split()]
                name = NAME_OF[ids[int(row[0])]]
            except (ValueError, IndexError):
                raise InputError(f"{text}, line {number}: expected 'class x1 y1 x2 y2 …', got {line[:60]!r}") from None
            if len(row) < 7 or len(row) % 2 == 0:
                raise InputError(
                    f"{text}, line {number}: expected a polygon of 3 points or more, got {len(row) - 1} numbers"
                )
            polygon = (np.array(row[1:]).reshape(-1, 2) * (width, height)).ravel()
            names.append(name)
            masks.append(_coco_mask([polygon.tolist()], height, width))
        if names:
            yield PictureObjects(picture, tuple(names), np.stack(masks))


def _read_pairs(folder: Path, class_name: str | None, keep: Callable[[Path], bool]) -> Iterator[PictureObjects]:
    masks_folder = next((folder / name for name in _MASK_FOLDERS if (folder / name).is_dir()), None)
    pictures = [
        path
        for path in sorted(folder.rglob("*"), key=natural_key)
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and path.parent != masks_folder
    ]
    if masks_folder is None or not pictures:
        raise InputError(
            f"cut-outs {str(folder)!r}: expected COCO-style annotations (*.json), YOLO polygons (images/, labels/) "
            f"or pictures beside a folder of masks with the same stems ({', '.join(_MASK_FOLDERS)})"
        )
    pictures = [path for path in pictures if keep(path)]
    found = not pictures
    for picture in pictures[:: max(1, round(len(pictures) / _MAX_PICTURES))]:
        path = masks_folder / f"{picture.stem}.png"
        if not path.is_file():
            continue
        found = True
        labels = _read_labels(path)
        name = class_name or (picture.parent.name if picture.parent.name in NAMES else None)
        if name is None and len(np.unique(labels)) > 2:
            name = "person"
        if name is None:
            raise InputError(
                f"cut-outs {str(folder)!r}: the class is not known; give it as {folder.name}:CLASS, or name the folder "
                "of the pictures so"
            )
        yield PictureObjects(picture, (name,), (labels > 0).astype(np.uint8)[None])
    if not found:
        raise InputError(f"cut-outs {str(folder)!r}: no picture has a mask of its stem in {str(masks_folder)!r}")


def _read_labels(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            labels = np.asarray(image)
    except (OSError, SyntaxError) as error:
        raise InputError(f"mask {str(path)!r} cannot be read ({error})") from None
    return labels if labels.ndim == 2 else labels[..., :3].max(axis=2)
