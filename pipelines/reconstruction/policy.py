"""When the odometry accepts a pose, starts a map and makes a key frame: limits, and pure functions of numbers.

Limits without a named source were chosen by hand on the ray-cast room of the tests and on 7-Scenes, and not swept.
Pixels are those of the working picture.
"""

from __future__ import annotations

import numpy as np

THRESHOLD_PX = 2.0  # a corner further from its prediction is no inlier; larger forgives poor optics
MIN_INLIERS = 20  # agreeing corners that a pose needs; more is lost more often, and wrong less often
MIN_CELLS = 8  # of 96 grid cells these corners must cover; keeps a small moving body from being the world
MIN_ANGLE_DEG = 1.0  # rays that cross at less give no point; as ORB-SLAM starts with (Mur-Artal et al., TRO 2015)

REFERENCE_SIDE_PX = 384  # short side that parallax is given for: a smaller picture shows less of it
START_PARALLAX_PX = 3.0  # median parallax that starts a map without depth; larger starts later
STILL_PX = 0.5  # median motion of corners below which the camera stands: what tracking them errs by

_MIN_MAJORITY = 0.5  # of the corners, or covered cells, that must say the same of the camera
_MIN_NEARLY = 0.84  # of covered cells nearly fit a rotation: a drive under clouds has 0.78 (see the tests), a pan 1
_LOST_START_FACTOR = 3  # of the patience: the first parallax may still be growing
_MIN_ESSENTIAL = 0.6  # of the matches, and of those with parallax, that must fit the essential matrix
_MIN_POINTS = 0.4  # of the matches that must give a point

_MIN_GAP_FRAMES = 3  # between key frames, unless most corners are lost
_KEPT_AT_ONCE, _KEPT = 0.4, 0.6  # share of the last key frame's landmarks below which one is due: within the gap, later
_KEPT_OF_MOST = 0.25  # share of all tracks that could be, below which one is due once the camera moves
_MOVED, _MOVED_LITTLE = 0.05, 0.01  # of the median depth, since the last key frame
_TURNED_DEG = 8.0  # since the last key frame


def supports_pose(num_corners: int, num_cells: int) -> bool:
    """Whether corners can carry a pose: enough of them, and not all in one place."""
    return num_corners >= MIN_INLIERS and num_cells >= MIN_CELLS


def is_majority(num_agreeing: int, num_all: int) -> bool:
    """Whether the agreeing corners are most of the picture, and not a moving body inside it."""
    return num_agreeing >= _MIN_MAJORITY * num_all


def begins_new_map(mode: str, frames_lost: int, patience_frames: int) -> bool:
    """Whether a new map begins: soon once the old one is lost, later while the first parallax is still growing."""
    return mode != "empty" and frames_lost > patience_frames * (_LOST_START_FACTOR if mode == "rotating" else 1)


def only_rotated(agreeing: float, nearly_agreeing: float, stands_still: bool) -> bool:
    """Whether a camera only rotated, or stood still, between two views.

    A still background with one moving body fits an essential matrix perfectly (points that do not move fit any
    sideways motion), so where half of the picture says "rotated" no translation is accepted. But clouds and hills
    say so too while the camera drives: a rotating camera must also leave few corners far from where they should be.

    Args:
        agreeing: share of the covered grid cells with corners that fit the rotation.
        nearly_agreeing: the same at three times the threshold.
        stands_still: half of the corners did not move at all, as only a camera at rest sees them.
    """
    return agreeing >= _MIN_MAJORITY and (stands_still or nearly_agreeing >= _MIN_NEARLY)


def two_views_agree(inliers: np.ndarray, good: np.ndarray, has_parallax: np.ndarray) -> bool:
    """Whether two views can start a map.

    Args:
        inliers: (N,) bool, matches that fit the essential matrix.
        good: (N,) bool, of these the ones that gave a point.
        has_parallax: (N,) bool, matches that rotation alone does not explain.
    """
    fits = inliers.mean() >= _MIN_ESSENTIAL and good.sum() >= _MIN_POINTS * len(good)
    return bool(fits and inliers[has_parallax].mean() >= _MIN_ESSENTIAL)


def needs_key_frame(
    frames_since: int, tracked: int, tracked_then: int, max_tracks: int, angle_deg: float, shift: float
) -> bool:
    """Whether the view has changed enough for new points.

    Args:
        frames_since: since the last key frame.
        tracked, tracked_then: landmarks in view now, and at the last key frame.
        max_tracks: what there could be.
        angle_deg: rotation since the last key frame.
        shift: translation since then, in units of the median depth.
    """
    if frames_since < _MIN_GAP_FRAMES:
        return tracked < _KEPT_AT_ONCE * tracked_then
    moved = shift > _MOVED or angle_deg > _TURNED_DEG
    # A still camera needs no key frame for a few lost corners; one that lost many of them does.
    lost_many = tracked < _KEPT * tracked_then
    return moved or lost_many or (tracked < _KEPT_OF_MOST * max_tracks and shift > _MOVED_LITTLE)
