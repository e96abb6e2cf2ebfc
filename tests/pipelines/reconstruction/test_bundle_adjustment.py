"""Bundle adjustment against SciPy's solver."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from pipelines.reconstruction import bundle_adjustment, geometry

K = np.array([[468.0, 0, 256], [0, 468, 192], [0, 0, 1]])


def some_points(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-1, 1, count), rng.uniform(-0.8, 0.8, count), rng.uniform(1.5, 3.5, count)], axis=1)


def pose_of(*step: float) -> np.ndarray:
    return geometry.moved(np.eye(4), np.array(step))


def seen(pose: np.ndarray, xyz: np.ndarray, noise_px: float = 0.0, seed: int = 1) -> np.ndarray:
    xy, _ = geometry.project(pose, xyz, K)
    return xy + noise_px * np.random.default_rng(seed).normal(size=xy.shape)


@pytest.mark.parametrize("with_depth", [False, True], ids=["pixels", "depth"])
def test_bundle_adjustment_reaches_what_scipy_reaches(with_depth):
    xyz = some_points(25)
    truth = np.stack([pose_of(0, -0.03 * k, 0, -0.15 * k, 0.02 * k, 0) for k in range(4)])
    pose_rows, point_rows = (grid.ravel() for grid in np.meshgrid(range(4), range(25), indexing="ij"))
    rng = np.random.default_rng(0)
    measured = np.concatenate(
        [
            geometry.measurement(seen(pose, xyz, 0.3, seed=k), geometry.project(pose, xyz, K)[1], K)
            for k, pose in enumerate(truth)
        ]
    )
    measured = measured if with_depth else measured[:, :2]
    fixed = 1 if with_depth else 2
    start = np.stack(
        [pose if k < fixed else geometry.moved(pose, rng.normal(0, 0.01, 6)) for k, pose in enumerate(truth)]
    )
    start_xyz = xyz + rng.normal(0, 0.02, xyz.shape)
    arguments = (pose_rows, point_rows, measured, K)
    poses, points = bundle_adjustment.adjust(start, start_xyz, *arguments, fixed, 50.0, iterations=30)

    def residuals(x: np.ndarray) -> np.ndarray:
        steps, moved = x[: 6 * (4 - fixed)].reshape(-1, 6), x[6 * (4 - fixed) :].reshape(-1, 3)
        free = [geometry.moved(start[fixed + k], step) for k, step in enumerate(steps)]
        camera = [geometry.transform(pose, moved) for pose in [*start[:fixed], *free]]
        value, _ = geometry.point_jacobian(np.concatenate(camera), K, with_depth)
        return (measured - value).ravel()

    best = least_squares(residuals, np.concatenate([np.zeros(6 * (4 - fixed)), start_xyz.ravel()]))
    ours = bundle_adjustment.errors(poses, points, pose_rows, point_rows, measured[:, :2], K)
    theirs = np.linalg.norm(best.fun.reshape(len(measured), -1)[:, :2], axis=1)
    assert np.sum(ours**2) == pytest.approx(np.sum(theirs**2), rel=2e-2)
    np.testing.assert_array_equal(poses[:fixed], start[:fixed])
