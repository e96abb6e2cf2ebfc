"""`streamvos eval davis` on a small composed DAVIS folder with exact truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.cli import main
from eval.datasets.davis import read_label_map

SIZE = (96, 128)


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences of a textured square that moves over a textured ground."""
    root = tmp_path_factory.mktemp("davis")
    rng = np.random.default_rng(0)
    for name, speed in (("left", 4), ("right", 6)):
        ground = rng.integers(0, 90, (*SIZE, 3)).astype(np.uint8)
        square = rng.integers(150, 255, (36, 36, 3)).astype(np.uint8) * np.array([1, 0, 0], np.uint8)
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / "480p" / name).mkdir(parents=True)
        for index in range(6):
            left = 20 + speed * index
            picture, mask = ground.copy(), np.zeros(SIZE, np.uint8)
            picture[30:66, left : left + 36], mask[30:66, left : left + 36] = square, 255
            Image.fromarray(picture).save(root / "JPEGImages/480p" / name / f"{index:05d}.jpg", quality=95)
            Image.fromarray(mask).save(root / "Annotations/480p" / name / f"{index:05d}.png")
    return root


def test_scores_saves_and_keeps_masks(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", "davis", str(davis), "--size", "96", "--baseline", "--out", str(tmp_path / "masks")]
    assert main([*command, "--save", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "| left " in printed and "| right " in printed
    document = json.loads((tmp_path / "results" / "davis.json").read_text())
    rows = {row["sequence"]: row for row in document["rows"]}
    assert rows["mean"]["J&F"] > 80  # a plain square is easy
    assert rows["mean"]["J mean"] > rows["mean, copy of the first mask"]["J mean"] + 5
    assert document["meta"]["seed"] == 0 and document["meta"]["machine"]["cores"] >= 1
    kept = sorted((tmp_path / "masks" / "left").iterdir())
    assert [path.name for path in kept] == [f"{index:05d}.png" for index in range(6)]
    truth = read_label_map(davis / "Annotations/480p/left/00003.png")
    assert ((read_label_map(kept[3]) > 0) & (truth > 0)).sum() > 0.8 * (truth > 0).sum()


def test_refuses_stale_masks(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.png").write_bytes(b"")
    assert main(["eval", "davis", str(davis), "--out", str(tmp_path)]) == 2
    assert "holds no evaluation of ours" in capsys.readouterr().err


def test_unknown_sequence_lists_the_valid_ones(davis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "davis", str(davis), "--sequences", "rigth"]) == 2
    assert "right" in capsys.readouterr().err
