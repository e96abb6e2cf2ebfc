"""Which pixels may move: masks and boxes of movable classes, and corners that contradict the camera's motion."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from streamvos import masks as rle_masks
from streamvos.records import Detections, ObjectMasks, StepResult

# Corners that contradict the camera. Chosen by hand at working sizes around 384 pixels, and not swept.
_MIN_NEIGHBOURS = 3  # itself among them, that a corner must have to count
_NEIGHBOUR_PX = 30.0  # so near they are
_COVERED_PX = 12  # around a corner that counts


@dataclass(frozen=True)
class Movable:
    """What may move in a frame, at working size.

    Args:
        objects: mask (h, w) bool of each visible movable object, by id.
        area: (h, w) bool, these objects and the boxes of movable detections that nobody follows.
    """

    objects: Mapping[int, np.ndarray]
    area: np.ndarray


class MovableFinder:
    """Says what may move, frame by frame; boxes hold for some frames, as the detector need not run on each.

    It keeps the last detections alone, at most `detect.max_detections` boxes, and for `hold_frames` at most.

    Args:
        classes: names of the detector's classes that move by themselves.
        min_score: detections below it are ignored.
        hold_frames: boxes count for so long.
    """

    def __init__(self, classes: Container[str], min_score: float, hold_frames: int) -> None:
        self.classes, self.min_score, self.hold_frames = classes, min_score, hold_frames
        self.reset()

    def reset(self) -> None:
        self._held: Detections | None = None
        self._held_since = 0

    def find(self, result: StepResult, size: tuple[int, int]) -> Movable:
        """What may move in the frame of a result, at (h, w) pixels."""
        if result.is_cut:
            self._held = None
        if result.detections is not None:
            self._held, self._held_since = result.detections, result.frame_index
        elif result.frame_index - self._held_since > self.hold_frames:
            self._held = None
        return find_movable(size, result.size, result.masks, self._held, self.classes, self.min_score)

    def state_dict(self) -> dict[str, Any]:
        return {"held": None if self._held is None else {**vars(self._held)}, "held_since": self._held_since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._held = None if state["held"] is None else Detections(**state["held"])
        self._held_since = state["held_since"]


def find_movable(
    size: tuple[int, int],
    frame_size: tuple[int, int],
    masks: ObjectMasks | None,
    detections: Detections | None,
    movable_classes: Container[str],
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
    rows = zip(masks.object_ids.tolist(), masks.class_names, masks.rles, strict=True) if masks is not None else ()
    for object_id, name, rle in rows:
        if (name and name not in movable_classes) or not rle_masks.area_px(rle):
            continue
        full = rle_masks.decode(rle).view(np.uint8)
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


def contradicting_area(size: tuple[int, int], outliers: np.ndarray) -> np.ndarray:
    """Pixels (h, w) bool around corners (N, 2) that contradict the camera's motion and have others beside them.

    One corner alone is a slip of the tracker; some within reach of each other are a body that moves.
    """
    area = np.zeros(size, np.uint8)
    if len(outliers) >= _MIN_NEIGHBOURS:
        gaps = np.linalg.norm(outliers[:, None] - outliers[None], axis=2)
        crowded = (gaps < _NEIGHBOUR_PX).sum(axis=1) >= _MIN_NEIGHBOURS
        for x, y in np.rint(outliers[crowded]).astype(int).tolist():
            cv2.circle(area, (x, y), _COVERED_PX, 1, -1)
    return area > 0
