"""A frame at working size, with its camera scaled along."""

from __future__ import annotations

import cv2
import numpy as np

from pipelines.reconstruction.records import WorkingFrame
from streamvos.records import Frame


def make_working_frame(frame: Frame, intrinsics: np.ndarray, short_side_px: int) -> WorkingFrame:
    """The frame scaled to a short side (never enlarged); nothing in it is known to move yet.

    Args:
        frame: as it came.
        intrinsics: (3, 3) float64 of the frame.
        short_side_px: of the working picture; larger is more exact and slower.
    """
    height, width = frame.size
    scale = min(short_side_px / min(height, width), 1.0)
    small = (max(round(width * scale), 1), max(round(height * scale), 1))
    image = cv2.resize(frame.image, small, interpolation=cv2.INTER_AREA) if scale < 1 else frame.image
    depth = frame.depth_m
    if depth is not None:
        depth = cv2.resize(depth, small, interpolation=cv2.INTER_NEAREST) if scale < 1 else depth
        depth = np.where(np.isfinite(depth), depth, 0).astype(np.float32)
    ratio_x, ratio_y = small[0] / width, small[1] / height
    scaled = intrinsics.copy()
    scaled[0] *= ratio_x
    scaled[1] *= ratio_y
    scaled[:2, 2] += (ratio_x - 1) / 2, (ratio_y - 1) / 2  # pixel centres lie at whole numbers
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return WorkingFrame(frame.index, image, grey, np.ones(grey.shape, bool), depth, scaled)


def intrinsics_of(frame: Frame, focal_ratio: float) -> np.ndarray:
    """The frame's own intrinsics (3, 3), or those of a camera with a focal length of `focal_ratio` long sides."""
    if frame.intrinsics is not None:
        return frame.intrinsics
    height, width = frame.size
    focal = focal_ratio * max(height, width)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
