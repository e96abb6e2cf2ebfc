"""Who has come back, by hand: found, taken for another, and what the control leaves."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from eval.datasets.composed import FrameTruth, ObjectInfo, ObjectSeen, SequenceTruth
from eval.studies import recognition
from eval.studies.recognition import RULES, Sighting, score

OURS, ALONE = RULES["leads all others"], RULES["similarity alone"]


def seen(time_s: float, object_id: int, degrees: float, class_name: str = "dog", twin: int | None = None) -> Sighting:
    angle = np.radians(degrees)
    return Sighting(time_s, object_id, class_name, twin, np.array([np.cos(angle), np.sin(angle)], np.float32))


def test_a_changed_look_is_found_where_no_other_is_near() -> None:
    one = [seen(0, 1, 0), seen(5, 1, 45)]  # similarity 0.71
    assert score([one], OURS)["found, %"] == 100 and score([one], ALONE)["found, %"] == 0
    two = [seen(0, 1, 0), seen(0, 2, 85), seen(5, 1, 45)]  # 0.71 and 0.77
    row = score([two], OURS)
    assert row["returns"] == 1 and row["found, %"] == 0 and row["wrong, %"] == 0
    assert score([[seen(0, 1, 0), seen(1, 1, 45)]], OURS)["returns"] == 0  # it was not away


def test_new_objects_and_look_alikes_are_counted_apart() -> None:
    row = score([[seen(0, 1, 0), seen(5, 2, 10)]], OURS)
    assert (row["new objects"], row["taken for another, %"], row["look-alikes"]) == (1, 100.0, 0)
    row = score([[seen(0, 1, 0), seen(5, 2, 10, twin=1)]], OURS)
    assert (row["new objects"], row["look-alikes"], row["look-alikes taken, %"]) == (0, 1, 100.0)
    assert score([[seen(0, 1, 0), seen(5, 2, 10, "car")]], OURS)["new objects"] == 0  # of another kind


def test_the_control_knows_a_stranger() -> None:
    one, other = [seen(0, 1, 0), seen(5, 1, 5)], [seen(0, 1, 90, "car"), seen(0, 2, 5), seen(5, 1, 95, "car")]
    assert score([one, other], OURS)["found, %"] == 100
    assert score([one, other], OURS, exchanged=True)["found, %"] == 0  # another dog may be the same cut-out


def composed(root: Path) -> Path:
    """Two sequences of 4 s: a square that moves over noise, a dog in one and a car in the other."""
    rng = np.random.default_rng(0)
    for name, class_name, colour in (("one", "dog", 40), ("two", "car", 220)):
        frames = []
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / "480p" / name).mkdir(parents=True)
        for index in range(8):
            image, labels = rng.integers(100, 160, (120, 160, 3), np.uint8), np.zeros((120, 160), np.uint8)
            labels[40:80, 10 + 8 * index : 50 + 8 * index] = 1
            image[labels > 0] = colour
            cv2.imwrite(str(root / f"JPEGImages/480p/{name}/{index:05d}.jpg"), image)
            Image.fromarray(labels).save(root / f"Annotations/480p/{name}/{index:05d}.png")
            frames.append(FrameTruth(index, index / 2, None, 0, (ObjectSeen(1, 1600, 1600, None),)))
        thing = ObjectInfo(1, class_name, "grey")
        truth = SequenceTruth(name, Fraction(2), 8, (160, 120), 0, "short", (thing,), tuple(frames))
        truth.save(root / "truth" / f"{name}.json")
    return root


def test_the_command_on_a_composed_set(tmp_path: Path) -> None:
    words = ["--every", "1", "--size", "128", "--out", str(tmp_path / "out")]
    recognition.main([str(composed(tmp_path / "set")), *words])
    document = json.loads((tmp_path / "out/recognition.json").read_text())
    rows = document["rows"]
    assert [row["returns"] for row in rows] == [8, 8, 8] and rows[0]["found, %"] == 100
    assert [row["rule"] for row in rows] == [*RULES, "control: leads all others, looks of another video"]
    assert [row["rule"] for row in document["rows"]][:2] == list(RULES) and len(document["rows"]) == 3
    assert document["meta"]["command"].startswith("python -m eval.studies.recognition ")
