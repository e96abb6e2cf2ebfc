"""`streamvos eval longvideos` on a small composed folder in its layout."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from apps.cli import main


@pytest.fixture(scope="module")
def longvideos(tmp_path_factory: pytest.TempPathFactory, clip) -> Path:
    """One video of 21 frames, annotated in frames 2, 6, 10, 14 and 18; a second object is there from the third."""
    root = tmp_path_factory.mktemp("longvideos")
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "rat").mkdir(parents=True)
    for index, (image, labels) in enumerate(clip(21, 1, range(10, 21))):
        Image.fromarray(image).save(root / "JPEGImages/rat" / f"{index:05d}.jpg", quality=95)
        if index % 4 == 2:
            Image.fromarray(labels).save(root / "Annotations/rat" / f"{index:05d}.png")
    return root


def test_scores_the_annotated_frames(longvideos: Path, tmp_path: Path) -> None:
    out, save = tmp_path / "masks", tmp_path / "results"
    command = ["eval", "longvideos", str(longvideos), "--size", "96", "--baseline", "--save", str(save)]
    assert main([*command, "--out", str(out)]) == 0
    rows = {row["sequence"]: row for row in json.loads((save / "longvideos.json").read_text())["rows"]}
    assert rows["mean"]["objects"] == 1  # that of the first annotation
    assert rows["mean"]["J mean"] > max(70, rows["mean, copy of the first mask"]["J mean"])
    (kept,) = out.rglob("embedded*/rat.scores.json")
    assert len(json.loads(kept.read_text())["scores"]["curve"]) == 3  # five annotations without the first and the last
    assert len(list((out / "rat").iterdir())) == 21


def test_bad_input(longvideos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "longvideos", str(tmp_path)]) == 2
    assert "not a Long Videos folder" in capsys.readouterr().err
    (tmp_path / "long_video").symlink_to(longvideos)
    assert main(["eval", "longvideos", str(tmp_path)]) == 2
    assert "give the folder of a version" in capsys.readouterr().err
    assert main(["eval", "longvideos", str(longvideos), "--sequences", "cat"]) == 2
    assert "did you mean 'rat'" in capsys.readouterr().err


@pytest.mark.skipif("STREAMVOS_DATA" not in os.environ, reason="STREAMVOS_DATA names no folder with data sets")
def test_a_real_mask_of_another_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = Path(os.environ["STREAMVOS_DATA"]) / "cutie_examples"
    (tmp_path / "JPEGImages").symlink_to(examples / "images")
    (tmp_path / "Annotations").symlink_to(examples / "masks")
    assert main(["eval", "longvideos", str(tmp_path), "--sequences", "judo", "--jobs", "1"]) == 2
    error = capsys.readouterr().err
    assert "sequence judo: expected 854x480" in error and "got 853x480" in error
