"""boxes.txt in the MOTChallenge format: `frame,id,left,top,width,height,confidence,-1,-1,-1`.

Frames count from 1, and so do pixels: the picture's first column and row are 1. Objects stand there while they are
tracked, with the boxes of all of them, as MOTChallenge has it: also of what is hidden or outside the picture. A run
without the segment stage has no identities; its detections carry the id -1, as in MOTChallenge's own detection files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamvos.errors import InputError
from streamvos.records import StepResult


def box_lines(result: StepResult) -> str:
    """The lines of one frame, each with its line break; empty where nothing is tracked."""
    lines = []
    if result.masks is not None:
        masks = result.masks
        for row, object_id in enumerate(masks.object_ids):
            if masks.states[row] == "tracked" and masks.boxes_xyxy[row, 2] > masks.boxes_xyxy[row, 0]:
                lines.append(box_line(result.frame_index, object_id, masks.whole_boxes_xyxy[row], masks.scores[row]))
    elif result.detections is not None:
        found = result.detections
        for box, score in zip(found.boxes_xyxy, found.scores, strict=True):
            lines.append(box_line(result.frame_index, -1, box, score))
    return "".join(lines)


def read_boxes(path: Path) -> np.ndarray:
    """Read a MOT file as (R, 10) float64; raises `InputError` where it is malformed."""
    try:
        rows = [[float(word) for word in line.split(",")] for line in path.read_text().splitlines() if line]
    except (OSError, ValueError) as error:
        raise InputError(f"boxes {str(path)!r}: expected lines of 10 numbers ({error})") from None
    if any(len(row) != 10 for row in rows):
        raise InputError(f"boxes {str(path)!r}: expected 10 numbers in each line")
    return np.array(rows, np.float64).reshape(-1, 10)


def box_line(frame_index: int, object_id: int, box: np.ndarray, score: float) -> str:
    """The line of one box (4,) xyxy, right and bottom exclusive, in pixels and frames from 0."""
    left, top, right, bottom = (float(side) for side in box)
    numbers = f"{left + 1:.2f},{top + 1:.2f},{right - left:.2f},{bottom - top:.2f},{score:.4f}"
    return f"{frame_index + 1},{object_id},{numbers},-1,-1,-1\n"
