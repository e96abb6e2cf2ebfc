"""`streamvos eval consistency` on tiny videos, and the sheet of examples by itself."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from apps.cli import main
from eval.commands.consistency import named_sources
from eval.metrics.consistency import KINDS, Contradiction
from eval.reporting.contradictions import MAX_EXAMPLES, Examples
from streamvos.records import Detections, Frame, ObjectMasks, StepResult

FOUND = Detections([[20, 20, 40, 40]], [0.9], [18], ("dog",), [-1])


def test_counts_saves_and_shows(make_video, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Grey halves: nothing is found, so there is nothing to count and no rate."""
    video, save, sheets = make_video(num_frames=4, size=(96, 128)), tmp_path / "results", tmp_path / "sheets"
    command = ["eval", "consistency", str(video), "--size", "96", "--max-frames", "3", "--sheets", str(sheets)]
    assert main([*command, "--save", str(save)]) == 0
    document = json.loads((save / "consistency.json").read_text())
    (row,) = document["rows"]
    assert row["source"] == "clip" and row["frames"] == 3 and row["object-frames"] == 0
    assert [row[kind] for kind in (*KINDS, "all")] == [None] * (len(KINDS) + 1)
    assert "headline" not in document and str(tmp_path) not in document["meta"]["command"]
    assert cv2.imread(str(sheets / "clip.jpg")).size and "clip" in capsys.readouterr().out


def test_a_real_clip(data_dir: Path, tmp_path: Path) -> None:
    command = ["eval", "consistency", str(data_dir / "videos" / "01_dog.mp4"), "--size", "128", "--max-frames", "12"]
    assert main([*command, "--save", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "consistency.json").read_text())
    (row,) = document["rows"]
    assert row["object-frames"] > 0 and row["all"] == pytest.approx(sum(row[kind] for kind in KINDS), abs=0.5)
    assert document["headline"]["value"] == row["all"]


def test_sources_get_names_of_their_own(make_video, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = make_video()
    (tmp_path / "other").mkdir()
    second = first.rename(tmp_path / "other" / "clip.mp4")
    first = make_video()
    named = named_sources([str(first), str(second), str(first)], 1)
    assert named == {"clip": str(first), "clip-2": str(second)}
    assert main(["eval", "consistency", str(tmp_path / "absent.mp4")]) == 2
    assert "absent.mp4" in capsys.readouterr().err


def test_the_sheet_shares_its_places_among_the_kinds(tmp_path: Path) -> None:
    examples = Examples()
    image = np.full((90, 120, 3), 90, np.uint8)
    nobody = ObjectMasks((90, 120), [], (), np.zeros((0, 4), np.float32), [], (), ())
    for index in range(40):
        result = StepResult(**{**vars(StepResult.of(Frame("s", index, float(index), image))), "masks": nobody})
        told = [Contradiction("unexplained", (), (0,), FOUND.boxes_xyxy[0], "no object for dog 0.90")]
        if index in (7, 8):
            told.append(Contradiction("renamed", (index,), (), np.zeros(4, np.float32), "cat before, now dog"))
        examples.look(image, result, FOUND, told)
    tiles = examples.chosen()
    assert len(tiles) == MAX_EXAMPLES
    crops = [tile[:100, :100] for tile in tiles]
    yellow = [bool((tile[..., 2] < 60).any() and (tile[..., 0] > 200).any()) for tile in crops]
    assert yellow == [True] * 10 + [False] * 2  # the witness's box; a new name has none
    examples.write(tmp_path / "sheet.jpg")
    assert cv2.imread(str(tmp_path / "sheet.jpg")).shape[0] == 3 * tiles[0].shape[0]
