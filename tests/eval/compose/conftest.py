"""A made-up sequence of which every fact is known: 10 frames a second, 60 s, 640x480.

object 1  brown dog      5.0 - 20.0 from left to right, leaves; back 30.0 - 35.0 on the left, leaves at once
object 2  blue person    2.0 - 59.9, on the right; hidden by the bus 44.0 - 44.5 (too short to count)
object 3  red car       10.0 - 25.0 on the left
object 4  white car     15.0 - 40.0 in the middle; hidden 28.0 - 33.0
object 5  yellow bus    42.0 - 50.0, on the right
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

from eval.datasets.composed import FrameTruth, ObjectInfo, ObjectSeen, SequenceTruth

SIZE = (640, 480)
FPS = 10
OBJECTS = (
    ObjectInfo(1, "dog", "brown"),
    ObjectInfo(2, "person", "blue"),
    ObjectInfo(3, "car", "red"),
    ObjectInfo(4, "car", "white", twin_of=3),
    ObjectInfo(5, "bus", "yellow"),
)


def at(time_s: float) -> tuple[ObjectSeen, ...]:
    here = []
    if 5 <= time_s <= 20:
        here.append(seen(1, 10 + (time_s - 5) / 15 * 520))
    if 30 <= time_s <= 35:
        here.append(seen(1, 40))
    if time_s >= 2:
        here.append(seen(2, 480, share=0.0 if 44 <= time_s < 44.5 else 1.0))
    if 10 <= time_s <= 25:
        here.append(seen(3, 40))
    if 15 <= time_s <= 40:
        here.append(seen(4, 270, share=0.1 if 28 < time_s < 33 else 1.0))
    if 42 <= time_s <= 50:
        here.append(seen(5, 460))
    return tuple(here)


def seen(object_id: int, left: float, side: int = 100, share: float = 1.0) -> ObjectSeen:
    full = side * side
    box = (round(left), 200, round(left) + side, 200 + side) if share else None
    return ObjectSeen(object_id, round(share * full), full, box)


def sequence(
    objects: tuple[ObjectInfo, ...], frame_at: Callable[[float], tuple[ObjectSeen, ...]], num_frames: int = 600
) -> SequenceTruth:
    frames = tuple(FrameTruth(i, i / FPS, None, 0, frame_at(i / FPS)) for i in range(num_frames))
    return SequenceTruth("made-up", Fraction(FPS), num_frames, SIZE, 0, "short", objects, frames)


@pytest.fixture(scope="session")
def truth() -> SequenceTruth:
    """The whole of it."""
    return sequence(OBJECTS, at)


@pytest.fixture(scope="session")
def make_truth() -> Callable[..., SequenceTruth]:
    """Build another one: `make_truth(objects, frame_at, num_frames)`."""
    return sequence


@pytest.fixture(scope="session")
def make_seen() -> Callable[..., ObjectSeen]:
    """One object in one frame: `make_seen(object_id, left, side, share)`."""
    return seen
