"""`streamvos eval ablation` on two small composed folders with exact truth."""

import json
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from apps.cli import main

TABLE = """
[base]
settings.segment = { base = "embedded", verify = false, embedded.keyframes.max_per_object = 1 }
[memory]
title = "+ memory"
extends = "base"
settings.segment.embedded.keyframes.max_per_object = 4
[grabcut]
extends = "base"
settings.segment.refiner = "grabcut"
[foreign]
title = "control: other video"
extends = "memory"
control = "other-video"
"""


def write(root: Path, name: str, frames, merged: bool) -> None:
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p" / name).mkdir(parents=True)
    for index, (image, labels) in enumerate(frames):
        Image.fromarray(image).save(root / "JPEGImages/480p" / name / f"{index:05d}.jpg", quality=95)
        stored = (labels > 0).astype("uint8") * 255 if merged else labels
        Image.fromarray(stored).save(root / "Annotations/480p" / name / f"{index:05d}.png")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory, clip) -> Path:
    """`merged` with two sequences, `late` with one whose second object comes later."""
    root = tmp_path_factory.mktemp("sets")
    for name, speed in (("left", 4), ("right", 6)):
        write(root / "merged", name, clip(5, speed), merged=True)
    write(root / "late", "back", clip(8, 1, range(2, 8)), merged=False)
    (root / "table.toml").write_text(TABLE)
    return root


def command(sets: Path, *more: str) -> list[str]:
    table = ["--table", str(sets / "table.toml"), "--size", "96", "--jobs", "1", "--visible-px", "1"]
    return ["eval", "ablation", "--davis2016", str(sets / "merged"), "--composed", str(sets / "late"), *table, *more]


def test_a_table_over_two_sets_kept_and_taken_up_again(
    sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out"), "--save", str(tmp_path / "saved"), "--seeds", "2"]
    assert main(command(sets, *out)) == 0
    document = json.loads((tmp_path / "saved/ablation.json").read_text())
    rows = document["rows"]
    titles = ["base", "+ memory", "grabcut", "control: other video"]
    assert [(row["data"], row["variant"]) for row in rows] == [
        (data, one) for data in ("merged", "late") for one in titles
    ]
    assert [row["seeds"] for row in rows] == [1, 1, 2, 1] * 2
    assert [row["objects"] for row in rows] == [2] * 4 + [2] * 4
    assert all(row["J&F"] > 60 for row in rows[:2]) and rows[0]["gain"] is None and rows[1]["gain"] is not None
    assert rows[0]["id switches"] is None and rows[4]["id switches"] == 0 and rows[4]["returns"] == 0
    assert rows[0]["key frames, MiB"] == rows[3]["key frames, MiB"] > 0  # one view each
    assert document["headline"]["measure"] == "J&F, control: other video, merged"
    assert document["headline"]["baseline"] == rows[0]["J&F"]
    meta = document["meta"]
    assert (
        "segment.refiner=grabcut" in meta["variants"]["grabcut"]
        and "control=other-video" in meta["variants"]["foreign"]
    )
    assert "--davis2016 MERGED --composed LATE --table table.toml" in meta["command"] and str(sets) not in json.dumps(
        document
    )
    assert (tmp_path / "saved/ablation.png").read_bytes()[:4] == b"\x89PNG"
    capsys.readouterr()
    began = time.perf_counter()
    assert main(command(sets, *out, "--resume", "--variants", "memory")) == 0
    assert time.perf_counter() - began < 5
    again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(again) == 2 + 4 and any("+ memory" in line for line in again)
    assert main(command(sets, *out)) == 2
    assert "--resume goes on with it" in capsys.readouterr().err


def test_sequences_of_either_set_can_be_chosen(sets: Path, tmp_path: Path) -> None:
    save = ["--save", str(tmp_path), "--name", "few"]
    assert main(command(sets, "--sequences", "right", "--variants", "base", "foreign", *save)) == 0
    rows = json.loads((tmp_path / "few.json").read_text())["rows"]
    assert [(row["data"], row["objects"]) for row in rows] == [("merged", 1)] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sequences", "rigth"], "did you mean 'right'"),
        (["--variants", "memry"], "did you mean 'memory'"),
        (["--seeds", "0"], "--seeds: expected 1 or more"),
        (["--baseline"], "--baseline: variants are compared with"),
        (["--given-share", "3"], "--given-share: expected 0 to 1"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_what_cannot_be_run_is_said_before_the_work(
    sets: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(sets, *words)) == 2
    assert message in capsys.readouterr().err


def test_data_must_be_named_and_told_apart(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "ablation"]) == 2
    assert "expected at least one of --davis2016" in capsys.readouterr().err
    assert main(command(sets, "--davis2017", str(sets / "late"))) == 2
    assert "folders of different names" in capsys.readouterr().err
    alone = ["eval", "ablation", "--composed", str(sets / "late"), "--table", str(sets / "table.toml")]
    assert main(alone) == 2
    assert "late has one sequence" in capsys.readouterr().err


@pytest.mark.skipif("STREAMVOS_DATA" not in os.environ, reason="STREAMVOS_DATA names no folder with data sets")
def test_the_shipped_table_on_a_real_sequence(tmp_path: Path) -> None:
    root = Path(os.environ["STREAMVOS_DATA"]) / "davis2016"
    words = ["--sequences", "car-shadow", "--variants", "memory", "--size", "128", "--jobs", "1"]
    assert main(["eval", "ablation", "--davis2016", str(root), *words, "--save", str(tmp_path)]) == 0
    base, memory = json.loads((tmp_path / "ablation.json").read_text())["rows"]
    assert base["J&F"] > 50 and memory["key frames, MiB"] > base["key frames, MiB"]
