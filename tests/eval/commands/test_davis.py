"""`streamvos eval davis` on small composed DAVIS folders with exact truth."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.cli import main
from eval.datasets.davis import read_label_map


def write_davis(root: Path, name: str, frames, merged: bool = False) -> None:
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p" / name).mkdir(parents=True)
    for index, (image, labels) in enumerate(frames):
        Image.fromarray(image).save(root / "JPEGImages/480p" / name / f"{index:05d}.jpg", quality=95)
        stored = 255 * (labels > 0).astype(np.uint8) if merged else labels
        Image.fromarray(stored).save(root / "Annotations/480p" / name / f"{index:05d}.png")


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory, clip) -> Path:
    """Two sequences of one object each, as in DAVIS-2016."""
    root = tmp_path_factory.mktemp("davis")
    for name, speed in (("left", 4), ("right", 6)):
        write_davis(root, name, clip(6, speed), merged=True)
    return root


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory, clip) -> Path:
    """One sequence whose second object is there in frames 2, 3, 4 and again from 8 on."""
    root = tmp_path_factory.mktemp("late")
    early, again = clip(14, 0.5, range(2, 5)), clip(14, 0.5, range(8, 14))
    write_davis(root, "back", [*itertools.islice(early, 8), *itertools.islice(again, 8, None)])
    return root


def rows_of(path: Path) -> dict[str, dict]:
    return {row["sequence"]: row for row in json.loads(path.read_text())["rows"]}


def test_scores_saves_and_keeps_masks(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "eval",
        "davis",
        str(davis),
        "--size",
        "96",
        "--jobs",
        "1",
        "--baseline",
        "--out",
        str(tmp_path / "masks"),
    ]
    assert main([*command, "--save", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "| left " in printed and "| right " in printed
    rows = rows_of(tmp_path / "results" / "davis.json")
    assert rows["mean"]["J&F"] > 80  # a plain square is easy
    assert rows["mean"]["J mean"] > rows["mean, copy of the first mask"]["J mean"] + 5
    document = json.loads((tmp_path / "results" / "davis.json").read_text())
    assert document["meta"]["seed"] == 0 and document["meta"]["machine"]["cores"] >= 1
    assert (tmp_path / "results" / "davis.png").read_bytes()[:4] == b"\x89PNG"
    kept = sorted((tmp_path / "masks" / "left").iterdir())
    assert [path.name for path in kept] == [f"{index:05d}.png" for index in range(6)]
    truth = read_label_map(davis / "Annotations/480p/left/00003.png")
    assert ((read_label_map(kept[3]) > 0) & (truth > 0)).sum() > 0.8 * (truth > 0).sum()


def test_late_objects_are_followed_and_their_returns_counted(late: Path, tmp_path: Path) -> None:
    command = ["eval", "davis", str(late), "--size", "96", "--jobs", "1", "--save", str(tmp_path)]
    assert main(command) == 0
    assert rows_of(tmp_path / "davis.json")["mean"]["objects"] == 1  # the official protocol knows the first frame's
    assert main([*command, "--late-objects", "--absence", "3", "--baseline"]) == 0
    rows = rows_of(tmp_path / "davis.json")
    assert rows["mean"]["objects"] == 2 and rows["mean"]["id switches"] == 0 and rows["mean"]["wrong id"] == 0
    assert rows["back, object 2"]["returns"] == 0  # back for 6 frames only, too few to be judged
    baseline = rows["mean, copy of the first mask"]
    assert baseline["imagined"] == 100.0 and rows["mean"]["imagined"] < 100.0
    assert rows["mean"]["J&F"] > baseline["J&F"]


def test_as_one_object_with_boxes_given(late: Path, tmp_path: Path) -> None:
    command = ["eval", "davis", str(late), "--size", "96", "--jobs", "1", "--year", "2016", "--first", "box"]
    assert main([*command, "--baseline", "--save", str(tmp_path), "--out", str(tmp_path / "masks")]) == 0
    rows = rows_of(tmp_path / "davis.json")
    assert set(rows) == {"back", "mean", "mean, copy of the first box"} and rows["mean"]["objects"] == 1
    assert rows["mean"]["J mean"] > 40  # of two squares it can know but one
    assert read_label_map(tmp_path / "masks/back/00005.png").max() == 1


@pytest.mark.parametrize("option", ["--absence", "--visible-px", "--given-share"])
def test_options_of_late_objects_need_them(davis: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "davis", str(davis), option, "1"]) == 2
    assert f"{option} needs --late-objects" in capsys.readouterr().err


def test_a_share_is_not_more_than_all(davis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "davis", str(davis), "--late-objects", "--given-share", "2"]) == 2
    assert "--given-share: expected 0 to 1, got 2" in capsys.readouterr().err


def test_sizes_that_differ_are_told(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], clip) -> None:
    write_davis(tmp_path, "narrow", ((image, labels) for image, labels in clip(3)))
    path = tmp_path / "Annotations/480p/narrow/00001.png"
    Image.fromarray(read_label_map(path)[:, :-1]).save(path)
    assert main(["eval", "davis", str(tmp_path), "--jobs", "1"]) == 2
    error = capsys.readouterr().err
    assert "sequence narrow: expected 128x96" in error and "got 127x96 in" in error and "00001.png" in error


def test_too_short_a_sequence_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], clip) -> None:
    write_davis(tmp_path, "short", clip(2))
    assert main(["eval", "davis", str(tmp_path), "--size", "96", "--jobs", "1"]) == 2
    assert "sequence short: expected at least 3 frames" in capsys.readouterr().err


def test_refuses_stale_masks(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.png").write_bytes(b"")
    assert main(["eval", "davis", str(davis), "--out", str(tmp_path)]) == 2
    assert "holds no evaluation of ours" in capsys.readouterr().err


def test_unknown_sequence_lists_the_valid_ones(davis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "davis", str(davis), "--sequences", "rigth"]) == 2
    assert "right" in capsys.readouterr().err


@pytest.mark.skipif("STREAMVOS_DATA" not in os.environ, reason="STREAMVOS_DATA names no folder with data sets")
def test_copy_of_the_first_mask_on_real_sequences(tmp_path: Path) -> None:
    from eval.commands.davis import Davis
    from eval.running.semi_supervised import SemiSupervisedTask
    from eval.running.trackers import CopyFirstMask

    root = Path(os.environ["STREAMVOS_DATA"]) / "davis2016"
    scores = SemiSupervisedTask(Davis(root), CopyFirstMask(), tmp_path)("car-shadow").scores
    assert len(scores["curve"]) == 38 and len(list((tmp_path / "car-shadow").iterdir())) == 40
    assert scores["curve"][0] > scores["curve"][-1]


def test_controls_keep_results_of_their_own(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", "davis", str(davis), "--size", "96", "--jobs", "1", "--out", str(tmp_path / "out")]
    for control in ("no-memory", "other-video"):
        assert main([*command, "--resume", "--control", control, "--save", str(tmp_path), "--name", control]) == 0
        document = json.loads((tmp_path / f"{control}.json").read_text())
        assert document["meta"]["control"] == control and f"--control {control}" in document["meta"]["command"]
    assert main([*command, "--resume", "--control", "other-video", "--sequences", "left"]) == 2
    assert "--control other-video needs at least two sequences" in capsys.readouterr().err
