import numpy as np
import pytest

from eval.metrics.scene import Sight, ghost_share, matches, object_centres, visible
from eval.metrics.trajectory import align, place_by_orientation
from streamvos.export.trajectory import Trajectory

CAMERA = np.array([[50, 0, 15.5], [0, 50, 11.5], [0, 0, 1.0]])


def wall(depth_m: float = 2.0, labels: int = 0) -> Sight:
    return Sight(np.full((24, 32), depth_m, np.float32), np.full((24, 32), labels, np.uint8), CAMERA, np.eye(4))


def test_where_points_fall_by_hand():
    """The camera stands at (1, 2, 3) and looks along the world's x; its right is -y, its down -z."""
    pose = np.array([[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1.0]])
    sight = Sight(np.ones((24, 32), np.float32), np.zeros((24, 32), np.uint8), CAMERA, pose)
    points = np.array(
        [
            [3, 2, 3],  # 2 m straight ahead
            [3, 1.9, 3],  # 0.1 m to the right of it: 50 * 0.1 / 2 = 2.5 pixels
            [6, 2, 3.25],  # 5 m ahead, 0.25 m up: 2.5 pixels
            [3, 1.2, 3],  # 20 pixels to the right: outside
            [-1, 2, 3],  # behind
        ]
    )
    seen, columns, rows, z = visible(sight, points)
    np.testing.assert_array_equal(seen, [0, 1, 2])
    np.testing.assert_array_equal(columns, [16, 18, 16])  # 15.5 and 18.0: halves go to the even pixel
    np.testing.assert_array_equal(rows, [12, 12, 9])  # 11.5 and 9.0
    np.testing.assert_allclose(z, [2, 2, 5])


def test_points_before_a_wall_are_ghosts():
    points = np.array([[0, 0, 2.0], [0.1, 0, 2.05], [0, 0, 1.0], [0, 0, 3.0], [0, 0, -1.0]])
    # Two on the wall, one before it; behind it and behind the camera nothing is known.
    assert ghost_share(points, [wall()]) == pytest.approx(1 / 3)
    assert ghost_share(points[:2], [wall()]) == 0
    assert ghost_share(points[3:], [wall()]) is None


def test_what_a_moving_thing_hides_or_covers_is_not_judged():
    on_thing = np.array([[0, 0, 2.0]])
    assert ghost_share(on_thing, [wall(labels=1)]) is None
    assert ghost_share(on_thing, [wall(labels=1), wall(4.0)]) == 1  # it was there only while the thing was
    assert ghost_share(on_thing, [wall(1.0, labels=1), wall()]) == 0


def test_centres_of_objects():
    depth, labels = np.full((24, 32), 2.0, np.float32), np.zeros((24, 32), np.uint8)
    labels[4:20, 8:24] = 3
    labels[0, 0] = 5  # too small
    (centre,) = object_centres(depth, labels, CAMERA).values()
    np.testing.assert_allclose(centre, [0, 0, 2], atol=1e-9)
    labels[4:20, 8:24] = 0
    labels[4:20, 18:29] = 3  # its inner columns 19 to 27: the middle one is 7.5 pixels to the right of the axis
    np.testing.assert_allclose(object_centres(depth, labels, CAMERA)[3], [7.5 / 50 * 2, 0, 2], atol=1e-9)
    assert object_centres(np.zeros_like(depth), labels, CAMERA) == {}


def test_matches_by_overlap():
    labels = np.zeros((10, 10), np.uint8)
    labels[:5], labels[8:] = 2, 3
    assert matches({7: labels == 2, 8: labels == 0, 9: np.zeros((10, 10), bool)}, labels) == {7: 2}
    assert matches({7: np.ones((10, 10), bool)}, labels, least=0.6) == {}


def test_orientations_place_a_map_whose_path_is_straight():
    poses = np.tile(np.eye(4), (6, 1, 1))
    poses[:, 0, 3] = np.arange(6)
    truth = Trajectory(np.arange(6.0), poses, np.zeros(6, np.int64))
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # about the path itself
    moved = np.linalg.inv(turn) @ poses
    moved[:, :3, 3] /= 2
    aligned = align(Trajectory(truth.times_s, moved, truth.map_ids), truth, with_scale=True)
    scale, rotation, translation = place_by_orientation(aligned)
    assert scale == pytest.approx(2)
    np.testing.assert_allclose(rotation, turn[:3, :3], atol=1e-9)
    np.testing.assert_allclose(translation, 0, atol=1e-9)
