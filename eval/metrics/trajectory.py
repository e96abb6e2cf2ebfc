"""How far an estimated camera trajectory is from the true one: absolute error (ATE) and relative error (RPE).

Definitions after Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems" (IROS 2012), alignment after
Umeyama (TPAMI 1991). The figures agree with the `evo` package (`evo_ape tum -a [-s]`, `evo_rpe tum -a [-s]
--all_pairs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamvos.errors import InputError
from streamvos.export.trajectory import Trajectory, associate


@dataclass(frozen=True)
class TrajectoryErrors:
    """Result of `evaluate`.

    Args:
        num_poses: poses compared.
        coverage: compared poses over true poses, in [0, 1].
        ate_rmse_m: root mean square of the position error after alignment, in the unit of the truth.
        rpe_translation_rmse_m: root mean square of the translation error over `delta` poses; NaN for too few poses.
        rpe_rotation_rmse_deg: root mean square of the rotation error over `delta` poses, degrees.
        scale: factor applied to the estimate (1 for SE(3)).
    """

    num_poses: int
    coverage: float
    ate_rmse_m: float
    rpe_translation_rmse_m: float
    rpe_rotation_rmse_deg: float
    scale: float


@dataclass(frozen=True)
class Aligned:
    """An estimate laid over the truth; rows are the poses that both have.

    Args:
        times_s: (P,) of the truth.
        have, want: (P, 4, 4) world from camera, as estimated (positions scaled) and true.
        have_xyz, want_xyz: (P, 3) positions, of the estimate after alignment and of the truth.
        scale, rotation, translation: truth = scale * rotation @ estimate + translation.
        with_scale: whether the scale was free.
    """

    times_s: np.ndarray
    have: np.ndarray
    want: np.ndarray
    have_xyz: np.ndarray
    want_xyz: np.ndarray
    scale: float
    rotation: np.ndarray
    translation: np.ndarray
    with_scale: bool

    @property
    def errors_m(self) -> np.ndarray:
        """Distance (P,) of each position from the true one."""
        return np.linalg.norm(self.have_xyz - self.want_xyz, axis=1)


def align(
    estimate: Trajectory, truth: Trajectory, with_scale: bool = False, max_time_difference_s: float = 0.01
) -> Aligned:
    """Associate by time and lay the estimate over the truth; arguments and errors as `evaluate`."""
    rows = associate(estimate.times_s, truth.times_s, max_time_difference_s)
    if len(rows) < 3:
        raise InputError(f"expected at least 3 poses within {max_time_difference_s} s of each other, got {len(rows)}")
    have, want = estimate.world_from_camera[rows[:, 0]].copy(), truth.world_from_camera[rows[:, 1]]
    scale, rotation, translation = umeyama(have[:, :3, 3], want[:, :3, 3], with_scale)
    aligned = scale * have[:, :3, 3] @ rotation.T + translation
    have[:, :3, 3] *= scale
    times_s = truth.times_s[rows[:, 1]]
    return Aligned(times_s, have, want, aligned, want[:, :3, 3], scale, rotation, translation, with_scale)


def place_by_orientation(aligned: Aligned) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation (3, 3), translation (3,) that lay the map of an estimate over the world of the truth.

    The rotation is the mean of what the cameras' orientations say: positions alone, which `align` uses, leave a map
    free to turn about a path that is nearly straight.
    """
    turns = aligned.want[:, :3, :3] @ np.swapaxes(aligned.have[:, :3, :3], 1, 2)
    u, _, vt = np.linalg.svd(turns.mean(axis=0))
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    have, want = aligned.have[:, :3, 3] / aligned.scale, aligned.want_xyz
    centred, target = (have - have.mean(axis=0)) @ rotation.T, want - want.mean(axis=0)
    scale = 1.0
    if aligned.with_scale and (centred**2).sum() > 0:
        scale = float((centred * target).sum() / (centred**2).sum())
    return scale, rotation, want.mean(axis=0) - scale * rotation @ have.mean(axis=0)


def evaluate(
    estimate: Trajectory,
    truth: Trajectory,
    with_scale: bool = False,
    delta: int = 1,
    max_time_difference_s: float = 0.01,
) -> TrajectoryErrors:
    """Associate by time, align, and measure.

    Args:
        estimate, truth: poses of one map each; both ascending in time.
        with_scale: align by Sim(3) (monocular) instead of SE(3).
        delta: distance of the pose pairs of the RPE, in poses; every pose begins a pair (evo: `--all_pairs`).
        max_time_difference_s: pairs further apart are not compared.

    Raises:
        InputError: fewer than three poses in common.
    """
    if delta < 1:
        raise InputError(f"delta: expected at least 1 pose, got {delta}")
    aligned = align(estimate, truth, with_scale, max_time_difference_s)
    moved_m, turned_deg = relative_errors(aligned.have, aligned.want, delta)
    return TrajectoryErrors(
        num_poses=len(aligned.times_s),
        coverage=len(aligned.times_s) / len(truth),
        ate_rmse_m=_rms(aligned.errors_m),
        rpe_translation_rmse_m=_rms(moved_m),
        rpe_rotation_rmse_deg=_rms(turned_deg),
        scale=aligned.scale,
    )


def largest_map(trajectory: Trajectory) -> Trajectory:
    """The poses of the map that has most of them; maps share no frame of reference, so only one can be compared."""
    ids, counts = np.unique(trajectory.map_ids, return_counts=True)
    keep = trajectory.map_ids == ids[np.argmax(counts)] if len(ids) else np.zeros(0, bool)
    return Trajectory(trajectory.times_s[keep], trajectory.world_from_camera[keep], trajectory.map_ids[keep])


def umeyama(source: np.ndarray, target: np.ndarray, with_scale: bool) -> tuple[float, np.ndarray, np.ndarray]:
    """Least-squares scale, rotation (3, 3), translation (3,) with target = scale * rotation @ source + translation.

    Umeyama 1991, equations 34-43; without scale this is the rigid alignment of Horn and Kabsch.
    """
    mean_source, mean_target = source.mean(axis=0), target.mean(axis=0)
    centred = source - mean_source
    covariance = (target - mean_target).T @ centred / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    variance = (centred**2).sum() / len(source)
    scale = float((singular * sign).sum() / variance) if with_scale and variance > 0 else 1.0
    return scale, rotation, mean_target - scale * rotation @ mean_source


def relative_errors(estimate: np.ndarray, truth: np.ndarray, delta: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Translation (P,) and rotation in degrees (P,) of the motion error over `delta` poses, (N, 4, 4) each."""
    motion_estimate = np.linalg.inv(estimate[:-delta]) @ estimate[delta:]
    motion_truth = np.linalg.inv(truth[:-delta]) @ truth[delta:]
    error = np.linalg.inv(motion_truth) @ motion_estimate
    # The angle by atan2 of the skew part: arccos of the trace loses all digits below 0.01 degrees.
    skew = error[:, :3, :3] - np.swapaxes(error[:, :3, :3], 1, 2)
    sine = np.linalg.norm(np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1), axis=1) / 2
    cosine = (np.trace(error[:, :3, :3], axis1=1, axis2=2) - 1) / 2
    return np.linalg.norm(error[:, :3, 3], axis=1), np.degrees(np.arctan2(sine, cosine))


def identity_baseline(truth: Trajectory) -> Trajectory:
    """A camera that never moves: what a tracker must beat."""
    return Trajectory(truth.times_s, np.repeat(truth.world_from_camera[:1], len(truth), axis=0), truth.map_ids)


def constant_velocity_baseline(truth: Trajectory) -> Trajectory:
    """A camera that repeats its first true motion for ever: two true poses and no pictures."""
    motion = np.linalg.inv(truth.world_from_camera[0]) @ truth.world_from_camera[1]
    poses = [truth.world_from_camera[0]]
    for _ in range(len(truth) - 1):
        poses.append(poses[-1] @ motion)
    return Trajectory(truth.times_s, np.stack(poses), truth.map_ids)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else float("nan")
