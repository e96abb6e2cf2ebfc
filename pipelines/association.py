"""Which detection is which object, and which detections are new. Boxes, masks and classes in, pairs out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from streamvos.boxes import box_iou
from streamvos.models import coco
from streamvos.records import Detections


@dataclass(frozen=True)
class AssociationConfig:
    """How detections are matched and when a new one is believed."""

    min_iou: float = 0.3  # of an object's box and a detection; larger leaves more unmatched
    min_new_score: float = 0.5  # a weaker detection starts no object
    sure_score: float = 0.8  # a detection so strong starts one at once; weaker ones must be seen twice
    confirm_iou: float = 0.3  # of two sightings of a new thing in successive runs of the detector
    max_covered: float = 0.6  # share of a detection inside masks of its group above which it is nothing new
    min_area_share: float = 0.0015  # of the frame; smaller things start no object
    min_likeness: float = 0.8  # cosine of appearance above which a lost object of the class has returned
    min_likeness_across_cuts: float = 0.9  # likewise after a cut; larger recognises less and errs less


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


def same_group(one: str, other: str) -> bool:
    """Whether two class names may be one thing: equal, or of one group (car and truck, dog and cat)."""
    return one == other or (one in coco.GROUP_OF and coco.GROUP_OF[one] == coco.GROUP_OF.get(other))
