"""First masks: what a box, clicks or a detection mean, made by any refiner."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from pipelines.refiners.protocol import Candidate, Refiner
from streamvos.boxes import box_iou, boxes_around
from streamvos.errors import InputError
from streamvos.masks import tight_box
from streamvos.records import Prompt

logger = logging.getLogger(__name__)
# What a mask e times as large is worth beside predicted IoU, which prefers parts: they look complete, too. What that
# gains, and costs among small things: `python -m eval.studies.refiners`, docs/model-cards/refiner.md.
_WHOLE = 0.03
# Overlap of a detection with the box of the mask made from it, below which the mask is something else: cups that stand
# on the table that was detected (IoU 0.2 to 0.3 in the clip that it was chosen on, where things have 0.6 and more).
_EXPLAINED = 0.5
_MOST_INSTANCES = 3  # that a click is tried with; each costs two passes of the network


def first_mask(
    image: np.ndarray, prompt: Prompt, refiner: Refiner, quick: bool = False, instances: np.ndarray | None = None
) -> np.ndarray:
    """Turn a prompt into an (H, W) bool mask; a mask prompt is returned as it is.

    A click does not say how far its object reaches, a detector does: of the instances around all clicks that whose
    mask explains them best is taken, where there is one.

    Args:
        image: (H, W, 3) uint8 RGB.
        prompt: for this image.
        refiner: makes the mask.
        quick: one pass where several would be a little better: detections come often, users' prompts do not.
        instances: (M, 4) xyxy boxes detected in the image; only clicks without a box ask for them.

    Raises:
        InputError: a mask of another size than the image, a box or all points outside it.
    """
    return first_candidate(image, prompt, refiner, quick, instances).mask


def first_candidate(
    image: np.ndarray, prompt: Prompt, refiner: Refiner, quick: bool = False, instances: np.ndarray | None = None
) -> Candidate:
    """As `first_mask`, with the reason how the mask was made."""
    if prompt.mask is not None:
        if prompt.mask.shape != image.shape[:2]:
            raise InputError(
                f"prompt mask of object {prompt.object_id}: expected {image.shape[:2]} pixels (H, W) as the "
                f"frame, got {prompt.mask.shape}; resize it with nearest neighbour"
            )
        return Candidate("mask", prompt.mask, None, "given by the user")
    refiner.set_image(image, prompt.frame_index)
    known = prompt.clicks_alone and instances is not None
    best = _clicked_instance(refiner, prompt.points, prompt.labels, instances) if known else None
    if best is None:
        asked = {"box": prompt.box, "points": prompt.points, "labels": prompt.labels}
        best = best_candidate(refiner.refine(**asked, quick=quick))
    logger.debug("first mask of object %d: %s", prompt.object_id, best.reason)
    return best


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """The highest predicted IoU, the larger mask among near ones: parts look complete, too; the first among equals."""
    return max(
        candidates,
        key=lambda one: (one.predicted_iou or 0.0) + _WHOLE * np.log(max(1, np.count_nonzero(one.mask))),
    )


def _clicked_instance(
    refiner: Refiner, points: np.ndarray, labels: np.ndarray, instances: np.ndarray
) -> Candidate | None:
    """Of the smallest boxes around all clicks on the object, the best mask that every click agrees with, if any."""
    columns, rows = points.astype(int).T
    agreeing = []
    for row in boxes_around(points[labels], instances)[:_MOST_INSTANCES]:
        best = best_candidate(refiner.refine(box=instances[row], points=points, labels=labels))
        height, width = best.mask.shape
        seen = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        if explains(best.mask, instances[row]) and (best.mask[rows[seen], columns[seen]] == labels[seen]).all():
            agreeing.append(dataclasses.replace(best, reason=f"{best.reason}, in the box of what was detected there"))
    return best_candidate(agreeing) if agreeing else None


def explains(mask: np.ndarray, box_xyxy: np.ndarray) -> bool:
    """Whether an (H, W) bool mask that was made from a (4,) detection is what was detected, not something inside."""
    return bool(mask.any()) and float(box_iou(tight_box(mask)[None], box_xyxy[None])[0, 0]) >= _EXPLAINED
