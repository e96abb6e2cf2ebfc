"""Which detection is which object, and which detections are new. Boxes, masks and classes in, pairs out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from streamvos.boxes import box_iou
from streamvos.models import coco
from streamvos.records import Detections


@dataclass(frozen=True)
class MatchingRules:
    """How detections are matched and when a new one is confirmed: chosen on the sample clips, but for the last."""

    min_iou: float = 0.3  # of an object's box and a detection; larger leaves more unmatched
    confirm_iou: float = 0.3  # of two sightings of a new thing in successive runs of the detector
    max_covered: float = 0.6  # share of a detection inside masks of its group above which it is nothing new
    max_double_iou: float = 0.45  # with a detection of the class that is known above which it is a second look at it
    min_inside: float = 0.7  # share of an object's mask inside a detection above which it is a fragment of that thing
    agree_iou: float = 0.5  # of a mask's box and its detection below which the mask is made anew from the detection
    box_margin: float = 0.06  # of a detection's sides; what a mask has beyond it is cut off
    # Cosine of appearance from which an object of this shot has returned; or from the second, where it leads all others
    # of its class by so much. Chosen on tracks of real clips and on composed sets for development; what that gains, and
    # costs with look-alikes, on others: `python -m eval.studies.recognition`, eval/results/recognition.md.
    min_similarity: float = 0.85
    min_leading_similarity: float = 0.65
    min_lead: float = 0.1
    min_similarity_across_cuts: float = 0.9  # the one that counts after a cut; larger recognises less and errs less


def match(found: Detections, boxes_xyxy: np.ndarray, class_names: list[str], min_iou: float) -> dict[int, int]:
    """Pair detections with objects so that the total overlap is greatest; the same class is worth a little more.

    Args:
        found: M detections.
        boxes_xyxy: (N, 4) float32 tight boxes of the objects' masks.
        class_names: N, "" where unknown.

    Returns:
        Row of the detection to row of the object.
    """
    if not len(found) or not len(boxes_xyxy):
        return {}
    overlap = box_iou(found.boxes_xyxy, boxes_xyxy)  # (M, N)
    worth = overlap.copy()
    for column, name in enumerate(class_names):
        for row, found_name in enumerate(found.class_names):
            if not name or same_group(name, found_name):
                worth[row, column] += 0.2
            elif name != found_name:
                worth[row, column] -= 0.3
    rows, columns = linear_sum_assignment(-worth)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {row: column for row, column in pairs if overlap[row, column] >= min_iou and worth[row, column] > min_iou}


def match_fragments(
    found: Detections,
    shown: list[np.ndarray],
    class_names: list[str],
    pairs: dict[int, int],
    size: tuple[int, int],
    min_inside: float,
) -> dict[int, int]:
    """Pair what `match` left: a detection with the largest free mask of its group that lies inside it.

    A mask that has shrunk to a part of its object overlaps little with the detection of the whole.
    """
    more: dict[int, int] = {}
    for row in range(len(found)):
        if row in pairs:
            continue
        inside = [
            (int(mask.sum()), column)
            for column, mask in enumerate(shown)
            if column not in pairs.values()
            and column not in more.values()
            and same_group(class_names[column], found.class_names[row])
            and contained(found.boxes_xyxy[row], mask, size) >= min_inside
        ]
        if inside:
            more[row] = max(inside)[1]
    return more


def contained(box_xyxy: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> float:
    """Share of an (h, w) bool mask that lies inside a (4,) box given in pixels of a frame of size (H, W)."""
    area = int(mask.sum())
    if not area:
        return 0.0
    window = box_window(box_xyxy, mask.shape, size, 0.0)
    return float(mask[window].sum() / area)


def box_window(
    box_xyxy: np.ndarray, shape: tuple[int, ...], size: tuple[int, int], margin: float
) -> tuple[slice, slice]:
    """Rows and columns of an (h, w) map that a box of the (H, W) frame covers, its sides grown by a share."""
    scale = np.array([shape[1] / size[1], shape[0] / size[0]] * 2)
    left, top, right, bottom = box_xyxy * scale
    grow_x, grow_y = margin * (right - left), margin * (bottom - top)
    low = np.floor([top - grow_y, left - grow_x]).astype(int).clip(0)
    high = np.ceil([bottom + grow_y, right + grow_x]).astype(int)
    return slice(low[0], max(high[0], low[0] + 1)), slice(low[1], max(high[1], low[1] + 1))


def same_group(one: str, other: str) -> bool:
    """Whether two class names may be one thing: equal, or of one group (car and truck, dog and cat)."""
    return one == other or (one in coco.GROUP_OF and coco.GROUP_OF[one] == coco.GROUP_OF.get(other))
