from pathlib import Path

import numpy as np
import pytest

from eval.datasets.raycast import swaying_path
from eval.datasets.rgbd import find_sequences
from streamvos.errors import InputError


@pytest.mark.parametrize("layout", ["7scenes", "tum"])
def test_truth_at_the_times_of_the_frames(write_room, tmp_path: Path, layout: str) -> None:
    write_room(tmp_path / "room", 5, layout=layout)
    (sequence,) = find_sequences(tmp_path / "room")
    with sequence.open() as source:
        times = np.array([frame.time_s for frame in source])
    truth = sequence.truth(times)
    np.testing.assert_allclose(truth.world_from_camera, swaying_path(40)[:5], atol=1e-6)
    np.testing.assert_array_equal(truth.times_s, times)


def test_frames_without_a_true_pose_are_left_out(write_room, tmp_path: Path) -> None:
    write_room(tmp_path / "room", 5, layout="tum")
    path = tmp_path / "room" / "groundtruth.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]))
    (sequence,) = find_sequences(tmp_path / "room")
    assert len(sequence.truth(np.arange(5) / 30)) == 2
    path.unlink()
    with pytest.raises(InputError, match=r"groundtruth\.txt"):
        sequence.truth(np.arange(5) / 30)


def test_folders_of_several(write_room, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_room(tmp_path / "composed" / "rgbd" / name, 2)
    assert [one.name for one in find_sequences(tmp_path / "composed")] == ["one", "two"]
    assert [one.name for one in find_sequences(tmp_path / "composed" / "rgbd", ["two"])] == ["two"]
    with pytest.raises(InputError, match="did you mean 'two'"):
        find_sequences(tmp_path / "composed", ["tow"])
    with pytest.raises(InputError, match="label maps"):
        find_sequences(tmp_path / "composed")[0].label_paths()


def test_no_sequence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no RGB-D sequence"):
        find_sequences(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        find_sequences(tmp_path / "absent")


def test_a_missing_pose(write_room, tmp_path: Path) -> None:
    write_room(tmp_path / "room", 3)
    next((tmp_path / "room").glob("*.pose.txt")).unlink()
    (sequence,) = find_sequences(tmp_path / "room")
    with pytest.raises(InputError, match="expected a .pose.txt for each of 3 frames, got 2"):
        sequence.truth(np.arange(3) / 30)
