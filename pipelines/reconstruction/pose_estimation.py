"""From matched pixels to the camera's pose: by landmarks, by rotation alone, by the first parallax. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.reconstruction import geometry, policy
from pipelines.reconstruction.feature_tracks import covered_cells

_CONVINCING = 0.75  # share of landmarks that fit the refined prediction; more convince without a vote
_NEARLY = 3  # thresholds within which a corner nearly fits


def pose_by_landmarks(
    predicted: np.ndarray, xyz: np.ndarray, measured: np.ndarray, intrinsics: np.ndarray, seed: int
) -> np.ndarray | None:
    """Pose (4, 4) by refining the predicted one; where that does not convince, also by voting; None with too few.

    Args:
        predicted: (4, 4) camera from world.
        xyz: (N, 3) landmarks.
        measured: (N, 2) pixels, or (N, 3) with the disparity of the depth, see `geometry.measurement`.
        intrinsics: (3, 3) pixels.
        seed: of the vote.
    """
    if len(xyz) < policy.MIN_INLIERS:
        return None
    xy = np.ascontiguousarray(measured[:, :2])
    best, best_count = None, -1
    for voting in (False, True):
        pose: np.ndarray | None = predicted
        if voting:
            pose = geometry.pose_from_points(xyz, xy, intrinsics, policy.THRESHOLD_PX, seed)
        if pose is None:
            continue
        pose = geometry.refine_pose(pose, xyz, measured, intrinsics, policy.THRESHOLD_PX)
        error = geometry.reprojection_error(pose, xyz, xy, intrinsics)
        count = int((error < policy.THRESHOLD_PX).sum())
        if count > best_count:
            best, best_count = pose, count
        if best_count > _CONVINCING * len(xyz):
            break
    return best


@dataclass(frozen=True)
class Rotated:
    """The rotation that explains two views best.

    Args:
        rotation: (3, 3), the identity where the camera stands still.
        residual: (N,) pixels that it leaves.
        agrees: (N,) bool, matches that fit it.
        is_all: whether the camera did nothing else.
    """

    rotation: np.ndarray
    residual: np.ndarray
    agrees: np.ndarray
    is_all: bool


def rotation_between(
    before: np.ndarray, now: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int], seed: int
) -> Rotated:
    """Fit a rotation to matches (N, 2), (N, 2) in pictures of (h, w), and judge whether it is the whole motion."""
    # A small picture shows less parallax: what passes for none must be smaller too.
    threshold_px = policy.THRESHOLD_PX * min(size) / policy.REFERENCE_SIDE_PX
    rotation, residual = geometry.fit_rotation(before, now, intrinsics, threshold_px, seed)
    agrees = residual < threshold_px
    still = bool(np.median(np.linalg.norm(now - before, axis=1)) < policy.STILL_PX)
    share, nearly_share = (
        covered_cells(now[near], size) / covered_cells(now, size)
        for near in (agrees, residual < _NEARLY * threshold_px)
    )
    is_all = policy.only_rotated(share, nearly_share, still)
    if is_all and still:
        rotation = np.eye(3)  # no jitter from noise
    return Rotated(rotation, residual, agrees, is_all)


@dataclass(frozen=True)
class FirstPoints:
    """Two views of a new map, in units of the median depth: pose (4, 4) of the second from the first, (N,) bool
    matches that gave a point, and these points (M, 3) in the first camera."""

    relative: np.ndarray
    good: np.ndarray
    xyz: np.ndarray


def points_by_first_parallax(
    before: np.ndarray,
    now: np.ndarray,
    residual: np.ndarray,
    intrinsics: np.ndarray,
    size: tuple[int, int],
    seed: int,
) -> FirstPoints | None:
    """Pose and points of two views (N, 2), (N, 2); None where there is too little parallax or the views disagree.

    Args:
        residual: (N,) pixels that the best rotation leaves.
        size: (h, w) of the picture.
    """
    if np.median(residual) < policy.START_PARALLAX_PX * min(size) / policy.REFERENCE_SIDE_PX:
        return None
    pair = geometry.two_view_pose(before, now, intrinsics, policy.THRESHOLD_PX / 2, seed)
    if pair is None:
        return None
    relative, inliers = pair
    xyz, angle_deg, error = geometry.triangulate(np.eye(4), relative, before, now, intrinsics)
    good = inliers & (angle_deg > policy.MIN_ANGLE_DEG) & (error < policy.THRESHOLD_PX)
    if not policy.two_views_agree(inliers, good, residual > policy.THRESHOLD_PX):
        return None
    if not policy.supports_pose(int(good.sum()), covered_cells(now[good], size)):
        return None
    scale = 1.0 / np.median(xyz[good, 2])
    relative[:3, 3] *= scale
    return FirstPoints(relative, good, xyz[good] * scale)
