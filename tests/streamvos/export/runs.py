"""Whole runs of results that are a pure function of the frame index, and what is compared of two."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np

from streamvos.export.result_files import OutputConfig
from streamvos.export.run_dir import RunDirectory

FAST = OutputConfig(overlay_preset="ultrafast")
PRODUCTS = {
    "reconstruct": {
        "static_xyz": np.zeros((2, 3), np.float32),
        "static_rgb": np.zeros((2, 3), np.uint8),
        "static_confidence": np.ones(2, np.float32),
        "static_map_id": np.zeros(2, np.int32),
        "dynamic_xyz": np.ones((1, 3), np.float32),
        "dynamic_rgb": np.zeros((1, 3), np.uint8),
        "dynamic_object_id": np.ones(1, np.int32),
    }
}
COMPLETE = [
    "boxes.txt",
    "events.jsonl",
    "masks",
    "overlay.mp4",
    "run.json",
    "scene.ply",
    "timeline.png",
    "tracks.json",
    "trajectory.txt",
]


def write_frames(run: RunDirectory, step, frames) -> None:
    for index in frames:
        run.write(*step(index))


def report(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def whole_run(folder: Path, info, step, count: int = 40) -> Path:
    run = RunDirectory(folder, info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(count))
    run.close("complete", PRODUCTS)
    return folder


def video_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def expect_equal_runs(one: Path, other: Path) -> None:
    for name in ("tracks.json", "boxes.txt", "events.jsonl", "trajectory.txt", "timeline.png"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    names = sorted(path.name for path in (one / "masks").iterdir())
    assert names == sorted(path.name for path in (other / "masks").iterdir())
    for name in names:
        assert (one / "masks" / name).read_bytes() == (other / "masks" / name).read_bytes(), name
    assert video_times(one / "overlay.mp4") == video_times(other / "overlay.mp4")
