"""`streamvos eval compose` on real data: what it prints and leaves; and how bad input is answered."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import pytest

from eval.commands import compose as command
from eval.compose.background import load_background
from eval.datasets.composed import SequenceTruth
from streamvos.errors import InputError


def _run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(list(arguments)))


def test_rgbd_and_contact_sheet(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, sheet = tmp_path / "out", tmp_path / "sheet.jpg"
    places = ["--backgrounds", str(data_dir / "7scenes"), "--cutouts", str(data_dir / "coco128-seg")]
    code = _run(*places, "--frames", "12", "--any-object", "--out", str(out), "--sheet", str(sheet))
    assert code == 0
    assert "short-00" in capsys.readouterr().out
    truth = SequenceTruth.load(out / "truth" / "short-00.json")
    assert truth.size == (640, 480) and truth.num_frames == 12
    assert 0 < sheet.stat().st_size <= 300_000 and cv2.imread(str(sheet)) is not None
    assert str(data_dir) not in (out / "compose.json").read_text()
    assert (out / "questions" / "short-00.json").is_file()


def test_the_floor_of_a_real_room(data_dir: Path) -> None:
    """The camera of this sequence is held by a standing person."""
    background = load_background(data_dir / "7scenes")
    heights = [float(background.floor.height(pose[:3, 3])) for pose in background.poses]
    assert min(heights) > 1.1 and max(heights) < 1.7
    assert max(heights) - min(heights) < 0.2


def test_plain_video_has_no_depth(tmp_path: Path, data_dir: Path) -> None:
    out = tmp_path / "out"
    places = ["--backgrounds", str(data_dir / "videos" / "01_dog.mp4"), "--cutouts", str(data_dir / "coco128-seg")]
    assert _run(*places, "--frames", "5", "--size", "320x180", "--any-object", "--out", str(out)) == 0
    assert not (out / "rgbd").exists()
    assert cv2.imread(str(out / "JPEGImages/480p/short-00/00004.jpg")).shape == (180, 320, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--preset", "dynamc"], "did you mean 'dynamic'", id="preset"),
        pytest.param(["--size", "640"], "WIDTHxHEIGHT", id="size"),
        pytest.param(["--size", "6x4"], "from 96 to 4096", id="tiny"),
        pytest.param(["--frames", "0"], "--frames: expected at least 1", id="no frames"),
        pytest.param(["--seed", "-1"], "--seed: expected 0 or more", id="seed"),
        pytest.param([], "backgrounds .*: expected a video", id="no background"),
    ],
)
def test_bad_input(tmp_path: Path, options: list[str], message: str) -> None:
    absent = str(tmp_path / "absent")
    with pytest.raises(InputError, match=message):
        _run("--backgrounds", absent, "--cutouts", absent, "--out", str(tmp_path / "out"), *options)
