"""Annotations out of CVAT's XML, version 1.1, of a video (tracks) or of images."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from apps.prompt_annotations import LONGEST_SIDE, Annotation, frame_number
from streamvos.errors import InputError
from streamvos.export.formats.outlines import fill
from streamvos.foreign_files import read_text

_MAX_BYTES = 500_000_000


def read(path: Path) -> list[Annotation]:
    """Boxes, polygons and masks; other shapes are passed over, and so is what is outside, or drawn by interpolation.

    Raises:
        InputError: not such a file.
    """
    where = f"prompts {str(path)!r} (CVAT)"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{where}: expected at most {_MAX_BYTES} bytes")
        text = read_text(path, where)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # CVAT writes neither, and entities can grow without bound
            raise InputError(f"{where}: expected annotations without entities")
        root = ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError, RecursionError) as error:
        raise InputError(f"{where}: cannot be read as XML ({error})") from None
    if root.tag != "annotations":
        raise InputError(f"{where}: expected <annotations>, got <{root.tag}>")
    try:
        return [*_tracks(root), *_images(root)]
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: an entry is not of CVAT's form ({type(error).__name__}: {error})") from None


def _tracks(root: ElementTree.Element) -> list[Annotation]:
    original = root.find(".//original_size")
    size = (0, 0)
    if original is not None:
        size = int(original.findtext("height", "0")), int(original.findtext("width", "0"))
    return [
        found
        for track in root.findall("track")
        for shape in track
        if shape.get("outside") != "1" and shape.get("keyframe", "1") == "1"
        if (found := _shape(shape, int(shape.get("frame", "-1")), int(track.attrib["id"]), track.get("label"), size))
    ]


def _images(root: ElementTree.Element) -> list[Annotation]:
    found = []
    for place, image in enumerate(root.findall("image")):
        number = frame_number(image.get("name", ""))
        frame = int(image.get("id", place)) if number is None else number
        size = int(image.attrib["height"]), int(image.attrib["width"])
        for shape in image:
            group = int(shape.get("group_id", "0")) or None
            if one := _shape(shape, frame, group, shape.get("label"), size):
                found.append(one)
    return found


def _shape(
    shape: ElementTree.Element, frame: int, object_id: int | None, label: str | None, size: tuple[int, int]
) -> Annotation | None:
    if shape.tag == "box":
        box = tuple(float(shape.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr"))
        return Annotation(frame, object_id, label, box=box)
    if shape.tag not in ("polygon", "mask"):
        return None
    if min(size) < 1:
        raise InputError("polygons and masks need <original_size> of the video")
    if max(size) > LONGEST_SIDE:
        raise InputError(f"expected pictures of at most {LONGEST_SIDE} pixels a side, got {size[1]}x{size[0]}")
    if shape.tag == "mask":
        return Annotation(frame, object_id, label, mask=_run_lengths(shape, size))
    points = [[float(word) for word in pair.split(",")] for pair in shape.attrib["points"].split(";")]
    return Annotation(frame, object_id, label, mask=fill(np.array(points), size))


def _run_lengths(shape: ElementTree.Element, size: tuple[int, int]) -> np.ndarray:
    """CVAT's masks: lengths of runs, off first, row by row inside a box."""
    left, top, width, height = (int(float(shape.attrib[side])) for side in ("left", "top", "width", "height"))
    lengths = [int(word) for word in shape.attrib["rle"].split(",")]
    inside = left >= 0 and top >= 0 and left + width <= size[1] and top + height <= size[0]
    if not inside or min(lengths) < 0 or sum(lengths) != width * height:
        raise InputError("a mask's run lengths do not fill its box, or the box leaves the picture")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = values
    return mask
