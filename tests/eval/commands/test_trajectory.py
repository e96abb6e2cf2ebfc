"""`streamvos eval trajectory` on ray-cast rooms, whose truth is known, and on files."""

import json
from pathlib import Path

import pytest
from PIL import Image

from apps.cli import main
from streamvos.export.trajectory import read_trajectory

FIXTURES = Path(__file__).parent.parent / "fixtures" / "trajectory"


def rows_of(path: Path) -> list[dict]:
    return json.loads(path.read_text())["rows"]


def test_several_sequences(write_room, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, layout in (("first", "7scenes"), ("second", "tum")):
        write_room(tmp_path / "rooms" / name, 16, layout=layout)
    command = ["eval", "trajectory", str(tmp_path / "rooms"), "--size", "192", "--baseline", "--jobs", "1"]
    assert main([*command, "--out", str(tmp_path / "out"), "--save", str(tmp_path)]) == 0
    assert "colour alone" in capsys.readouterr().out
    rows = {(row["sequence"], row["input"]): row for row in rows_of(tmp_path / "trajectory.json")}
    for name in ("first", "second", "mean"):
        assert rows[name, "colour and depth"]["ATE, cm"] < 0.2 * rows[name, "baseline: the camera rests"]["ATE, cm"]
        assert rows[name, "colour and depth"]["compared, %"] == 100
    headline = json.loads((tmp_path / "trajectory.json").read_text())["headline"]
    assert headline["value"] == rows["mean", "colour and depth"]["ATE, cm"]
    assert headline["baseline"] == pytest.approx(rows["mean", "baseline: the camera rests"]["ATE, cm"], abs=0.01)
    assert len(read_trajectory(tmp_path / "out" / "rgbd" / "first.txt")) == 16
    assert (tmp_path / "out" / "rgb" / "second.txt").is_file()
    assert (tmp_path / "trajectory.png").stat().st_size > 5000


def test_delta_and_inputs(write_room, tmp_path: Path) -> None:
    write_room(tmp_path / "room", 8)
    command = ["eval", "trajectory", str(tmp_path / "room"), "--size", "192", "--inputs", "rgbd", "--max-frames", "6"]
    found = []
    for delta in ("1", "5", "6"):
        assert main([*command, "--delta", delta, "--save", str(tmp_path)]) == 0
        (row,) = rows_of(tmp_path / "trajectory.json")
        assert row["frames"] == 6
        found.append(row["RPE, mm"])
    assert found[0] is not None and found[0] != found[1] and found[2] is None


def test_two_files(tmp_path: Path) -> None:
    command = [
        "eval",
        "trajectory",
        "--estimate",
        str(FIXTURES / "estimate.txt"),
        "--truth",
        str(FIXTURES / "truth.txt"),
    ]
    ate = {}
    for scale in ([], ["--scale"]):
        assert main([*command, *scale, "--save", str(tmp_path)]) == 0
        (row,) = rows_of(tmp_path / "trajectory.json")
        ate[bool(scale)] = row["ATE, cm"]
    assert ate == {False: 100.69, True: 10.23}  # evo: 1.006926 m, 0.102281 m


def test_two_memories_against_one_on_the_room_without_data(tmp_path: Path) -> None:
    assert main(["eval", "trajectory", "--ablation", "--inputs", "rgbd", "--size", "192", "--save", str(tmp_path)]) == 0
    both, lying, one = rows_of(tmp_path / "trajectory.json")
    assert both["ATE, cm"] < 2 and both["ATE, cm"] < 0.3 * one["ATE, cm"]
    assert both["ghosts, %"] < 3 and both["ghosts, %"] < 0.2 * one["ghosts, %"]
    assert both["moving things off by, cm"] < 0.5 * lying["moving things off by, cm"]  # it pays only if carried


def test_ablation_with_label_maps(write_room, tmp_path: Path) -> None:
    write_room(tmp_path / "rgbd" / "room", 8, labels=tmp_path / "Annotations" / "480p" / "room")
    command = ["eval", "trajectory", str(tmp_path), "--ablation", "--size", "192", "--inputs", "rgbd"]
    assert main([*command, "--save", str(tmp_path)]) == 0
    rows = rows_of(tmp_path / "trajectory.json")
    assert [row["masks"] for row in rows if "not" not in row["memories"]] == ["true", "detect and segment", "none"]
    assert all(row["frames"] == 8 for row in rows)


def test_lost_everywhere(write_room, tmp_path: Path) -> None:
    write_room(tmp_path / "room", 5)
    for path in (tmp_path / "room").glob("*.color.png"):
        Image.new("RGB", (256, 192), "grey").save(path)
    assert main(["eval", "trajectory", str(tmp_path / "room"), "--size", "192", "--save", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "trajectory.json").read_text())
    assert "headline" not in document
    assert [(row["with a pose, %"], row["compared, %"], row["ATE, cm"]) for row in document["rows"]] == [
        (0, 0, None)
    ] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected the folder"),
        (["--truth", "x.txt"], "belong together"),
        (["--delta", "0", "x"], "at least 1 pose"),
        (["absent"], "not a folder"),
        (["--ablation", "--baseline"], "leave out --baseline and --delta"),
        (["--ablation", "--delta", "2"], "leave out --baseline and --delta"),
    ],
    ids=["nothing", "half", "delta", "absent", "ablation baseline", "ablation delta"],
)
def test_bad_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "trajectory", *words]) == 2
    assert message in capsys.readouterr().err
