"""`streamvos eval strips` on a small composed folder: which frames are shown, their colours, the command."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from apps.cli import main
from eval.datasets.davis import find_sequences, write_label_map
from eval.reporting.strips import MISSING, OTHER, RIGHT, SURPLUS, JudgedFrame, against_truth, judge, worst_and_typical
from streamvos.errors import InputError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, clip) -> Path:
    """One sequence of two objects, and two results: `good` is the truth, `bad` has lost object 2 in frame 3."""
    root = tmp_path_factory.mktemp("strips")
    folders = [root / "JPEGImages/480p/two", root / "Annotations/480p/two", root / "good/two", root / "bad/two"]
    for folder in folders:
        folder.mkdir(parents=True)
    for index, (image, labels) in enumerate(clip(6, 3, range(6))):
        Image.fromarray(image).save(folders[0] / f"{index:05d}.jpg", quality=95)
        bad = np.where(labels == 2, 0, labels) if index == 3 else labels
        for folder, what in zip(folders[1:], (labels, labels, bad), strict=True):
            write_label_map(folder / f"{index:05d}.png", what.astype(np.uint8))
    return root


def test_frames_are_judged_as_davis_does(root: Path) -> None:
    (sequence,) = find_sequences(root)
    frames = judge(sequence, root / "bad/two", {1: 0, 2: 0})
    assert [frame.index for frame in frames] == [1, 2, 3, 4]  # neither the first nor the last
    assert [frame.region for frame in frames] == [1.0, 1.0, 0.5, 1.0]
    assert frames[2].missing == pytest.approx(0.5) and frames[2].surplus == 0
    with pytest.raises(InputError, match="does not exist"):
        judge(sequence, root / "good", {1: 0})


def test_the_worst_and_the_middle_one() -> None:
    frames = [JudgedFrame(index, np.zeros((2, 2)), j, j, 0, 0) for index, j in enumerate((0.9, 0.2, 0.6, 0.2, 0.7))]
    assert worst_and_typical(frames) == (1, 2)


def test_colours_by_hand() -> None:
    image = np.full((1, 6, 3), 100, np.uint8)
    labels = np.array([[1, 1, 0, 1, 0, 1]])
    truth = np.array([[1, 0, 1, 2, 0, 255]])
    picture = against_truth(image, labels, truth)
    expected = [RIGHT, SURPLUS, MISSING, OTHER, None, None]  # the last is void
    for pixel, colour in zip(picture[0], expected, strict=True):
        want = np.full(3, 100) if colour is None else 100 + 0.55 * (np.array(colour) - 100)
        assert np.abs(pixel - want).max() <= 1


def test_the_command_writes_a_picture_and_a_row(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = [f"coarse={root / 'bad'}", f"refined={root / 'good'}"]
    assert main(["eval", "strips", str(root), "--results", *results, "--out", str(tmp_path)]) == 0
    picture = cv2.imread(str(tmp_path / "two.png"))
    assert picture.shape[1] > 1500 and picture.shape[0] > 500
    table = capsys.readouterr().out
    assert "coarse J&F" in table and "two" in table and "100.0" in table


@pytest.mark.parametrize(
    ("word", "message"),
    [("coarse", "expected NAME=DIR"), ("a=nowhere", "nowhere is no folder"), ("=x", "expected NAME=DIR")],
)
def test_bad_results_are_refused(
    root: Path, tmp_path: Path, word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "strips", str(root), "--results", word, "--out", str(tmp_path)]) != 0
    assert message in capsys.readouterr().err
