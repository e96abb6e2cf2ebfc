"""Records check themselves once, when they are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streamvos import masks
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, ObjectMasks, Prompt, Removal, SceneEstimate, StepResult

IMAGE = np.zeros((4, 6, 3), np.uint8)
MASK = np.zeros((4, 6), bool)
POINTS = np.ones((2, 2), np.float32)


def detections(**changes: Any) -> Detections:
    values = {
        "boxes_xyxy": np.zeros((2, 4), np.float32),
        "scores": np.zeros(2, np.float32),
        "class_ids": np.zeros(2, np.int64),
        "class_names": ("cat", "dog"),
        "object_ids": np.full(2, -1, np.int64),
    }
    return Detections(**{**values, **changes})


def object_masks(**changes: Any) -> ObjectMasks:
    values = {
        "size": (4, 6),
        "object_ids": np.array([2, 5], np.int64),
        "rles": (masks.encode(MASK), masks.encode(MASK)),
        "boxes_xyxy": np.zeros((2, 4), np.float32),
        "scores": np.zeros(2, np.float32),
        "states": ("tracked", "lost"),
        "class_names": ("", "dog"),
    }
    return ObjectMasks(**{**values, **changes})


def scene(**changes: Any) -> SceneEstimate:
    values = {"map_id": 0, "world_from_camera": np.eye(4), "intrinsics": np.eye(3), "scale": "relative"}
    return SceneEstimate(**{**values, "tracking": "ok", **changes})


def frame(**changes: Any) -> Frame:
    return Frame(**{"stream_id": "s", "index": 0, "time_s": 0.0, "image": IMAGE, **changes})


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "frame of floats": (lambda: frame(image=IMAGE.astype(float)), r"expected \(\*, \*, 3\) uint8, got \(4, 6, 3\)"),
    "grey frame": (lambda: frame(image=IMAGE[..., 0]), r"got \(4, 6\) uint8"),
    "frame with alpha": (lambda: frame(image=np.zeros((4, 6, 4), np.uint8)), r"got \(4, 6, 4\)"),
    "frame without pixels": (lambda: frame(image=IMAGE[:0]), "at least 1x1"),
    "depth of another size": (lambda: frame(depth_m=np.zeros((3, 6), np.float32)), r"depth_m: expected \(4, 6\)"),
    "depth in millimetres": (lambda: frame(depth_m=np.full((4, 6), 1200, np.uint16)), "divide millimetres by 1000"),
    "intrinsics of texts": (lambda: frame(intrinsics=[["a", "b", "c"]] * 3), "Frame.intrinsics"),
    "prompt for the background": (lambda: Prompt(0, 0, mask=MASK), "expected >= 1"),
    "prompt before the stream": (lambda: Prompt(-1, 1, mask=MASK), "frame_index"),
    "prompt of nothing": (lambda: Prompt(0, 1), "one of mask, box, points, or a box with points; got none"),
    "prompt of two things": (lambda: Prompt(0, 1, mask=MASK, box=np.array([0, 0, 1, 1], np.float32)), "got mask, box"),
    "prompt mask of numbers": (lambda: Prompt(0, 1, mask=MASK + 0.5), r"give True \(or 1\) on the object"),
    "prompt mask of two objects": (lambda: Prompt(0, 1, mask=[[0, 1, 2]]), "Prompt.mask"),
    "box in rows of different lengths": (lambda: Prompt(0, 1, box=[[1, 2], [3]]), "rows of different lengths"),
    "box beyond float32": (lambda: Prompt(0, 1, box=[0, 0, 1e39, 1]), "Prompt.box"),
    "box turned round": (lambda: Prompt(0, 1, box=np.array([5, 0, 1, 3], np.float32)), "x1 < x2"),
    "box of nan": (lambda: Prompt(0, 1, box=np.full(4, np.nan, np.float32)), "x1 < x2"),
    "points without labels": (lambda: Prompt(0, 1, points=POINTS), "labels"),
    "one label for two points": (lambda: Prompt(0, 1, points=POINTS, labels=np.ones(1, bool)), "Prompt.labels"),
    "mask and points": (
        lambda: Prompt(0, 1, mask=MASK, points=POINTS, labels=np.ones(2, bool)),
        "got mask, points",
    ),
    "only points off the object": (lambda: Prompt(0, 1, points=POINTS, labels=np.zeros(2, bool)), "at least one point"),
    "detections: scores too many": (lambda: detections(scores=np.zeros(3, np.float32)), "boxes_xyxy"),
    "detections: name missing": (lambda: detections(class_names=("cat",)), "expected 2 names, got 1"),
    "detections: ids and a half": (lambda: detections(class_ids=[1.5, 2]), "class_ids"),
    "masks: ids descend": (lambda: object_masks(object_ids=np.array([5, 2])), "ascending"),
    "masks: id twice": (lambda: object_masks(object_ids=np.array([2, 2])), "ascending"),
    "masks: id 0": (lambda: object_masks(object_ids=np.array([0, 2])), ">= 1"),
    "masks: one mask missing": (lambda: object_masks(rles=(masks.encode(MASK),)), "rles: expected 2 entries, got 1"),
    "masks: one class score": (lambda: object_masks(class_scores=[0.5]), "class_scores"),
    "masks: unknown state": (lambda: object_masks(states=("tracked", "asleep")), "asleep"),
    "scene: pose while lost": (lambda: scene(tracking="lost"), "none when it is lost"),
    "scene: ok without pose": (lambda: scene(world_from_camera=None), "expected a pose"),
    "scene: pose of 3x4": (lambda: scene(world_from_camera=np.eye(4)[:3]), "world_from_camera"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_records_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_good_records_stand() -> None:
    assert frame(depth_m=np.zeros((4, 6), np.float32), intrinsics=np.eye(3)).size == (4, 6)
    assert len(detections()) == len(object_masks()) == 2
    assert scene(world_from_camera=None, tracking="lost").world_from_camera is None
    assert Prompt(3, 1, points=POINTS, labels=np.array([True, False])).label is None


def test_records_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame().index = 3


def test_an_envelope_takes_over_its_frame() -> None:
    prompts, removals = (Prompt(7, 1, mask=MASK),), (Removal(7, 2),)
    result = StepResult.of(frame(index=7, time_s=0.28), prompts, removals)
    assert (result.stream_id, result.frame_index, result.time_s, result.size) == ("s", 7, 0.28, (4, 6))
    assert (result.prompts, result.removals, result.events) == (prompts, removals, ())
    assert result.masks is result.detections is result.scene is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"choice": 3}, "expected 0 to 2"),
        ({"choice": -1}, "expected 0 to 2"),
        ({"choice": 1, "points": [[1, 2], [3, 4]], "labels": [True, True]}, "only a single click has"),
        ({"choice": 1, "box": [0, 0, 9, 9]}, "only a single click has"),
    ],
)
def test_only_a_single_click_leaves_a_choice(fields, message):
    click = {"points": [[1, 2]], "labels": [True]}
    assert Prompt(0, 1, **click, choice=2).choice == 2
    with pytest.raises(InputError, match=message):
        Prompt(0, 1, **(click | fields))
