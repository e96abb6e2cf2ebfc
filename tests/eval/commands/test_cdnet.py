"""`streamvos eval cdnet` and its layout, on small videos made here: a square that moves before a resting camera."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.cli import main
from eval.datasets.cdnet import find_videos
from streamvos.errors import InputError

SIZE = (96, 128)
FRAMES = range(11, 31)


def make_video(folder: Path, roi: str | None = "23 30", label: int = 255) -> None:
    ground = np.random.default_rng(0).integers(60, 120, (*SIZE, 3)).astype(np.uint8)
    (folder / "input").mkdir(parents=True)
    (folder / "groundtruth").mkdir()
    for number in FRAMES:
        left = 10 + 9 * (number - 23)
        picture, labels = ground.copy(), np.zeros(SIZE, np.uint8)
        if number >= 23:
            picture[30:60, left : left + 30], labels[30:60, left : left + 30] = (230, 40, 40), label
        Image.fromarray(picture).save(folder / "input" / f"in{number:06d}.jpg", quality=95)
        Image.fromarray(labels).save(folder / "groundtruth" / f"gt{number:06d}.png")
    if roi is not None:
        (folder / "temporalROI.txt").write_text(roi)


def test_scores_saves_and_keeps_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "CDnet"
    make_video(root / "baseline" / "square")
    command = ["eval", "cdnet", str(root), "--size", "96", "--baseline", "--out", str(tmp_path / "masks")]
    assert main([*command, "--save", str(tmp_path / "results")]) == 0
    assert "baseline/square" in capsys.readouterr().out
    document = json.loads((tmp_path / "results" / "cdnet.json").read_text())
    rows = {row["method"]: row for row in document["rows"]}
    assert rows["baseline: MOG2"]["F"] > 0.5 and rows["baseline: nothing moves"]["recall"] == 0
    assert rows["baseline: nothing moves"]["PWC"] == pytest.approx(100 * 900 / (96 * 128), abs=1e-3)
    assert "eval cdnet CDNET" in document["meta"]["command"]
    kept = sorted((tmp_path / "masks" / "baseline" / "square").iterdir())
    assert [path.name for path in kept] == [f"bin{number:06d}.png" for number in FRAMES]
    assert {Image.open(path).size for path in kept} == {SIZE[::-1]}
    assert set(np.unique(np.stack([np.array(Image.open(path)) for path in kept]))) <= {0, 255}


def test_nothing_that_moves_in_the_scored_frames(tmp_path: Path) -> None:
    make_video(tmp_path / "video", label=50)
    command = ["eval", "cdnet", str(tmp_path / "video"), "--size", "96", "--max-frames", "14"]
    assert main([*command, "--save", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "cdnet.json").read_text())["rows"]
    assert [row["recall"] for row in rows] == [None, None] and all(row["PWC"] is not None for row in rows)


def test_layouts(tmp_path: Path) -> None:
    for folder in ("CDnet/baseline/highway", "CDnet/baseline/office", "CDnet/shadow/office", "composed/cdnet/one"):
        make_video(tmp_path / folder, roi=None if "one" in folder else "25 9999")
    assert [one.path for one in find_videos(tmp_path / "CDnet")] == [
        "baseline/highway",
        "baseline/office",
        "shadow/office",
    ]
    assert [one.path for one in find_videos(tmp_path / "CDnet", ["office"])] == ["baseline/office", "shadow/office"]
    (one,) = find_videos(tmp_path / "CDnet", ["shadow/office"])
    assert one.numbers == tuple(FRAMES) and (one.first, one.last) == (25, 9999)
    assert one.labels(24) is None and one.labels(25).max() == 255
    assert [one.path for one in find_videos(tmp_path / "CDnet" / "shadow")] == ["office"]
    (whole,) = find_videos(tmp_path / "composed")
    assert (whole.path, whole.first, whole.last) == ("one", 11, 30)
    (single,) = find_videos(tmp_path / "CDnet/baseline/highway")
    assert single.path == "highway"


def test_bad_layouts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no CDnet folder"):
        find_videos(tmp_path)
    make_video(tmp_path / "video")
    with pytest.raises(InputError, match="video"):
        find_videos(tmp_path, ["vidoe"])
    (tmp_path / "video" / "temporalROI.txt").write_text("from 1")
    with pytest.raises(InputError, match="first and the last"):
        find_videos(tmp_path)


def test_real_labels(data_dir: Path) -> None:
    (video,) = find_videos(data_dir / "cdnet2014_highway")
    assert (video.first, video.last, video.numbers[0], video.numbers[-1]) == (470, 1700, 401, 850)
    assert set(np.unique(video.labels(640))) <= {0, 50, 85, 170, 255}
