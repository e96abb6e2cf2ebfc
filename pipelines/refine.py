"""Refinement: a coarse mask, a box or points become a fine mask (HQ-SMem's second part, 2507.18921).

A `Refiner` makes candidates, the policy in `refine_policy.py` judges them, `refine_mask` joins the two.
The same refiners turn prompts and detections into first masks (`first_mask`). Refiners keep nothing from
frame to frame but the image that was set, so there is no state to snapshot.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from pipelines.refine_policy import CandidateNumbers, RefineConfig, RefineDecision, decide
from streamvos.boxes import box_iou, boxes_around
from streamvos.errors import InputError
from streamvos.masks import tight_box
from streamvos.records import Prompt

if TYPE_CHECKING:
    from streamvos.models.sam_hq import SamHqPredictor

logger = logging.getLogger(__name__)
# What a mask e times as large is worth beside predicted IoU, which prefers parts: they look complete, too. What that
# gains, and costs among small things: `python -m eval.refiners`, docs/model-cards/refiner.md.
_WHOLE = 0.03
# Overlap of a detection with the box of the mask made from it, below which the mask is something else: cups that stand
# on the table that was detected (IoU 0.2 to 0.3 in the clip that it was chosen on, where things have 0.6 and more).
_EXPLAINED = 0.5
_MOST_THINGS = 3  # that a click is tried with; each costs two looks


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

    def polishes(self, box_px: float) -> bool:
        """Whether a quick look at every frame is cheap, and gains.

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


class SamHqRefiner:
    """SAM-HQ as refiner. A coarse mask is asked for in five ways, of which quick looks take the first.

    They are: box and mask; box; box and inner point; box with the high-quality token alone; three answers to the inner
    point, of which SAM takes the one that it believes most.
    """

    name = "sam-hq"

    def __init__(self, predictor: SamHqPredictor):
        self._predictor = predictor
        self._image: np.ndarray | None = None

    def polishes(self, box_px: float) -> bool:
        return False  # a second and more on a CPU; on a GPU, `refine.when.every = 1` selects in every frame

    def set_image(self, image: np.ndarray, frame_index: int) -> None:
        if image is not self._image:
            self._predictor.set_image(image)
            self._image = image

    def refine(
        self,
        coarse: np.ndarray | None = None,
        box: np.ndarray | None = None,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        quick: bool = False,
    ) -> tuple[Candidate, ...]:
        box, points, labels = checked_prompt(self._image, coarse, box, points, labels)
        if coarse is None:
            name = "+".join(name for name, one in (("box", box), ("points", points)) if one is not None)
            return (self._ask(name, box=box, points=points, labels=labels),)
        given = {"box": tight_box(coarse) if box is None else box, "points": points, "labels": labels}
        first = self._ask("box+mask", **given, mask=coarse)
        if quick:
            return (first,)
        inner, inside = innermost_point(coarse)[None], np.ones(1, bool)
        with_inner = {"points": inner, "labels": inside}
        if points is not None:
            with_inner = {"points": np.concatenate([inner, points]), "labels": np.concatenate([inside, labels])}
        return (
            first,
            self._ask("box", **given),
            self._ask("box+point", **{**given, **with_inner}),
            self._ask("box, hq token only", **given, hq_token_only=True),
            self._ask("point, best of three", points=inner, labels=inside),
        )

    def _ask(self, name: str, **prompt: np.ndarray | bool | None) -> Candidate:
        mask, predicted_iou = self._predictor.predict(**prompt)
        return Candidate(name, mask, predicted_iou, f"SAM-HQ from {name}, predicted IoU {predicted_iou:.2f}")


@dataclass(frozen=True)
class Likeness:
    """How like what is known of an object a mask's content is, and what surrounds it; each in [0, 1]."""

    inside: float
    surroundings: float | None


def refine_mask(
    refiner: Refiner,
    coarse: np.ndarray,
    config: RefineConfig,
    likeness: Callable[[np.ndarray], Likeness] | None = None,
    quick: bool = False,
) -> tuple[np.ndarray, RefineDecision]:
    """Refine one object's coarse mask in the image that was set, behind the gate.

    Args:
        refiner: with the image set.
        coarse: (H, W) bool, the tracker's mask; an empty one never reaches the refiner.
        likeness: of an (H, W) bool mask to the object; None: not known, or not asked for.
        quick: look at one candidate alone.

    Returns:
        The chosen mask, or `coarse` itself where the gate rejects or skips; and the decision.
    """
    coarse_px = int(np.count_nonzero(coarse))
    candidates = refiner.refine(coarse=coarse, quick=quick) if coarse_px else ()
    numbers = []
    for one in candidates:
        known = None if likeness is None or not one.mask.any() else likeness(one.mask)
        numbers.append(
            CandidateNumbers(
                one.name,
                intersection_over_union(one.mask, coarse),
                one.predicted_iou,
                None if known is None else known.inside,
                None if known is None else known.surroundings,
            )
        )
    decision = decide(coarse_px, numbers, config)
    return (coarse if decision.row is None else candidates[decision.row].mask), decision


def first_mask(
    image: np.ndarray, prompt: Prompt, refiner: Refiner, quick: bool = False, things: np.ndarray | None = None
) -> np.ndarray:
    """Turn a prompt into an (H, W) bool mask; a mask prompt is returned as it is.

    A click does not say how far its object reaches, a detector does: of the things around all clicks that whose
    mask explains them best is taken, where there is one.

    Args:
        image: (H, W, 3) uint8 RGB.
        prompt: for this image.
        refiner: makes the mask.
        quick: one look where several would be a little better: detections come often, users' prompts do not.
        things: (M, 4) xyxy boxes of things seen in the image; only clicks without a box ask for them.

    Raises:
        InputError: a mask of another size than the image, a box or all points outside it.
    """
    return first_candidate(image, prompt, refiner, quick, things).mask


def first_candidate(
    image: np.ndarray, prompt: Prompt, refiner: Refiner, quick: bool = False, things: np.ndarray | None = None
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
    known = prompt.clicks_alone and things is not None
    best = _thing_clicked(refiner, prompt.points, prompt.labels, things) if known else None
    if best is None:
        asked = {"box": prompt.box, "points": prompt.points, "labels": prompt.labels}
        best = most_believed(refiner.refine(**asked, quick=quick))
    logger.debug("first mask of object %d: %s", prompt.object_id, best.reason)
    return best


def most_believed(candidates: Sequence[Candidate]) -> Candidate:
    """The highest predicted IoU, the larger mask among near ones: parts look complete, too; the first among equals."""
    return max(
        candidates,
        key=lambda one: (one.predicted_iou or 0.0) + _WHOLE * np.log(max(1, np.count_nonzero(one.mask))),
    )


def _thing_clicked(refiner: Refiner, points: np.ndarray, labels: np.ndarray, things: np.ndarray) -> Candidate | None:
    """Of the smallest boxes around all clicks on the object, the best mask that every click agrees with, if any."""
    columns, rows = points.astype(int).T
    agreeing = []
    for row in boxes_around(points[labels], things)[:_MOST_THINGS]:
        best = most_believed(refiner.refine(box=things[row], points=points, labels=labels))
        height, width = best.mask.shape
        seen = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        if explains(best.mask, things[row]) and (best.mask[rows[seen], columns[seen]] == labels[seen]).all():
            agreeing.append(dataclasses.replace(best, reason=f"{best.reason}, in the box of a thing seen there"))
    return most_believed(agreeing) if agreeing else None


def explains(mask: np.ndarray, box_xyxy: np.ndarray) -> bool:
    """Whether an (H, W) bool mask that was made from a (4,) detection is what was detected, not something inside."""
    return bool(mask.any()) and float(box_iou(tight_box(mask)[None], box_xyxy[None])[0, 0]) >= _EXPLAINED


def checked_prompt(
    image: np.ndarray | None,
    coarse: np.ndarray | None,
    box: np.ndarray | None,
    points: np.ndarray | None,
    labels: np.ndarray | None,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """The box clipped to the frame, the points in it, their labels; raises what `Refiner.refine` raises."""
    if image is None:
        raise InputError("refine: no image; call set_image first")
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
        if labels is None or len(labels) != len(points):
            raise InputError("refine: expected labels, (P,) bool, one for each point")
        inside = ((points >= 0) & (points < [width, height])).all(axis=1)
        points, labels = points[inside].astype(np.float32), labels[inside]
        if coarse is None and box is None and not labels.any():
            raise InputError(f"refine: no point on the object lies inside the {width}x{height} frame")
    return box, points, labels


def innermost_point(mask: np.ndarray) -> np.ndarray:
    """The (2,) float32 xy pixel of an (H, W) bool mask that lies farthest from its border."""
    padded = np.pad(mask.astype(np.uint8), 1)  # the frame's edge is a border too
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    return np.array([col, row], np.float32)


def intersection_over_union(first: np.ndarray, second: np.ndarray) -> float:
    """IoU of two (H, W) bool masks; 0 where both are empty, for nothing agrees with nothing."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 0.0
