"""Camera geometry against known poses and points."""

import numpy as np
import pytest

from pipelines.reconstruction import geometry

K = np.array([[468.0, 0, 256], [0, 468, 192], [0, 0, 1]])


def some_points(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-1, 1, count), rng.uniform(-0.8, 0.8, count), rng.uniform(1.5, 3.5, count)], axis=1)


def pose_of(*step: float) -> np.ndarray:
    return geometry.moved(np.eye(4), np.array(step))


def seen(pose: np.ndarray, xyz: np.ndarray, noise_px: float = 0.0, seed: int = 1) -> np.ndarray:
    xy, _ = geometry.project(pose, xyz, K)
    return xy + noise_px * np.random.default_rng(seed).normal(size=xy.shape)


def test_jacobians_agree_with_differences():
    xyz, pose = some_points(20), pose_of(0.1, -0.2, 0.1, 0.2, 0.1, -0.1)
    camera = geometry.transform(pose, xyz)
    value, by_point = geometry.point_jacobian(camera, K, with_depth=True)
    by_pose = geometry.pose_jacobian(camera, by_point)
    for column in range(6):
        step = np.zeros(6)
        step[column] = 1e-6
        moved, _ = geometry.point_jacobian(geometry.transform(geometry.moved(pose, step), xyz), K, True)
        np.testing.assert_allclose((moved - value) / 1e-6, by_pose[:, :, column], rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("with_depth", [False, True], ids=["pixels", "depth"])
def test_pose_from_points_with_a_third_wrong(with_depth):
    xyz, truth = some_points(120), pose_of(0.05, -0.2, 0.1, 0.3, 0.1, -0.2)
    xy = seen(truth, xyz, 0.3)
    xy[:40] += np.random.default_rng(2).uniform(-80, 80, (40, 2))
    pose = geometry.pose_from_points(xyz, xy, K, 2.0, seed=0)
    assert pose is not None
    depth = geometry.project(truth, xyz, K)[1] if with_depth else None
    pose = geometry.refine_pose(pose, xyz, geometry.measurement(xy, depth, K), K, 2.0)
    np.testing.assert_allclose(pose, truth, atol=4e-3)


def test_poses_stay_rigid_under_many_products():
    pose, before = pose_of(0.01, 0.02, 0, 0.1, 0, 0), np.eye(4)
    for _ in range(200):  # what constant velocity does, frame after frame
        motion = pose @ geometry.invert(before)
        before, pose = pose, geometry.moved(motion @ pose, np.zeros(6))
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)


def test_rotation_is_found_under_moving_objects():
    xyz, truth = some_points(100), pose_of(0.02, -0.1, 0.05, 0, 0, 0)
    before, now = seen(np.eye(4), xyz), seen(truth, xyz, 0.2)
    now[:30] += [25, 3]
    rotation, residual = geometry.fit_rotation(before, now, K, 2.0, seed=3)
    np.testing.assert_allclose(rotation, truth[:3, :3], atol=1e-3)
    assert (residual[30:] < 2).all() and (residual[:30] > 10).all()


def test_two_views_and_their_points():
    xyz, truth = some_points(150), pose_of(0.02, -0.1, 0, -0.3, 0.05, 0.1)
    before, now = seen(np.eye(4), xyz, 0.2, seed=4), seen(truth, xyz, 0.2, seed=5)
    pair = geometry.two_view_pose(before, now, K, 1.0, seed=0)
    assert pair is not None
    pose, inliers = pair
    assert inliers.mean() > 0.9
    np.testing.assert_allclose(pose[:3, :3], truth[:3, :3], atol=5e-3)
    direction = truth[:3, 3] / np.linalg.norm(truth[:3, 3])
    assert pose[:3, 3] @ direction > 0.995
    found, angle, error = geometry.triangulate(np.eye(4), truth, before, now, K)
    assert np.median(np.linalg.norm(found - xyz, axis=1)) < 0.02
    assert (angle > 2).all() and np.median(error) < 0.5


def test_points_behind_a_camera_have_no_finite_error():
    before, now = np.array([[256.0, 192]]), np.array([[300.0, 192]])  # moved right, and so did the picture
    _, _, error = geometry.triangulate(np.eye(4), pose_of(0, 0, 0, -0.3, 0, 0), before, now, K)
    assert np.isinf(error).all()
