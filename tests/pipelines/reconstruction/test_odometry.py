import cv2
import numpy as np
import pytest
from scipy.optimize import least_squares

from pipelines.reconstruction import bundle_adjustment as odometry_adjust
from pipelines.reconstruction import geometry
from pipelines.reconstruction import policy as odometry_policy
from pipelines.reconstruction.feature_tracks import FeatureTracks, corners, covered_cells, spread

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


def test_rotation_is_found_under_moving_things():
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
    poses, points = odometry_adjust.adjust(start, start_xyz, *arguments, fixed, 50.0, iterations=30)

    def residuals(x: np.ndarray) -> np.ndarray:
        steps, moved = x[: 6 * (4 - fixed)].reshape(-1, 6), x[6 * (4 - fixed) :].reshape(-1, 3)
        free = [geometry.moved(start[fixed + k], step) for k, step in enumerate(steps)]
        camera = [geometry.transform(pose, moved) for pose in [*start[:fixed], *free]]
        value, _ = geometry.point_jacobian(np.concatenate(camera), K, with_depth)
        return (measured - value).ravel()

    best = least_squares(residuals, np.concatenate([np.zeros(6 * (4 - fixed)), start_xyz.ravel()]))
    ours = odometry_adjust.errors(poses, points, pose_rows, point_rows, measured[:, :2], K)
    theirs = np.linalg.norm(best.fun.reshape(len(measured), -1)[:, :2], axis=1)
    assert np.sum(ours**2) == pytest.approx(np.sum(theirs**2), rel=2e-2)
    np.testing.assert_array_equal(poses[:fixed], start[:fixed])


def test_corners_are_where_texture_is_and_nowhere_else():
    rng = np.random.default_rng(0)
    picture = np.full((120, 160), 128, np.uint8)
    picture[20:100, 80:150] = rng.integers(0, 256, (80, 70))
    found = corners(picture, np.ones(picture.shape, np.uint8), 100, 6, 4e-5)
    assert len(found) > 20 and found[:, 0].min() > 75


@pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0])
def test_noise_has_no_corners(sigma):
    noise = np.random.default_rng(0).normal(128, sigma, (240, 320)).clip(0, 255).astype(np.uint8)
    assert len(corners(noise, np.ones(noise.shape, np.uint8), 100, 6, 4e-5)) < 5


def test_spread_fills_cells_evenly():
    crowd = np.random.default_rng(0).uniform(0, 20, (500, 2)).astype(np.float32)
    elsewhere = np.array([[150, 100]], np.float32)
    chosen = spread(np.concatenate([crowd, elsewhere]), np.zeros((0, 2), np.float32), (120, 160), 96)
    assert len(chosen) < 10 and [150, 100] in chosen.tolist()
    assert covered_cells(chosen, (120, 160)) == len(chosen)


def test_tracks_follow_a_shift_and_ids_are_never_reused():
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (200, 260)).astype(np.uint8), (0, 0), 2)
    before, now = texture[20:140, 20:180], texture[17:137, 25:185]
    tracks = FeatureTracks(60, 8, 1e-6)
    tracks.refill(before, np.ones(before.shape, bool))
    start = dict(zip(tracks.ids.tolist(), tracks.xy.copy(), strict=True))
    assert len(start) > 30
    tracks.follow(before, now)
    shift = [xy - start[one] for one, xy in zip(tracks.ids.tolist(), tracks.xy, strict=True)]
    assert np.median(shift, axis=0) == pytest.approx([-5, 3], abs=0.1)
    tracks.clear()
    assert not set(tracks.refill(now, np.ones(now.shape, bool)).tolist()) & set(start)


@pytest.mark.parametrize(
    ("agreeing", "nearly", "still", "believed"),
    [(1.0, 1.0, False, True), (0.6, 0.7, True, True), (0.7, 0.78, False, False), (0.4, 0.9, False, False)],
    ids=["pan", "tripod", "driving-under-clouds", "parallax"],
)
def test_when_a_turn_is_believed(agreeing, nearly, still, believed):
    assert odometry_policy.only_turned(agreeing, nearly, still) is believed


def test_when_a_key_frame_is_due():
    assert not odometry_policy.needs_key_frame(10, 200, 220, 350, 0.1, 0.0)  # a camera at rest
    assert odometry_policy.needs_key_frame(10, 200, 220, 350, 0.1, 0.08)  # moved
    assert odometry_policy.needs_key_frame(10, 100, 220, 350, 0.1, 0.0)  # lost half of its corners
    assert not odometry_policy.needs_key_frame(1, 200, 220, 350, 9.0, 0.2)  # the last one is just behind
