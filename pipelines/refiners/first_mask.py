"""First masks: what a box, clicks or a detection mean, made by any refiner."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from pipelines.refiners.choices import are_same, distinct
from pipelines.refiners.protocol import Candidate, Refiner
from streamvos.boxes import box_iou, boxes_around
from streamvos.errors import InputError
from streamvos.masks import tight_box
from streamvos.records import CHOICES, Prompt

logger = logging.getLogger(__name__)
# What a mask e times as large is worth beside predicted IoU, which prefers parts: they look complete, too.
_WHOLE = 0.03
_DETECTED = 0.1  # what it is worth to a mask of a click that the detector sees just this thing
# A mask of a click that is as sure as this, and so small beside what the detector sees there, is a thing that the
# detector has no name for: a ball before a man, a shoe. Chosen on 300 objects that the refiner has learned from (58.7
# IoU without the rule, 60.4 with it); on 200 held-out ones, whose labels know no parts, it costs 1.0.
_OWN_QUALITY, _OWN_SHARE = 0.55, 0.1
# Overlap of a detection with the box of the mask made from it, below which the mask is something else: cups that stand
# on the table that was detected (IoU 0.2 to 0.3 in the clip that it was chosen on, where things have 0.6 and more).
_EXPLAINED = 0.5
_MOST_INSTANCES = 3  # that a click is tried with; each costs a pass of the network


def first_mask(
    image: np.ndarray, prompt: Prompt, refiner: Refiner, quick: bool = False, instances: np.ndarray | None = None
) -> np.ndarray:
    """Turn a prompt into an (H, W) bool mask; a mask prompt is returned as it is.

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
    found = candidates_of(image, prompt, refiner, quick, instances)
    taken = found[min(prompt.choice, len(found) - 1)]
    logger.debug("first mask of object %d: %s", prompt.object_id, taken.reason)
    return taken


def candidates_of(
    image: np.ndarray, prompt: Prompt, refiner: Refiner, quick: bool = False, instances: np.ndarray | None = None
) -> tuple[Candidate, ...]:
    """What a prompt may mean, the likeliest first; more than one only where clicks leave it open.

    A click does not say how far its object reaches. The refiner offers what it may mean; a thing that the detector sees
    around it is one more offer, and one vote for what agrees with it; a sure thing that is much smaller goes before it.
    Where it sees nothing there, larger masks are preferred. Whatever does not hold the click is none.
    """
    if prompt.mask is not None:
        if prompt.mask.shape != image.shape[:2]:
            raise InputError(
                f"prompt mask of object {prompt.object_id}: expected {image.shape[:2]} pixels (H, W) as the "
                f"frame, got {prompt.mask.shape}; resize it with nearest neighbour"
            )
        return (Candidate("mask", prompt.mask, None, "given by the user"),)
    refiner.set_image(image, prompt.frame_index)
    asked = {"box": prompt.box, "points": prompt.points, "labels": prompt.labels}
    offered = refiner.refine(**asked, quick=quick)
    if not prompt.clicks_alone:
        return (best_candidate(offered),)
    detected = [] if instances is None else _clicked_instances(refiner, prompt.points, prompt.labels, instances)
    if len(prompt.points) > 1:
        return (best_candidate(detected or offered),)
    offered = [one for one in offered if _agrees(one.mask, prompt.points, prompt.labels)] or list(offered)
    ordered = sorted([*detected, *offered], key=lambda each: _rank(each, detected))
    return tuple(ordered[place] for place in distinct([one.mask for one in ordered])[:CHOICES])


def _rank(candidate: Candidate, detected: Sequence[Candidate]) -> tuple[bool, float]:
    """What a click means first, in ascending order."""
    if not detected:  # nothing says how far it reaches
        return False, -_worth(candidate)
    vote = _DETECTED * any(are_same(candidate.mask, other.mask) for other in detected)
    return not _is_of_its_own(candidate, detected), -(candidate.predicted_iou or 0.0) - vote


def _is_of_its_own(candidate: Candidate, detected: Sequence[Candidate]) -> bool:
    smallest = min((np.count_nonzero(one.mask) for one in detected), default=0)
    return (candidate.predicted_iou or 0.0) >= _OWN_QUALITY and np.count_nonzero(candidate.mask) < _OWN_SHARE * smallest


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """The highest predicted IoU, the larger mask among near ones: parts look complete, too; the first among equals."""
    return max(candidates, key=_worth)


def _worth(candidate: Candidate) -> float:
    return (candidate.predicted_iou or 0.0) + _WHOLE * float(np.log(max(1, np.count_nonzero(candidate.mask))))


def _clicked_instances(
    refiner: Refiner, points: np.ndarray, labels: np.ndarray, instances: np.ndarray
) -> list[Candidate]:
    """Of the smallest boxes around all clicks on the object, the masks that every click agrees with."""
    agreeing = []
    for row in boxes_around(points[labels], instances)[:_MOST_INSTANCES]:
        quick = len(points) == 1  # then it is one offer among several
        best = best_candidate(refiner.refine(box=instances[row], points=points, labels=labels, quick=quick))
        if explains(best.mask, instances[row]) and _agrees(best.mask, points, labels):
            agreeing.append(dataclasses.replace(best, reason=f"{best.reason}, in the box of what was detected there"))
    return agreeing


def _agrees(mask: np.ndarray, points: np.ndarray, labels: np.ndarray) -> bool:
    """Whether all clicks inside the frame are on their side of the mask."""
    columns, rows = points.astype(int).T
    height, width = mask.shape
    seen = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return bool((mask[rows[seen], columns[seen]] == labels[seen]).all())


def explains(mask: np.ndarray, box_xyxy: np.ndarray) -> bool:
    """Whether an (H, W) bool mask that was made from a (4,) detection is what was detected, not something inside."""
    return bool(mask.any()) and float(box_iou(tight_box(mask)[None], box_xyxy[None])[0, 0]) >= _EXPLAINED
