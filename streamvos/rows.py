"""One row of a record, and the choice of some of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from streamvos.errors import InputError

R = TypeVar("R")
Rows = slice | np.ndarray | Sequence[int] | Sequence[bool]


@dataclass(frozen=True)
class Detection:
    """One find of the detector: a row of `Detections`.

    Args:
        box_xyxy: (4,) float32 pixels of the full frame.
        score: in [0, 1], how sure the class is.
        class_id, class_name: of the detector's vocabulary.
        object_id: identity that the segmenter gave it, -1 where none.
    """

    box_xyxy: np.ndarray
    score: float
    class_id: int
    class_name: str
    object_id: int


@dataclass(frozen=True)
class TrackedObject:
    """One followed object in one frame: a row of `ObjectMasks`.

    Args:
        object_id: stable identity, >= 1.
        rle: COCO run-length encoding of the mask at full size.
        box_xyxy: (4,) float32 tight box, zeros where the mask is empty.
        score: in [0, 1], how sure the tracker is of the mask.
        class_score: in [0, 1], how sure the detector was of the class when it last saw the object; None where it
            never did.
        state: "tracked", "occluded" or "lost".
        class_name: "" where unknown.
        whole_box_xyxy: (4,) float32 box of all of it, also of what is hidden; zeros where it is lost.
    """

    object_id: int
    rle: dict[str, Any]
    box_xyxy: np.ndarray
    score: float
    class_score: float | None
    state: str
    class_name: str
    whole_box_xyxy: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool, decoded when it is asked for."""
        from streamvos.masks import decode  # which imports the records

        return decode(self.rle)


def row_of(key: Any, count: int, what: str) -> int | None:
    """The row that a whole number means, from the end where it is negative; None where `key` is no number.

    Raises:
        IndexError: there is no such row.
    """
    if isinstance(key, bool | np.bool_) or not isinstance(key, int | np.integer):
        return None
    if not -count <= key < count:
        raise IndexError(f"row {key}: expected {-count} to {count - 1}, there are {count} {what}")
    return int(key) % count


def some_rows(record: R, rows: Rows, names: Sequence[str]) -> R:
    """The record with some of its rows, in the order asked for.

    Args:
        record: a frozen dataclass.
        rows: a slice, row numbers, or one True or False for each row.
        names: the fields that have one entry for each row.
    """
    count = len(getattr(record, names[0]))
    if isinstance(rows, slice):
        chosen = np.arange(count)[rows]
    else:
        chosen = np.asarray(rows)
        if chosen.dtype == np.bool_ and chosen.shape == (count,):
            chosen = np.flatnonzero(chosen)
        elif not chosen.size:
            chosen = np.zeros(0, np.int64)
        is_rows = chosen.ndim == 1 and chosen.dtype.kind in "iu"
        if not is_rows or (chosen.size and (chosen.min() < -count or chosen.max() >= count)):
            raise InputError(
                f"rows: expected a row, a slice, rows from 0 to {count - 1}, or {count} times True or False; "
                f"got {rows!r}"
            )
    values: dict[str, Any] = {}
    for name in names:
        value = getattr(record, name)
        values[name] = value[chosen] if isinstance(value, np.ndarray) else tuple(value[row] for row in chosen.tolist())
    return dataclasses.replace(record, **values)
