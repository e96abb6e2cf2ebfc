"""Annotations out of YOLO's labels, boxes or polygons, as Ultralytics has them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from apps.prompt_annotations import Annotation, frame_number
from streamvos.errors import InputError
from streamvos.export.formats.outlines import fill
from streamvos.foreign_files import read_text


def read(dataset: Path, labels: Path, size_of: Callable[[], tuple[int, int]] | None) -> list[Annotation]:
    """What the files of a folder say.

    Args:
        dataset: where data.yaml lies, if there is one; it names the classes.
        labels: the folder with the files, named by the numbers of the frames.
        size_of: gives (H, W) of the video.

    Raises:
        InputError: a line of another form, or a file without a number.
    """
    if size_of is None:
        raise InputError(
            f"prompts {str(labels)!r} (YOLO): expected the size of the video, which these labels do not say"
        )
    names = _names(dataset if (dataset / "data.yaml").is_file() else labels.parent)
    size = None
    found: list[Annotation] = []
    for path in sorted(one for one in labels.glob("*.txt") if not one.name.startswith(".")):
        frame = frame_number(path.name)
        if frame is None:
            raise InputError(
                f"labels {str(path)!r}: expected a name that ends with the number of the frame, as 00012.txt"
            )
        for number, line in enumerate(read_text(path, f"labels {str(path)!r}").splitlines(), start=1):
            if line.strip():
                size = size or size_of()
                found.append(_annotation(line, frame, names, size, f"labels {str(path)!r}, line {number}"))
    return found


def _annotation(line: str, frame: int, names: dict[int, str], size: tuple[int, int], where: str) -> Annotation:
    height, width = size
    try:
        number, *values = line.split()
        numbers, class_id = np.array([float(value) for value in values]), int(number)
    except ValueError:
        numbers, class_id = np.zeros(0), -1
    is_polygon = len(numbers) >= 6 and len(numbers) % 2 == 0
    if class_id < 0 or not (len(numbers) == 4 or is_polygon) or not ((numbers >= -1e-6) & (numbers <= 1 + 1e-6)).all():
        raise InputError(
            f"{where}: expected a class with x y width height, or with x y of three corners and more, all from 0 to 1; "
            f"got {line.strip()[:80]!r}"
        )
    label = names.get(class_id)
    if is_polygon:
        return Annotation(frame, None, label, mask=fill(numbers.reshape(-1, 2) * (width, height), size))
    x, y, wide, high = (numbers * (width, height, width, height)).tolist()
    return Annotation(frame, None, label, box=(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2))


def _names(folder: Path) -> dict[int, str]:
    """The classes of data.yaml: `names:` with a list in brackets, or with a line for each number."""
    path = folder / "data.yaml"
    if not path.is_file():
        return {}
    text = read_text(path, f"classes {str(path)!r}")
    listed = re.search(r"^names:\s*\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if listed is not None:
        return {number: _plain(name) for number, name in enumerate(listed[1].split(","))}
    block = re.search(r"^names:[^\n]*\n((?:[ \t]+[^\n]*\n?|-[^\n]*\n?)+)", text, re.MULTILINE)
    if block is None:
        return {}
    lines = [line.strip() for line in block[1].splitlines() if line.strip()]
    if all(line.startswith("-") for line in lines):
        return {number: _plain(line[1:]) for number, line in enumerate(lines)}
    pairs = [line.partition(":") for line in lines]
    return {int(number): _plain(name) for number, _, name in pairs if re.fullmatch("[0-9]{1,9}", number.strip())}


def _plain(name: str) -> str:
    """A name without its quotes; those of double ones may have escapes."""
    name = name.strip()
    try:
        return str(json.loads(name)) if name.startswith('"') else name.strip("'")
    except ValueError:
        return name.strip('"')
