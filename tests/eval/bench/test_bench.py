import json

import numpy as np
import pytest

from apps.cli import main
from eval.bench.playback import LoopedSource, load_images
from streamvos.errors import InputError

SMALL = ["--width", "160", "--height", "96", "--size", "64", "--threads", "1"]


def test_looped_source_plays_to_and_fro():
    images = [np.full((4, 6, 3), value, np.uint8) for value in range(4)]
    frames = list(LoopedSource(images, 0, 10))
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx([index / 25 for index in range(10)])
    assert [frame.index for frame in LoopedSource(images[:1], 3, 5)] == [3, 4]


def test_load_images_scales():
    images = load_images("sample:bikes", 2, (48, 64))
    assert [image.shape for image in images] == [(48, 64, 3)] * 2
    with pytest.raises(InputError, match="at least one frame"):
        load_images("sample:bikes", 0)


def test_bench_pipeline_prints_each_stage_and_all(capsys, tmp_path):
    options = ["--frames", "4", "--rounds", "2", "--save", str(tmp_path), *SMALL]
    assert main(["bench", "pipeline", *options]) == 0
    table = capsys.readouterr().out
    rows = json.loads((tmp_path / "bench-pipeline.json").read_text())["rows"]
    assert [row["stage"] for row in rows] == ["shots", "detect", "segment", "reconstruct", "remember", "all"]
    assert all(row["local frames/s"] > 0 and row["ray frames/s"] > 0 for row in rows)
    assert all(f"| {row['stage']} " in table for row in rows)


def test_bench_pipeline_refuses_nonsense(capsys):
    assert main(["bench", "pipeline", "--frames", "1", "--rounds", "2"]) == 2
    assert "a frame for each round" in capsys.readouterr().err


def test_bench_memory_compares_a_short_and_a_long_run(capsys):
    assert main(["bench", "memory", "--short", "4", "--long", "8", "--runner", "local", *SMALL]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [int(row[1]) for row in rows] == [4, 8]
    assert float(rows[0][4]) == 1.0
    assert all(float(row[2]) > 100 for row in rows)  # MiB: Python with torch takes more than that
