"""Anchors of the SSD detector, and what remains of its candidates after suppression.

After the TensorFlow object detection API (multiple grid anchor generator with a reduced lowest layer;
class-wise non-maximum suppression), as ssd_mobilenet_v2_coco is configured.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from streamvos.boxes import keep_apart
from streamvos.models.coco import NAME_OF

GRIDS = (19, 10, 5, 3, 2, 1)  # cells on a side, one for each of the six maps
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)


@dataclass(frozen=True)
class Candidates:
    """Every anchor's box and class scores before suppression; A = 1917 anchors.

    Args:
        boxes_xyxy: (A, 4) float32 pixels of the picture, not yet clipped to it.
        scores: (A, 91) float32 in [0, 1]; column 0 is the background.
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
    class_ids: Collection[int] = tuple(NAME_OF),
    per_class: int = 100,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Non-maximum suppression within each class; see `SsdMobileNet.detect` for arguments and returns.

    `class_ids` are the classes asked for; the best `per_class` candidates of each enter.
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


def anchors() -> np.ndarray:
    """The (1917, 4) float32 anchors: centre y, centre x, height, width, in units of the picture's side."""
    blocks = []
    for level, grid in enumerate(GRIDS):
        scale, after = _SCALES[level], _SCALES[level + 1]
        if level == 0:  # the first map has three, the smallest of half scale
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [(scale, ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            shapes.append((math.sqrt(scale * after), 1.0))
        sizes = np.array([(size / math.sqrt(ratio), size * math.sqrt(ratio)) for size, ratio in shapes])
        centres = (np.arange(grid) + 0.5) / grid
        block = np.empty((grid, grid, len(shapes), 4))
        block[..., 0] = centres[:, None, None]
        block[..., 1] = centres[None, :, None]
        block[..., 2:] = sizes
        blocks.append(block.reshape(-1, 4))
    return np.concatenate(blocks).astype(np.float32)
