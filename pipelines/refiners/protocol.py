"""Refinement: a coarse mask, a box or points become a fine mask (HQ-SMem's second part, 2507.18921).

A `Refiner` makes candidates, `policy.py` judges them, `gate.py` joins the two. The same refiners turn prompts and
detections into first masks (`first_mask.py`). Refiners keep nothing from frame to frame but the image that was set, so
there is no state to snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch

from streamvos.config import Settings
from streamvos.device import Precision
from streamvos.errors import InputError
from streamvos.registry import Registry


@dataclass(frozen=True)
class Candidate:
    """One possible mask.

    Args:
        name: how it was made ("box", "box+mask").
        mask: (H, W) bool.
        predicted_iou: the refiner's own estimate in [0, 1], None where it has none.
        reason: what happened while it was made, for people ("GrabCut found nothing: inscribed ellipse").
    """

    name: str
    mask: np.ndarray
    predicted_iou: float | None
    reason: str


class Refiner(Protocol):
    """Makes fine masks. Set the image once, refine as many objects as it shows."""

    name: str

    def suits_quick(self, box_px: float) -> bool:
        """Whether a quick refinement in every frame is cheap, and gains.

        Args:
            box_px: geometric mean of the sides of the mask's box, in pixels of the tracker's working size.
        """

    def set_image(self, image: np.ndarray, frame_index: int) -> None:
        """Take the (H, W, 3) uint8 RGB image of all later calls; the same array again costs nothing."""

    def refine(
        self,
        coarse: np.ndarray | None = None,
        box: np.ndarray | None = None,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        quick: bool = False,
    ) -> tuple[Candidate, ...]:
        """Candidates, at least one, for a coarse mask and/or box and/or points.

        Args:
            coarse: (H, W) bool, not empty.
            box: (4,) xyxy pixels; what lies outside the frame is cut off.
            points: (P, 2) xy pixels, with `labels` (P,) bool, True on the object.
            quick: only one candidate, the one that is best on its own.

        Raises:
            InputError: no prompt, an empty or wrongly sized mask, a box or all points outside the frame.
        """


@dataclass(frozen=True)
class RefinerSetup:
    """What a refiner must know of the run that it is for.

    Args:
        device: where networks run.
        precision: of frozen networks.
        seed: of random choices.
    """

    device: torch.device
    precision: Precision = "auto"
    seed: int = 0


class RefinerKind(Protocol):
    """A class of refiners as it is registered.

    `settings`: its table, None where it has none. `makes_first_masks`: whether it may make masks of boxes and clicks.
    """

    settings: type[Settings] | None
    makes_first_masks: bool

    def build(self, config: Any, setup: RefinerSetup) -> Refiner:
        """With the weights that it needs; raises `MissingWeightsError` where they are absent."""

    def weights(self, config: Any) -> tuple[str, ...]:
        """Names in the catalogue of the weights that `build` loads."""


REFINERS: Registry[RefinerKind] = Registry("refiner")


def checked_prompt(
    image: np.ndarray | None,
    coarse: np.ndarray | None,
    box: np.ndarray | None,
    points: np.ndarray | None,
    labels: np.ndarray | None,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """The box clipped to the frame, the points in it, their labels; raises what `Refiner.refine` raises.

    What `Prompt` and `Detections` have checked by themselves (corners in order, a label for each point) is trusted;
    what lies where in this image, they cannot know.
    """
    assert image is not None, "set_image comes first"
    if coarse is None and box is None and points is None:
        raise InputError("refine: expected at least one of coarse, box, points; got none")
    height, width = image.shape[:2]
    if coarse is not None and (coarse.shape != (height, width) or not coarse.any()):
        raise InputError(
            f"refine: expected a mask of ({height}, {width}) pixels that is not empty, "
            f"got {coarse.shape} with {np.count_nonzero(coarse)} pixels set"
        )
    if box is not None:
        clipped = np.clip(box, 0, [width, height, width, height]).astype(np.float32)
        if not (clipped[2] > clipped[0] and clipped[3] > clipped[1]):
            raise InputError(f"refine: box {np.round(box, 1).tolist()} lies outside the {width}x{height} frame")
        box = clipped
    if points is not None:
        inside = ((points >= 0) & (points < [width, height])).all(axis=1)
        points, labels = points[inside].astype(np.float32), labels[inside]
        if coarse is None and box is None and not labels.any():
            raise InputError(f"refine: no point on the object lies inside the {width}x{height} frame")
    return box, points, labels


def holds(mask: np.ndarray, points: np.ndarray) -> bool:
    """Whether an (H, W) bool mask has all pixels of (P, 2) xy points in it."""
    columns, rows = points.astype(int).T
    return bool(mask[rows, columns].all())


def innermost_point(mask: np.ndarray) -> np.ndarray:
    """The (2,) float32 xy pixel of an (H, W) bool mask that lies farthest from its border."""
    padded = np.pad(mask.astype(np.uint8), 1)  # the frame's edge is a border too
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    return np.array([col, row], np.float32)
