"""Arithmetic of boxes: xyxy in pixels, right and bottom exclusive."""

from __future__ import annotations

import numpy as np


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Overlap of (N, 4) with (M, 4) boxes: (N, M) intersection over union, 0 where a box is empty."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inside = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def boxes_around(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Rows of (N, 4) boxes that hold all of (P, 2) xy points, the smallest box first."""
    inside = (points[:, None] >= boxes[:, :2]) & (points[:, None] < boxes[:, 2:])
    rows = np.flatnonzero(inside.all(axis=(0, 2)))
    areas = (boxes[rows, 2:] - boxes[rows, :2]).prod(axis=1)
    return rows[areas.argsort(kind="stable")]


def keep_apart(boxes: np.ndarray, max_iou: float) -> np.ndarray:
    """Rows of (N, 4) boxes, best first, that no better kept one overlaps by more than `max_iou`."""
    overlap = box_iou(boxes, boxes)
    alive = np.ones(len(boxes), bool)
    for row in range(len(boxes)):
        if alive[row]:
            alive[row + 1 :] &= overlap[row, row + 1 :] <= max_iou
    return np.flatnonzero(alive)
