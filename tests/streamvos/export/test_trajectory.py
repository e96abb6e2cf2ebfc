import io

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from streamvos.errors import InputError
from streamvos.export.trajectory import (
    Trajectory,
    TrajectoryWriter,
    pose_line,
    read_trajectory,
    write_trajectory,
)


def some_poses(count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, random_state=3).as_matrix()
    poses[:, :3, 3] = rng.normal(size=(count, 3))
    return poses


def test_line_of_a_known_pose():
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # a quarter turn about z
    pose[:3, 3] = 1, 2, -3
    words = [float(word) for word in pose_line(0.5, pose).split()]
    assert words == pytest.approx([0.5, 1, 2, -3, 0, 0, 0.5**0.5, 0.5**0.5], abs=1e-8)


def test_round_trip_keeps_times_poses_and_maps(tmp_path):
    written = Trajectory(np.arange(5) / 8, some_poses(5), np.array([0, 0, 2, 2, 3]))
    write_trajectory(tmp_path / "trajectory.txt", written)
    read = read_trajectory(tmp_path / "trajectory.txt")
    np.testing.assert_allclose(read.times_s, written.times_s)
    np.testing.assert_allclose(read.world_from_camera, written.world_from_camera, atol=1e-8)
    assert read.map_ids.tolist() == [0, 0, 2, 2, 3]


def test_lost_frames_leave_no_line_and_each_map_is_announced_once():
    file = io.StringIO()
    writer = TrajectoryWriter(file)
    for time_s, map_id, pose in ((0.0, 0, np.eye(4)), (0.1, 0, None), (0.2, 1, np.eye(4)), (0.3, 1, np.eye(4))):
        writer.append(time_s, pose, map_id)
    lines = file.getvalue().splitlines()[1:]
    assert [line for line in lines if line.startswith("#")] == ["# map 0", "# map 1"]
    assert [line.split()[0] for line in lines if not line.startswith("#")] == [
        "0.000000",
        "0.200000",
        "0.300000",
    ]


@pytest.mark.parametrize(
    "text",
    ["1 2 3", "0 0 0 0 0 0 0 x", "0 0 0 0 0 0 0 0", "nan 0 0 0 0 0 0 1", "0 1e200 0 0 0 0 0 1", "0 0 0 0 1e-300 0 0 0"],
    ids=["short", "word", "zero", "nan", "far", "no turn"],
)
def test_malformed_lines_are_named(tmp_path, text):
    path = tmp_path / "bad.txt"
    path.write_text("# a comment\n" + text + "\n")
    with pytest.raises(InputError, match="line 2"):
        read_trajectory(path)


def test_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="none.txt"):
        read_trajectory(tmp_path / "none.txt")
