"""The end of `streamvos run`: what is empty is said, with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from apps.cli import main
from apps.run_summary import missing, summary

ALL = ["detect", "segment", "reconstruct", "remember"]


def report(stages: list[str] = ALL, classes: tuple[str, ...] = (), **counts: int) -> dict[str, Any]:
    return {
        "status": "complete",
        "counts": {"frames": 10, "detections": 5, "masks": 8, "poses": 10, "map_points": 40, "objects": 1} | counts,
        "config": {"stages": stages, "detect": {"classes": list(classes)}, "scores": {"detect": 0.4, "start": 0.5}},
        "steady_frames_per_s": 4.0,
        "dropped_frames": 0,
        "files": ["run.json"],
    }


def test_nothing_is_said_where_nothing_is_missing(tmp_path: Path) -> None:
    assert missing(report()) == []
    assert missing(report(frames=0, detections=0, masks=0, poses=0, map_points=0)) == []
    assert "40 map points" in summary(tmp_path, report())[0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (report(detections=0, masks=0), "saw none of the 80 classes of COCO with a score of 0.4"),
        (report(detections=0, masks=0, classes=("dog", "cat")), "saw no dog, cat with a score"),
        (report(masks=0), "of 5 detections none was large and sure enough"),
        (report(["detect", "reconstruct"], masks=0), "the segment stage was left out"),
        (report(map_points=0), "the camera rested, or only turned"),
        (report(map_points=0, poses=3), "known in 3 of 10 frames"),
    ],
)
def test_what_is_empty_has_its_reason(given: dict[str, Any], told: str) -> None:
    (line,) = missing(given)
    assert told in line


def test_objects_shown_by_the_user_are_enough() -> None:
    assert missing(report(detections=0)) == []


def test_a_run_of_a_picture_at_rest_says_that_both_are_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = tmp_path / "still"
    frames.mkdir()
    for index in range(6):
        Image.fromarray(still).save(frames / f"{index}.png")
    quickly = ["--out", str(tmp_path / "out"), "--runner", "local", "--quiet"]
    assert main(["run", str(frames), "--classes", "zebra", *quickly]) == 0
    said = capsys.readouterr().out
    assert "nothing was found" in said
    assert "the map is empty: the camera rested" in said
