"""Which pixels may move: masks and boxes of movable classes, and corners that contradict the camera's motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from streamvos import masks as rle_masks
from streamvos.records import Detections, ObjectMasks


@dataclass(frozen=True)
class Movable:
    """What may move in a frame, at working size.

    Args:
        objects: mask (h, w) bool of each visible movable object, by id.
        area: (h, w) bool, these objects and the boxes of movable detections that nobody follows.
    """

    objects: Mapping[int, np.ndarray]
    area: np.ndarray


def find_movable(
    size: tuple[int, int],
    frame_size: tuple[int, int],
    masks: ObjectMasks | None,
    detections: Detections | None,
    movable_classes: frozenset[str],
    min_score: float,
) -> Movable:
    """Collect what may move; an object of unknown class counts, because somebody asked for it to be followed.

    Args:
        size: (h, w) of the working picture; boxes and masks are scaled to it.
        frame_size: (H, W) that they come in.
        masks: objects that are followed, or None.
        detections: boxes, used for what no mask covers, or None.
        movable_classes: names of classes that move by themselves.
        min_score: detections below it are ignored.
    """
    objects: dict[int, np.ndarray] = {}
    area = np.zeros(size, bool)
    followed = masks.object_ids.tolist() if masks is not None else []
    for row, object_id in enumerate(followed):
        assert masks is not None
        name = masks.class_names[row]
        if (name and name not in movable_classes) or not rle_masks.area_px(masks.rles[row]):
            continue
        full = rle_masks.decode(masks.rles[row]).view(np.uint8)
        objects[object_id] = cv2.resize(full, size[::-1], interpolation=cv2.INTER_NEAREST) > 0
        area |= objects[object_id]
    if detections is not None:
        scale = np.array([size[1] / frame_size[1], size[0] / frame_size[0]] * 2)
        for row in range(len(detections)):
            wanted = detections.class_names[row] in movable_classes and detections.scores[row] >= min_score
            if wanted and int(detections.object_ids[row]) not in objects:
                box = detections.boxes_xyxy[row] * scale
                x1, y1 = np.maximum(np.floor(box[:2]), 0).astype(int)
                x2, y2 = np.maximum(np.ceil(box[2:]), 0).astype(int)
                area[y1:y2, x1:x2] = True
    return Movable(objects, area)


def grow(area: np.ndarray, radius_px: int) -> np.ndarray:
    """A (h, w) bool mask grown by a radius: edges of masks are not exact, and corners sit on edges."""
    if not area.any():
        return area
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    return cv2.dilate(area.astype(np.uint8), kernel) > 0


def contradicting_area(
    size: tuple[int, int], outliers: np.ndarray, reach_px: float = 30.0, radius_px: int = 12, least: int = 3
) -> np.ndarray:
    """Pixels (h, w) bool around corners (N, 2) that contradict the camera's motion and have others beside them.

    One corner alone is a slip of the tracker; `least` within reach of each other are a thing that moves.
    """
    area = np.zeros(size, np.uint8)
    if len(outliers) >= least:
        gaps = np.linalg.norm(outliers[:, None] - outliers[None], axis=2)
        crowded = (gaps < reach_px).sum(axis=1) >= least
        for x, y in np.rint(outliers[crowded]).astype(int).tolist():
            cv2.circle(area, (x, y), radius_px, 1, -1)
    return area > 0
