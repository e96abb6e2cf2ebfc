"""Pictures whose every object is labelled, as boxes: `images/`, `masks/` and `labels.json`.

`labels.json` names of each picture its classes and their polygons, and where it comes from; in `masks/NAME.png` the
value 255 marks what counts as neither object nor background: crowds. The class of a crowd is not told, so it is one of
every class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamvos.errors import InputError
from streamvos.foreign_files import read_json
from streamvos.models import coco

_IGNORED = 255


@dataclass(frozen=True)
class LabelledPicture:
    """One picture.

    Args:
        file: the picture. class_ids: (N,) COCO ids. boxes_xyxy: (N, 4) float64 pixels. crowds_xyxy: (K, 4) float64.
    """

    file: Path
    class_ids: np.ndarray
    boxes_xyxy: np.ndarray
    crowds_xyxy: np.ndarray


def read_labelled_pictures(folder: Path, source: str = "", limit: int | None = None) -> list[LabelledPicture]:
    """The pictures of a folder in the order of their names.

    Args:
        folder: with `images/`, `masks/` and `labels.json`.
        source: a word that the `source` of a picture must hold ("val2017").
        limit: so many at most, evenly spread.

    Raises:
        InputError: not such a folder, or not every object is labelled, or none is of that source.
    """
    path = folder / "labels.json"
    labels = read_json(path, f"labels {str(path)!r}")
    try:
        if labels["partial"]:
            raise InputError(f"{str(path)!r}: not every object is labelled; what is found beyond it cannot be judged")
        names = sorted(name for name, one in labels["images"].items() if source in one["source"])
        if limit and limit < len(names):
            names = [names[int(place)] for place in np.linspace(0, len(names) - 1, limit)]
        pictures = [_picture(folder, name, labels["images"][name]) for name in names]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{str(path)!r} is not a table of classes and polygons ({error!r})") from None
    if not pictures:
        raise InputError(f"{str(path)!r}: no picture's source holds {source!r}")
    return pictures


def _picture(folder: Path, name: str, label: Mapping[str, Any]) -> LabelledPicture:
    boxes = [_around(polygons) for polygons in label["polygons"]]
    class_ids = np.array([coco.ID_OF[one] for one in label["classes"]], np.int64)
    if len(boxes) != len(class_ids):
        raise ValueError(f"{name}: {len(class_ids)} classes, {len(boxes)} outlines")
    mask = cv2.imread(str(folder / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    if mask is None:
        raise InputError(f"{folder / 'masks' / name}.png cannot be read; expected the mask of {name}")
    _, _, facts, _ = cv2.connectedComponentsWithStats((mask == _IGNORED).astype(np.uint8))
    left, top, width, height = facts[1:, :4].T.astype(np.float64)
    crowds = np.stack([left, top, left + width, top + height], axis=1)
    return LabelledPicture(folder / "images" / f"{name}.jpg", class_ids, np.array(boxes).reshape(-1, 4), crowds)


def _around(polygons: Sequence[Sequence[float]]) -> np.ndarray:
    points = np.concatenate([np.reshape(np.array(polygon, np.float64), (-1, 2)) for polygon in polygons])
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
