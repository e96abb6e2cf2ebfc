"""`streamvos eval lvos` on a small composed folder in its layout."""

import json
from pathlib import Path

import pytest
from PIL import Image

from apps.cli import main


@pytest.fixture(scope="module")
def lvos(tmp_path_factory: pytest.TempPathFactory, clip) -> Path:
    """Two videos of numbered frames, every fifth annotated; the second object comes later in one of them."""
    root = tmp_path_factory.mktemp("lvos")
    videos = {}
    for name, second in (("common", range(0)), ("rare", range(4, 40))):
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / name).mkdir(parents=True)
        for index, (image, labels) in enumerate(clip(21, 1, second)):
            Image.fromarray(image).save(root / "JPEGImages" / name / f"{index + 1:08d}.jpg", quality=95)
            if index % 5 == 0:
                Image.fromarray(labels).save(root / "Annotations" / name / f"{index + 1:08d}.png")
        objects = {"1": {"frame_range": {"start": "00000001", "end": "00000021", "frame_nums": "5"}}}
        if second:
            objects["2"] = {"frame_range": {"start": "00000006", "end": "00000021", "frame_nums": "4"}}
        videos[name] = {"objects": objects}
    (root / "valid_meta.json").write_text(json.dumps({"videos": videos}))
    (root / "unseen_videos.txt").write_text("rare\n")
    return root


def test_scores_both_kinds_and_keeps_masks(lvos: Path, tmp_path: Path) -> None:
    command = ["eval", "lvos", str(lvos), "--size", "96", "--jobs", "1", "--baseline", "--save", str(tmp_path)]
    assert main([*command, "--out", str(tmp_path / "masks")]) == 0
    document = json.loads((tmp_path / "lvos.json").read_text())
    rows = {row["sequence"]: row for row in document["rows"]}
    assert (rows["common"]["classes"], rows["rare"]["classes"], rows["mean"]["classes"]) == (
        "seen",
        "unseen",
        "seen and unseen",
    )
    assert (rows["common"]["objects"], rows["rare"]["objects"]) == (1, 2)
    assert rows["mean"]["J"] == pytest.approx((rows["mean of seen"]["J"] + rows["mean of unseen"]["J"]) / 2, abs=0.01)
    assert rows["mean"]["J&F"] > 70 and rows["mean"]["J"] > rows["mean, copy of the first mask"]["J"]
    assert document["headline"]["value"] == rows["mean"]["J&F"] and document["meta"]["command"].startswith(
        "streamvos eval lvos LVOS"
    )
    assert len(list((tmp_path / "masks/rare").glob("000000??.png"))) == 21


def test_one_kind_alone_has_no_part_means(lvos: Path, tmp_path: Path) -> None:
    command = ["eval", "lvos", str(lvos), "--sequences", "common", "--size", "96", "--save", str(tmp_path)]
    assert main(command) == 0
    rows = json.loads((tmp_path / "lvos.json").read_text())["rows"]
    assert [row["sequence"] for row in rows] == ["common", "mean"]


def test_bad_input(lvos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "lvos", str(lvos), "--sequences", "comon"]) == 2
    assert "did you mean 'common'" in capsys.readouterr().err
    assert main(["eval", "lvos", str(lvos), "--unseen", str(tmp_path / "lost.txt")]) == 2
    assert "--unseen FILE" in capsys.readouterr().err
    meta = json.loads((lvos / "valid_meta.json").read_text())
    meta["videos"]["common"]["objects"]["9"] = meta["videos"]["common"]["objects"]["1"]
    (lvos / "odd_meta.json").write_text(json.dumps(meta))
    assert main(["eval", "lvos", str(lvos), "--set", "odd", "--sequences", "common", "--jobs", "1"]) == 2
    assert "sequence common: the meta file names objects [9]" in capsys.readouterr().err
