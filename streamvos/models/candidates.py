"""What a detector proposes, and what remains of it after non-maximum suppression.

Suppression within each class as in the TensorFlow object detection API.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from streamvos.boxes import keep_apart


@dataclass(frozen=True)
class Candidates:
    """What a detector proposes before suppression: A boxes, each with a score for each of C class ids.

    Args:
        boxes_xyxy: (A, 4) float32 pixels of the picture, not yet clipped to it.
        scores: (A, C) float32 in [0, 1], by class id; columns of ids that no class has are never looked at.
        size: (H, W) of the picture.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    size: tuple[int, int]


def suppress(
    candidates: Candidates,
    min_score: float,
    nms: float,
    max_detections: int,
    class_ids: Collection[int],
    per_class: int = 100,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Non-maximum suppression within each class.

    Args:
        min_score: lower finds more and errs more.
        nms: boxes of one class that overlap more than this IoU count as one.
        max_detections: the best so many are given.
        class_ids: the classes asked for. per_class: the best so many candidates of each enter.

    Returns:
        boxes (M, 4) float32 xyxy px clipped to the picture, scores (M,) float32, class ids (M,) int64; best first.
    """
    height, width = candidates.size
    limit = np.array([width, height, width, height], np.float32)
    parts = [(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))]
    asked = np.array(sorted(class_ids), np.int64)
    for class_id in asked[(candidates.scores[:, asked] >= min_score).any(axis=0)]:
        scores = candidates.scores[:, class_id]
        rows = np.flatnonzero(scores >= min_score)
        rows = rows[np.argsort(-scores[rows], kind="stable")][:per_class]
        boxes = np.clip(candidates.boxes_xyxy[rows], 0, limit)
        keep = keep_apart(boxes, nms)
        keep = keep[((boxes[keep, 2:] - boxes[keep, :2]) > 0).all(axis=1)]
        parts.append((boxes[keep], scores[rows[keep]], np.full(len(keep), class_id, np.int64)))
    boxes, scores, classes = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")[:max_detections]
    return boxes[order], scores[order], classes[order]
