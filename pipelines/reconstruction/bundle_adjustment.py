"""Local bundle adjustment: the poses of a few key frames and the points they see, made consistent.

Levenberg-Marquardt on Huber's loss. The points are eliminated (Schur complement), which leaves a dense system of
six unknowns for each key frame; SciPy's Cholesky solves it. Dense linear algebra on such a small system takes
milliseconds where `scipy.optimize.least_squares` with a sparse Jacobian takes tenths of a second; a test compares
the two.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from pipelines.reconstruction import geometry

# Of Levenberg-Marquardt: the damping falls after a step that helped, and rises after one that did not.
_FIRST_DAMPING, _DAMPING_DOWN, _DAMPING_UP = 1e-4, 0.2, 20
_ITERATIONS = 4  # at most: a key frame must not hold up the frames after it
_DONE = 1e-4  # share of the cost; once it falls by less, nothing more is gained
_TINY = 1e-9  # keeps the system regular where nothing is measured
_BEHIND_PX = 1e3  # counted for a point that a pose has behind its camera


def adjust(
    poses: np.ndarray,
    xyz: np.ndarray,
    pose_rows: np.ndarray,
    point_rows: np.ndarray,
    measured: np.ndarray,
    intrinsics: np.ndarray,
    num_fixed: int,
    threshold_px: float,
    iterations: int = _ITERATIONS,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the reprojection error over poses and points.

    Args:
        poses: (K, 4, 4) camera from world.
        xyz: (P, 3) world points, each seen at least once.
        pose_rows, point_rows: (M,) which pose saw which point.
        measured: (M, 2) pixels, or (M, 3) with the disparity of the depth, NaN where unknown.
        intrinsics: (3, 3) pixels.
        num_fixed: the first poses that do not move: 2 without depth (they hold the scale), 1 with.
        threshold_px: residuals beyond count linearly.
        iterations: at most; it ends early once the error no longer falls.

    Returns:
        The new poses (K, 4, 4) and points (P, 3); never worse than what came in.
    """
    damping = _FIRST_DAMPING
    cost = _cost(poses, xyz, pose_rows, point_rows, measured, intrinsics, threshold_px)
    for _ in range(iterations):
        step = _step(poses, xyz, pose_rows, point_rows, measured, intrinsics, num_fixed, threshold_px, damping)
        if step is None:
            break
        pose_steps, point_steps = step
        trial_poses = poses.copy()
        for row in range(num_fixed, len(poses)):
            trial_poses[row] = geometry.moved(poses[row], pose_steps[row - num_fixed])
        trial_xyz = xyz + point_steps
        trial = _cost(trial_poses, trial_xyz, pose_rows, point_rows, measured, intrinsics, threshold_px)
        if trial < cost:
            done = cost - trial < _DONE * cost
            poses, xyz, cost, damping = trial_poses, trial_xyz, trial, damping * _DAMPING_DOWN
            if done:
                break
        else:
            damping *= _DAMPING_UP
    return poses, xyz


def _camera_points(poses: np.ndarray, xyz: np.ndarray, pose_rows: np.ndarray, point_rows: np.ndarray) -> np.ndarray:
    rotation, translation = poses[pose_rows, :3, :3], poses[pose_rows, :3, 3]
    return np.einsum("mij,mj->mi", rotation, xyz[point_rows]) + translation


def errors(
    poses: np.ndarray,
    xyz: np.ndarray,
    pose_rows: np.ndarray,
    point_rows: np.ndarray,
    xy: np.ndarray,
    intrinsics: np.ndarray,
) -> np.ndarray:
    """Reprojection error (M,) in pixels of each observation, infinite behind the camera; rows as in `adjust`."""
    camera = _camera_points(poses, xyz, pose_rows, point_rows)
    value, _ = geometry.point_jacobian(camera, intrinsics, with_depth=False)
    return np.where(camera[:, 2] > geometry.MIN_DEPTH, np.linalg.norm(xy - value, axis=1), np.inf)


def _cost(
    poses: np.ndarray,
    xyz: np.ndarray,
    pose_rows: np.ndarray,
    point_rows: np.ndarray,
    measured: np.ndarray,
    intrinsics: np.ndarray,
    threshold_px: float,
) -> float:
    camera = _camera_points(poses, xyz, pose_rows, point_rows)
    value, _ = geometry.point_jacobian(camera, intrinsics, measured.shape[1] == 3)
    norm = np.linalg.norm(np.nan_to_num(measured - value), axis=1)
    norm = np.where(camera[:, 2] > geometry.MIN_DEPTH, norm, _BEHIND_PX)
    loss = np.where(norm < threshold_px, norm**2 / 2, threshold_px * (norm - threshold_px / 2))
    return float(loss.sum())


def _step(
    poses: np.ndarray,
    xyz: np.ndarray,
    pose_rows: np.ndarray,
    point_rows: np.ndarray,
    measured: np.ndarray,
    intrinsics: np.ndarray,
    num_fixed: int,
    threshold_px: float,
    damping: float,
) -> tuple[np.ndarray, np.ndarray] | None:
    """One damped Gauss-Newton step: (K - fixed, 6) for the poses, (P, 3) for the points; None where singular."""
    camera = _camera_points(poses, xyz, pose_rows, point_rows)
    value, by_camera = geometry.point_jacobian(camera, intrinsics, measured.shape[1] == 3)
    known = ~np.isnan(measured)
    residual = np.where(known, measured - value, 0.0)
    by_camera *= known[:, :, None]
    weights = geometry.huber_weights(residual, threshold_px) * (camera[:, 2] > geometry.MIN_DEPTH)
    by_point = by_camera @ poses[pose_rows, :3, :3]
    by_pose = geometry.pose_jacobian(camera, by_camera)
    weighted_point = by_point * weights[:, None, None]

    num_points, free = len(xyz), len(poses) - num_fixed
    v = _sum_by(point_rows, np.einsum("mri,mrj->mij", weighted_point, by_point), num_points)
    g = _sum_by(point_rows, np.einsum("mri,mr->mi", weighted_point, residual), num_points)
    diagonal = np.einsum("pii->pi", v)
    v = v + (damping * diagonal + _TINY)[:, :, None] * np.eye(3)
    v_inverse = np.linalg.inv(v)

    moving = pose_rows >= num_fixed
    rows, points = pose_rows[moving] - num_fixed, point_rows[moving]
    weighted_pose = by_pose[moving] * weights[moving, None, None]
    u = _sum_by(rows, np.einsum("mri,mrj->mij", weighted_pose, by_pose[moving]), free)
    e = _sum_by(rows, np.einsum("mri,mr->mi", weighted_pose, residual[moving]), free)
    w = np.zeros((free, num_points, 6, 3))  # each pose sees a point at most once
    w[rows, points] = np.einsum("mri,mrj->mij", weighted_pose, by_point[moving])

    w_flat = w.transpose(0, 2, 1, 3).reshape(6 * free, 3 * num_points)
    w_v = np.einsum("kpij,pjl->kpil", w, v_inverse).transpose(0, 2, 1, 3).reshape(6 * free, 3 * num_points)
    schur = -w_v @ w_flat.T
    for row in range(free):
        block = slice(6 * row, 6 * row + 6)
        schur[block, block] += u[row] + np.diag(damping * np.diag(u[row]) + _TINY)
    try:
        pose_steps = scipy.linalg.solve(schur, e.reshape(-1) - w_v @ g.reshape(-1), assume_a="pos")
    except np.linalg.LinAlgError:
        return None
    point_steps = np.einsum("pij,pj->pi", v_inverse, g - (w_flat.T @ pose_steps).reshape(-1, 3))
    return pose_steps.reshape(free, 6), point_steps


def _sum_by(rows: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Sums (count, ...) of the values (M, ...) that share a row."""
    flat = values.reshape(len(values), -1)
    sums = np.stack([np.bincount(rows, column, count) for column in flat.T], axis=1)
    return sums.reshape(count, *values.shape[1:])
