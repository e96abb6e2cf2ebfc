from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamvos.errors import InputError
from streamvos.video.rgbd import read_pose
from streamvos.video.sources import open_source


def seven_scenes(folder: Path, num_frames: int = 3, depth_size: tuple[int, int] = (4, 6)) -> Path:
    np.savetxt(folder / "camera-intrinsics.txt", [[585, 0, 3], [0, 585, 2], [0, 0, 1]])
    for index in range(num_frames):
        Image.fromarray(np.full((4, 6, 3), index, np.uint8)).save(folder / f"frame-{index:06d}.color.png")
        depth = np.full(depth_size, 1000 + index, np.uint16)
        depth[0, 0], depth[0, 1] = 0, 65535
        Image.fromarray(depth).save(folder / f"frame-{index:06d}.depth.png")
        pose = np.eye(4)
        pose[0, 3] = index
        np.savetxt(folder / f"frame-{index:06d}.pose.txt", pose)
    return folder


def tum(folder: Path) -> Path:
    (folder / "rgb").mkdir()
    (folder / "depth").mkdir()
    for name in ("1.00", "1.10", "1.50"):
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(folder / "rgb" / f"{name}.png")
    for value, name in ((5000, "1.005"), (10000, "1.09")):
        Image.fromarray(np.full((4, 6), value, np.uint16)).save(folder / "depth" / f"{name}.png")
    (folder / "rgb.txt").write_text("# colour\n1.00 rgb/1.00.png\n1.10 rgb/1.10.png\n1.50 rgb/1.50.png\n")
    (folder / "depth.txt").write_text("1.005 depth/1.005.png\n1.09 depth/1.09.png\n")
    return folder


def test_seven_scenes_depth_in_metres_invalid_is_zero(tmp_path):
    with open_source(seven_scenes(tmp_path)) as source:
        frames = list(source)
    assert source.info.kind == "rgbd" and len(frames) == 3
    assert frames[2].depth_m.dtype == np.float32
    assert frames[2].depth_m[0, :2].tolist() == [0, 0]
    assert frames[2].depth_m[3, 3] == pytest.approx(1.002)
    assert frames[2].time_s == pytest.approx(2 / 30)
    assert frames[0].intrinsics[0, 0] == 585
    assert read_pose(tmp_path / "frame-000002.pose.txt")[0, 3] == 2


def test_tum_takes_the_nearest_depth_in_time(tmp_path):
    with open_source(tum(tmp_path)) as source:
        frames = list(source)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.5])
    assert [float(frame.depth_m[0, 0]) for frame in frames] == [1.0, 2.0, 0.0]
    assert "1 colour pictures have no depth" in source.warnings[0]
    assert frames[0].intrinsics[0, 0] == 525


def test_start_index(tmp_path):
    with open_source(seven_scenes(tmp_path), start_index=1, max_frames=2) as source:
        assert [(frame.index, int(frame.image[0, 0, 0])) for frame in source] == [(1, 1)]


def damage(folder: Path, case: str) -> None:
    if case == "no intrinsics":
        (folder / "camera-intrinsics.txt").unlink()
    elif case == "bad intrinsics":
        (folder / "camera-intrinsics.txt").write_text("1 2\n3 4\n")
    elif case == "no depth":
        (folder / "frame-000001.depth.png").unlink()
    elif case == "8-bit depth":
        Image.fromarray(np.zeros((4, 6), np.uint8)).save(folder / "frame-000001.depth.png")
    elif case == "other size":
        Image.fromarray(np.zeros((4, 7), np.uint16)).save(folder / "frame-000001.depth.png")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no intrinsics", "has no camera-intrinsics.txt; write"),
        ("bad intrinsics", "expected a finite 3x3 matrix"),
        ("no depth", "has no depth picture"),
        ("8-bit depth", "expected 16-bit grey"),
        ("other size", "7x4, its colour picture 6x4"),
    ],
)
def test_bad_folders(tmp_path, case, message):
    damage(seven_scenes(tmp_path), case)
    with pytest.raises(InputError, match=message), open_source(tmp_path) as source:
        list(source)


def test_bad_tum_list(tmp_path):
    tum(tmp_path)
    (tmp_path / "rgb.txt").write_text("1.00 rgb/none.png\n")
    with pytest.raises(InputError, match="line 1.*does not exist"):
        open_source(tmp_path)


def tum_times(folder: Path, rgb: list[str]) -> Path:
    """A TUM folder with a colour picture at each of these times, as rgb.txt has them."""
    tum(folder)
    (folder / "rgb.txt").write_text("\n".join(["# colour", *(f"{time} rgb/1.00.png" for time in rgb)]) + "\n")
    return folder


@pytest.mark.parametrize(
    ("rgb", "message"),
    [
        (["1.00", "1.00", "1.10"], r"rgb\.txt, line 3: expected a time of its own, got that of line 2"),
        (["1.10", "1.0000001", "1.0000002"], r"rgb\.txt, line 4: expected a time of its own, got that of line 3"),
        (
            ["1403636579763555584", "1403636579813555584"],
            r"line 2: expected seconds.*nanoseconds\? Divide.*1,000,000,000",
        ),
        (["0", "33333333", "66666666"], r"are these nanoseconds\?"),
        (["1403636579763555", "1403636579813555"], r"are these microseconds\?"),
        (["0", "33333", "66666"], r"are these microseconds\?"),
        (["1403636579763", "1403636579813"], r"are these milliseconds\? Divide.*1,000"),
        (["1e99999999"], r"line 2: expected 'timestamp file'"),
        (["9" * 99], r"line 2: expected 'timestamp file'"),
        (["nan"], r"line 2: expected 'timestamp file'"),
    ],
    ids=str,
)
def test_times_that_cannot_be_meant(tmp_path, rgb, message):
    with pytest.raises(InputError, match=message) as caught:
        open_source(tum_times(tmp_path, rgb))
    assert len(str(caught.value)) < 400


def test_times_with_exponents_unsorted_behind_a_byte_order_mark(tmp_path):
    tum_times(tmp_path, ["1.1e+00", "1.000000000e+00", "", "1.5"][:2])
    path = tmp_path / "rgb.txt"
    path.write_text("\ufeff" + path.read_text().removeprefix("# colour\n") + "\n", encoding="utf-8")
    with open_source(tmp_path) as source:
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.1])


def test_a_pause_does_not_spoil_the_rate(tmp_path):
    with open_source(tum_times(tmp_path, ["1.00", "1.04", "1.08", "2221.08", "2221.12"])) as source:
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.04, 0.08, 2220.08, 2220.12])
    assert source.info.rate == 25


def test_hidden_files_are_no_frames(tmp_path):
    seven_scenes(tmp_path)
    for name in ("._frame-000000.color.png", "frame-000003.color.png.tmp"):
        (tmp_path / name).write_bytes(b"no picture")
    with open_source(tmp_path) as source:
        assert len(list(source)) == 3


def test_real_seven_scenes(data_dir):
    with open_source(data_dir / "7scenes", max_frames=3) as source:
        frames = list(source)
    assert frames[0].size == (480, 640) and 0.2 < np.median(frames[0].depth_m) < 5
