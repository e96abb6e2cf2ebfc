"""When the odometry believes, when it makes a key frame: pure functions of numbers."""

from __future__ import annotations

import numpy as np


def enough(num_corners: int, num_cells: int, min_corners: int, min_cells: int) -> bool:
    """Whether corners can carry a pose: enough of them, and not all in one place."""
    return num_corners >= min_corners and num_cells >= min_cells


def majority(num_agreeing: int, num_all: int) -> bool:
    """Whether the agreeing corners are most of the picture, and not a moving thing inside it."""
    return num_agreeing >= 0.5 * num_all


def gives_up(mode: str, frames_lost: int, patience_frames: int) -> bool:
    """Whether a new map begins: soon once the old one is lost, later while the first parallax is still growing."""
    return mode != "empty" and frames_lost > patience_frames * (3 if mode == "turning" else 1)


def only_turned(agreeing: float, nearly_agreeing: float, stands_still: bool) -> bool:
    """Whether a camera only turned, or stood still, between two views.

    A still background with one moving body fits an essential matrix perfectly (points that do not move fit any
    sideways motion), so where half of the picture says "turned" no translation is believed. But clouds and hills
    say so too while the camera drives: a turning camera must also leave few corners far from where they should be.

    Args:
        agreeing: share of the covered grid cells with corners that fit the rotation.
        nearly_agreeing: the same at three times the threshold.
        stands_still: half of the corners did not move at all, as only a camera at rest sees them.
    """
    return agreeing >= 0.5 and (stands_still or nearly_agreeing >= 0.84)


def two_views_agree(inliers: np.ndarray, good: np.ndarray, has_parallax: np.ndarray) -> bool:
    """Whether two views can start a map.

    Args:
        inliers: (N,) bool, matches that fit the essential matrix.
        good: (N,) bool, of these the ones that gave a point.
        has_parallax: (N,) bool, matches that rotation alone does not explain.
    """
    fits = inliers.mean() >= 0.6 and good.sum() >= 0.4 * len(good)
    return bool(fits and inliers[has_parallax].mean() >= 0.6)


def needs_key_frame(
    frames_since: int, tracked: int, tracked_then: int, max_tracks: int, angle_deg: float, shift: float
) -> bool:
    """Whether the view has changed enough for new points.

    Args:
        frames_since: since the last key frame.
        tracked, tracked_then: landmarks in view now, and at the last key frame.
        max_tracks: what there could be.
        angle_deg: turned since the last key frame.
        shift: moved since then, in units of the median depth.
    """
    if frames_since < 3:
        return tracked < 0.4 * tracked_then
    moved = shift > 0.05 or angle_deg > 8.0
    # A still camera needs no key frame for a few lost corners; one that lost many of them does.
    return moved or tracked < 0.6 * tracked_then or (tracked < 0.25 * max_tracks and shift > 0.01)
