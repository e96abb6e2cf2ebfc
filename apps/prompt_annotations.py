"""One object in one frame, as annotations of other tools have it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LONGEST_SIDE = 16_384  # pixels of an annotated picture; pycocotools counts them in 32 bits


@dataclass(frozen=True)
class Annotation:
    """What becomes a prompt.

    Args:
        frame: number in the video, from 0.
        object_id: None where the annotations know none.
        label: the class, None where it has no name.
        box: x1, y1, x2, y2 in pixels.
        mask: (H, W) bool; it goes before the box.
    """

    frame: int
    object_id: int | None
    label: str | None
    box: tuple[float, float, float, float] | None = None
    mask: np.ndarray | None = None


def frame_number(name: str) -> int | None:
    """The number that a file name ends with: 12 of "frame_00012.png"; None where it ends otherwise."""
    found = re.search(r"(\d{1,9})$", Path(name).stem)
    return None if found is None else int(found[1])
