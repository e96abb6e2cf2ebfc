"""Results that are a pure function of the frame index, so that two runs can be compared byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from streamvos.masks import encode, tight_box
from streamvos.records import Detections, Frame, MemoryEvent, ObjectMasks, SceneEstimate, StepResult
from streamvos.video.info import SourceInfo

HEIGHT, WIDTH = 48, 64


def make_masks(index: int, size: tuple[int, int], ids: tuple[int, ...] = (1, 2, 3)) -> ObjectMasks:
    """The first object moves right and is seen, the second is occluded at times, the others are lost."""
    pictures = [np.zeros(size, bool) for _ in ids]
    pictures[0][5:15, 2 + index % 30 : 12 + index % 30] = True
    states = ["tracked", "occluded" if index % 10 >= 5 else "tracked"] + ["lost"] * (len(ids) - 2)
    if len(ids) > 1 and states[1] == "tracked":
        pictures[1][20:40, 30:50] = True
    return ObjectMasks(
        size,
        np.array(ids, np.int64),
        tuple(encode(picture) for picture in pictures),
        np.array([tight_box(picture) for picture in pictures], np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.1, len(ids)).astype(np.float32),
        tuple(states[: len(ids)]),
        ("dog", "naïve cat", "")[: len(ids)] + ("",) * max(0, len(ids) - 3),
    )


def make_detections() -> Detections:
    boxes = np.array([[2, 5, 12, 15], [50, 2, 70, 30]], np.float32)
    scores = np.array([0.8, 0.5], np.float32)
    return Detections(boxes, scores, np.array([18, 3]), ("dog", "car"), np.array([1, -1]))


def make_step(index: int, size: tuple[int, int] = (HEIGHT, WIDTH), time_s: float | None = None):
    """The frame and the result of one index."""
    time_s = index * 0.04 if time_s is None else time_s
    image = np.full((*size, 3), 20 + 4 * (index % 50), np.uint8)
    pose = np.eye(4)
    pose[0, 3] = index / 10
    lost = index % 7 == 6
    scene = SceneEstimate(
        index // 12, None if lost else pose, np.eye(3), "relative", "lost" if lost else "ok", num_static=index
    )
    why, numbers = "kept a view of object 1: it shows something new", {"novelty": 0.123456789}
    events = (MemoryEvent("keyframes", "write", index, "object 1, slot 2", why, 100 + index, numbers),)
    result = StepResult(
        "s",
        index,
        time_s,
        size,
        shot_index=index // 12,
        is_cut=index > 0 and index % 12 == 0,
        detections=make_detections() if index % 3 == 0 else None,
        masks=make_masks(index, size),
        scene=scene,
        events=events,
        timings_s={"detect": 0.01, "segment": 0.1},
    )
    return Frame("s", index, time_s, image), result


@pytest.fixture
def step() -> Callable[..., tuple[Frame, StepResult]]:
    return make_step


@pytest.fixture
def masks_at() -> Callable[..., ObjectMasks]:
    return make_masks


@pytest.fixture
def info() -> SourceInfo:
    """A constant 25 frames a second."""
    rate = Fraction(25)
    return SourceInfo("clip", "video", "clip.mp4", WIDTH, HEIGHT, rate, 40, 1.6, False, Fraction(1, 12800))
