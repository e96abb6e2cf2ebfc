"""A run of the detector over the quarters of a frame that memory chooses, beside the whole frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipelines.detection.looks import Looks
from pipelines.detection.views import quarters_of, to_frame, together
from streamvos.boxes import box_iou
from streamvos.models.candidates import Candidates
from streamvos.models.detector import Detector
from streamvos.records import Detections, Frame

Choose = Callable[..., Detections]

_DOUBTFUL = 0.1  # class score of the whole frame, from which a small box is a hint that a quarter may show more
_SAME = 0.5  # IoU from which two boxes, or a box and an expected place, are of one thing


def look_again(
    frame: Frame,
    whole: Candidates,
    detector: Detector,
    choose: Choose,
    looks: Looks,
    expected_xyxy: np.ndarray,
    asked_xyxy: np.ndarray,
) -> Candidates:
    """Candidates of the whole frame and of the quarters that `looks` chooses, which is told what they added.

    Args:
        frame: what is looked at.
        whole: candidates of the whole frame.
        detector: looks at the quarters.
        choose: detections of candidates, from a score on that is not the stage's own where it is given.
        looks: the budget, and what is remembered.
        expected_xyxy: (N, 4) boxes where instances are expected in this frame.
        asked_xyxy: (K, 4) boxes around what the user points at.
    """
    views = quarters_of(frame.size)
    seen = choose(whole, _DOUBTFUL)
    lost = expected_xyxy[~_overlapped(expected_xyxy, seen.boxes_xyxy)]
    rows = looks.choose(views, frame.size, np.concatenate([seen.boxes_xyxy, lost]), asked_xyxy)
    parts, added = [whole], {}
    for row in rows:
        image = views[row].cut_out(frame.image)
        part = to_frame(detector.predict(detector.features(image), image.shape[:2]), views[row], frame.size)
        added[row] = int((~_overlapped(choose(part).boxes_xyxy, seen.boxes_xyxy)).sum())
        parts.append(part)
    looks.note(frame.index, added)
    return together(parts)


def _overlapped(boxes_xyxy: np.ndarray, others_xyxy: np.ndarray) -> np.ndarray:
    """(N,) bool, which boxes are of the same thing as one of the others."""
    return (box_iou(boxes_xyxy, others_xyxy) >= _SAME).any(axis=1)
