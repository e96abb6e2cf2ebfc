"""Prompts out of annotations that other tools wrote: COCO, YOLO, CVAT, DAVIS masks.

What lies there is known by its look: a JSON with "images" and "annotations" is COCO, an XML file CVAT's, a folder of
PNG files DAVIS masks, a folder of text files YOLO labels. A mask or polygon becomes a prompt with a mask, a box one
with a box; the class becomes the label. Ids are those of the annotations (track ids in COCO and CVAT, values in DAVIS
masks); where they count from 0 all are one more. Annotations without ids say nothing of who is who in two frames: of
them the first annotated frame alone can be used, and its objects count from 1.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from apps import prompt_cvat, prompt_yolo
from apps.prompt_annotations import LONGEST_SIDE, Annotation, frame_number
from apps.prompt_files import read_first_mask, read_prompts
from streamvos.errors import InputError
from streamvos.foreign_files import is_folder, picture_errors
from streamvos.records import Prompt, Removal

WHICH = ("first", "all")
_IDS = ("track_id", "instance_id")  # of a COCO annotation, by several tools' habits
_FRAMES = ("frame_index", "frame_id")  # of a COCO image


def read_any_prompts(
    path: Path, which: str = "first", size_of: Callable[[], tuple[int, int]] | None = None
) -> tuple[list[Prompt], list[Removal]]:
    """Prompts of a file or folder in any of the formats, our own JSON included, which is taken whole.

    Args:
        path: see above.
        which: "first": each object in the first frame in which it is annotated; "all": in every one, which corrects it.
        size_of: gives (H, W) of the video, which YOLO's labels do not say.

    Raises:
        InputError: none of the formats, or nothing in it; says what was expected.
    """
    found = _read(path, size_of)
    return read_prompts(path) if found is None else (to_prompts(found, which, str(path)), [])


def to_prompts(annotations: Iterable[Annotation], which: str, where: str) -> list[Prompt]:
    """Prompts from annotations, in order of frame and id."""
    found = sorted(annotations, key=lambda one: one.frame)
    if not found:
        raise InputError(f"prompts {where!r}: expected at least one annotated object, got none")
    if any(one.object_id is None for one in found):
        if which == "all" and found[-1].frame != found[0].frame:
            raise InputError(
                f"prompts {where!r}: the annotations have no track ids, so nothing says who is who in two frames; "
                "use the first annotated frame alone (--prompt-frames first)"
            )
        first = [one for one in found if one.frame == found[0].frame]
        found = [dataclasses.replace(one, object_id=number) for number, one in enumerate(first, start=1)]
    shift = min(one.object_id for one in found) == 0
    prompts: dict[tuple[int, int], Prompt] = {}
    known: set[int] = set()
    for one in found:
        object_id = one.object_id + shift
        if (one.frame, object_id) in prompts:
            raise InputError(f"prompts {where!r}: object {one.object_id} is annotated twice in frame {one.frame}")
        if which == "first" and object_id in known:
            continue
        known.add(object_id)
        shape = {"mask": one.mask} if one.mask is not None else {"box": one.box}
        try:
            prompts[one.frame, object_id] = Prompt(one.frame, object_id, label=one.label, **shape)
        except InputError as error:
            raise InputError(f"prompts {where!r}, object {one.object_id} in frame {one.frame}: {error}") from None
    return [prompts[key] for key in sorted(prompts)]


def _read(path: Path, size_of: Callable[[], tuple[int, int]] | None) -> list[Annotation] | None:
    """What is annotated; None where the file is a JSON of another kind, which the reader of our own judges."""
    if is_folder(path):
        masks, labels = _only_folder(path, "*.png"), _only_folder(path, "*.txt")
        if masks is not None:
            return _davis(masks)
        if labels is not None:
            return prompt_yolo.read(path, labels, size_of)
        raise InputError(
            f"prompts {str(path)!r}: expected a folder with DAVIS masks (PNG) or YOLO labels (txt) in it, or in one "
            "folder below it; got neither, or several: name one of them"
        )
    if path.suffix.lower() == ".xml":
        return prompt_cvat.read(path)
    if path.suffix.lower() == ".png":
        return _picture(path, 0)
    return _coco(path) if path.suffix.lower() == ".json" else None


def _only_folder(path: Path, pattern: str) -> Path | None:
    """The one folder with such files: this one, or the only one below it."""
    if any(not one.name.startswith(".") for one in path.glob(pattern)):
        return path
    below = {one.parent for one in path.rglob(pattern) if not one.name.startswith(".")}
    below = {one for one in below if one.name not in ("2016", "2017")}  # lists of videos, in DAVIS
    return next(iter(below)) if len(below) == 1 else None


def _davis(folder: Path) -> list[Annotation]:
    found: list[Annotation] = []
    for path in sorted(one for one in folder.glob("*.png") if not one.name.startswith(".")):
        number = frame_number(path.name)
        if number is None:
            raise InputError(f"mask {str(path)!r}: expected a name that ends with the number of the frame, as 0012.png")
        found += _picture(path, number)
    return found


def _picture(path: Path, frame: int) -> list[Annotation]:
    with picture_errors(f"mask {str(path)!r}"), Image.open(path) as image:
        is_empty = image.getbbox() is None if image.mode in ("L", "P", "1") else False
    if is_empty:
        return []
    return [Annotation(frame, prompt.object_id, prompt.label, mask=prompt.mask) for prompt in read_first_mask(path)]


def _coco(path: Path) -> list[Annotation] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None  # the reader of our own says what is wrong with it
    if not isinstance(data, dict) or "annotations" not in data:
        return None
    where = f"prompts {str(path)!r} (COCO)"
    try:
        names = {one["id"]: one["name"] for one in data.get("categories", ())}
        images = {one["id"]: one for one in data["images"]}
        frames = _coco_frames(data["images"])
        return [
            _coco_annotation(one, images[one["image_id"]], frames[one["image_id"]], names.get(one.get("category_id")))
            for one in data["annotations"]
            if not one.get("iscrowd")
        ]
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(f"{where}: an entry is not of COCO's form ({type(error).__name__}: {error})") from None


def _coco_frames(images: list[dict[str, Any]]) -> dict[Any, int]:
    """The frame of each image: told, else the number in its file's name, else its place in the order of ids."""
    videos = {image.get("video_id") for image in images}
    if len(videos) > 1:
        raise InputError(f"expected the images of one video, got those of {len(videos)}")
    for key in _FRAMES:
        if all(isinstance(image.get(key), int) for image in images):
            return {image["id"]: image[key] for image in images}
    numbers = {image["id"]: frame_number(str(image.get("file_name", ""))) for image in images}
    if None not in numbers.values() and len(set(numbers.values())) == len(numbers):
        return numbers
    return {image["id"]: place for place, image in enumerate(sorted(images, key=lambda one: one["id"]))}


def _coco_annotation(one: dict[str, Any], image: dict[str, Any], frame: int, label: str | None) -> Annotation:
    ids = one | (one.get("attributes") or {})
    object_id = next((int(ids[key]) for key in _IDS if ids.get(key) is not None), None)
    shape = one.get("segmentation")
    if shape:
        return Annotation(frame, object_id, label, mask=_coco_mask(shape, int(image["height"]), int(image["width"])))
    left, top, width, height = (float(side) for side in one["bbox"])
    return Annotation(frame, object_id, label, box=(left, top, left + width, top + height))


def _coco_mask(shape: Any, height: int, width: int) -> np.ndarray:
    """(H, W) bool of polygons, or of run lengths, compressed or not."""
    from pycocotools import mask as coco_mask

    if not (1 <= height <= LONGEST_SIDE and 1 <= width <= LONGEST_SIDE):
        raise InputError(f"expected images of at most {LONGEST_SIDE} pixels a side, got {width}x{height}")
    if isinstance(shape, dict) and list(shape["size"]) != [height, width]:
        raise InputError(f"expected run lengths of the image's size, {[height, width]}, got {shape['size']}")
    try:
        if isinstance(shape, list):
            corners = np.concatenate([np.asarray(ring, np.float64) for ring in shape])
            if not (np.abs(corners) <= 2 * max(height, width)).all():  # its library walks along every edge
                raise ValueError(f"corners far outside the image of {width}x{height}")
            rle = coco_mask.merge(coco_mask.frPyObjects(shape, height, width))
        else:
            rle = coco_mask.frPyObjects(shape, height, width) if isinstance(shape["counts"], list) else shape
        return coco_mask.decode(rle).astype(bool)
    except Exception as error:  # it raises no other kind for shapes of no kind
        raise ValueError(f"segmentation: {error}") from None
