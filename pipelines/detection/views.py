"""Parts of a frame that a detector looks at once more: four overlapping quarters, and how their boxes come back.

A detector sees every picture at one fixed size, so a quarter shows what is small at nearly twice the size. What only
seems to be a thing there must not come back: a box that an inner border of the quarter cuts is dropped, as is one that
fills much of the quarter, which the whole frame shows better. Sizes were chosen on 150 COCO pictures that the figures
of `eval.studies.looks` do not contain: of shares of 0.55, 0.6 and 0.67, of margins of 1, 2 and 4%.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from streamvos.models.candidates import Candidates

NAMES = ("top left", "top right", "bottom left", "bottom right")
_SIDE = 0.6  # of the frame's sides; larger loses fewer things at borders and enlarges less
_MARGIN = 0.02  # of the quarter's sides, within which a box counts as cut by an inner border
_MAX_AREA = 0.3  # of the quarter, up to which a box of it is taken
_WORTH_KEEPING = 0.01  # class score, below which a candidate of a quarter is left out: most anchors see nothing


class View(NamedTuple):
    """A part of a frame in whole pixels, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def cut_out(self, image: np.ndarray) -> np.ndarray:
        """The part of an (H, W, 3) picture that it shows."""
        return np.ascontiguousarray(image[self.top : self.bottom, self.left : self.right])

    def takes(self, boxes_xyxy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Which of (N, 4) boxes, in pixels of a frame of (H, W), it shows whole, and larger than the frame does: bool.

        Boxes must be clipped to what the view, or the frame, shows.
        """
        height, width = size
        margin_x, margin_y = _MARGIN * (self.right - self.left), _MARGIN * (self.bottom - self.top)
        left, top, right, bottom = boxes_xyxy.T
        whole = (self.left == 0) | (left >= self.left + margin_x)
        whole &= (self.top == 0) | (top >= self.top + margin_y)
        whole &= (self.right == width) | (right <= self.right - margin_x)
        whole &= (self.bottom == height) | (bottom <= self.bottom - margin_y)
        area = (right - left) * (bottom - top)
        return whole & (area <= _MAX_AREA * (self.right - self.left) * (self.bottom - self.top))


def quarters_of(size: tuple[int, int]) -> tuple[View, ...]:
    """The four quarters of a frame of (H, W), in the order of `NAMES`; neighbours overlap by a fifth of the frame."""
    height, width = size
    part_y, part_x = max(round(_SIDE * height), 1), max(round(_SIDE * width), 1)
    return tuple(
        View(left, top, left + part_x, top + part_y) for top in (0, height - part_y) for left in (0, width - part_x)
    )


def to_frame(seen: Candidates, view: View, size: tuple[int, int]) -> Candidates:
    """Candidates of a view in pixels of the frame of (H, W), without those that the view cuts or that are large."""
    height, width = seen.size
    boxes = np.clip(seen.boxes_xyxy, 0, np.array([width, height, width, height], np.float32))
    boxes += np.array([view.left, view.top, view.left, view.top], np.float32)
    kept = view.takes(boxes, size) & (seen.scores.max(axis=1, initial=0) >= _WORTH_KEEPING)
    return Candidates(boxes[kept], seen.scores[kept], size)


def together(parts: Sequence[Candidates]) -> Candidates:
    """Candidates of one frame, found in several views of it; a vocabulary may have grown from view to view."""
    columns = max(part.scores.shape[1] for part in parts)
    scores = [np.pad(part.scores, ((0, 0), (0, columns - part.scores.shape[1]))) for part in parts]
    return Candidates(np.concatenate([part.boxes_xyxy for part in parts]), np.concatenate(scores), parts[0].size)
