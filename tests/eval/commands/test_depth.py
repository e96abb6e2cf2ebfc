"""`streamvos eval depth` on a ray-cast room, whose depth is known."""

import json
from pathlib import Path

import cv2
import pytest

from apps.cli import main


def test_held_out_and_from_colour_alone(write_room, tmp_path: Path) -> None:
    write_room(tmp_path / "room", 20)
    command = ["eval", "depth", str(tmp_path / "room"), "--size", "192", "--baseline", "--out", str(tmp_path / "out")]
    assert main([*command, "--save", str(tmp_path)]) == 0
    rows = {row["input"]: row for row in json.loads((tmp_path / "depth.json").read_text())["rows"]}
    held_out, colour = rows["held out"], rows["colour alone"]
    assert (held_out["frames"], colour["frames"]) == (4, 20)
    assert held_out["AbsRel"] < 0.05 and held_out["frames with depth, %"] == 100
    assert held_out["AbsRel"] < 0.5 * rows["baseline: constant depth, same pixels, held out"]["AbsRel"]
    assert 0 < colour["pixels, %"] < 10  # sparse
    kept = sorted((tmp_path / "out" / "heldout" / "room").iterdir())
    assert [path.name for path in kept] == [f"{index:05d}.png" for index in range(4, 20, 5)]
    assert cv2.imread(str(kept[-1]), cv2.IMREAD_UNCHANGED).dtype == "uint16"


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--withhold", "1"], "2 or more"), (["--max-frames", "3"], "at least 5 frames")],
    ids=["all", "too-short"],
)
def test_bad_usage(write_room, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str):
    write_room(tmp_path / "room", 4)
    assert main(["eval", "depth", str(tmp_path / "room"), "--size", "192", *words]) == 2
    assert message in capsys.readouterr().err
