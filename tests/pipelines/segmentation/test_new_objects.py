"""Which new detections are confirmed, and who is recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memory_bank.appearance import RetiredObjects
from pipelines.scores import ScoreThresholds
from pipelines.segmentation import new_objects
from pipelines.segmentation.matching import MatchingRules
from pipelines.segmentation.new_objects import NewObjects, Taken
from streamvos.records import Detections
from streamvos.snapshot import load_snapshot, save_snapshot

SIZE = (100, 200)
RULES = MatchingRules(
    confirm_iou=0.3,
    max_covered=0.6,
    max_double_iou=0.45,
    min_similarity=0.8,
    min_leading_similarity=0.6,
    min_lead=0.1,
    min_similarity_across_cuts=0.9,
)
BOX = (20, 20, 60, 60)


def detections(*items: tuple[str, float, tuple[float, float, float, float]]) -> Detections:
    names, scores, boxes = zip(*items, strict=True) if items else ((), (), ())
    count = len(items)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.array(scores, np.float32),
        np.ones(count, np.int64),
        tuple(names),
        np.full(count, -1, np.int64),
    )


def build(retired: RetiredObjects | None = None) -> NewObjects:
    scores = ScoreThresholds(start=0.5, start_at_once=0.8)
    return NewObjects(scores, 0.01, retired or RetiredObjects(2**20), RULES)


def confirm(door: NewObjects, *items: Any, ids: list[int] | None = None, current: Any = ()) -> list[int]:
    found = detections(*items)
    taken = [one if isinstance(one, Taken) else Taken(*one, None) for one in current]
    return door.confirm(SIZE, found, found.object_ids if ids is None else np.array(ids), taken)


def look(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


def mask(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    made = np.zeros(SIZE, bool)
    made[top:bottom, left:right] = True
    return made


def test_a_sure_one_is_confirmed_at_once_a_weaker_one_when_seen_twice() -> None:
    door = build()
    assert confirm(door, ("dog", 0.8, BOX)) == [0]
    assert confirm(door, ("dog", 0.7, BOX)) == []
    assert confirm(door, ("dog", 0.7, (25, 20, 65, 60))) == [0]


@pytest.mark.parametrize(
    ("second", "confirmed"),
    [
        ([("cat", 0.6, BOX)], [0]),
        ([("car", 0.6, BOX)], []),
        ([("dog", 0.6, (45, 20, 85, 60))], [0]),
        ([("dog", 0.6, (55, 20, 95, 60))], []),
        ([("dog", 0.31, BOX)], [0]),
        ([("dog", 0.29, BOX)], []),
        ([("car", 0.6, (90, 20, 130, 60)), ("dog", 0.6, BOX)], [1]),
    ],
    ids=[
        "another class of its group",
        "another group",
        "a step away",
        "elsewhere",
        "just enough",
        "too weak",
        "two of which one was there",
    ],
)
def test_the_second_sighting_must_fit_the_first(second: list[Any], confirmed: list[int]) -> None:
    door = build()
    assert confirm(door, ("dog", 0.7, BOX)) == []
    assert confirm(door, *second) == confirmed


def test_sightings_must_follow_each_other_within_one_shot() -> None:
    door = build()
    confirm(door, ("dog", 0.7, BOX))
    assert confirm(door) == []  # not seen in between
    assert confirm(door, ("dog", 0.7, BOX)) == [0]
    door = build()
    confirm(door, ("dog", 0.7, BOX))
    assert confirm(door) == confirm(door) == []
    assert confirm(door, ("dog", 0.7, BOX)) == []
    door.start_shot()
    assert confirm(door, ("dog", 0.7, BOX)) == []
    assert confirm(door, ("dog", 0.7, BOX)) == [0]


def test_two_sightings_must_be_sure_enough_together() -> None:
    door = build()
    assert confirm(door, ("dog", 0.45, BOX)) == []
    assert confirm(door, ("dog", 0.45, BOX)) == []
    assert confirm(door, ("dog", 0.56, BOX)) == [0]


def test_the_best_come_first() -> None:
    door = build()
    others = [(100, 20, 140, 60), (150, 20, 190, 60)]
    found = [("dog", 0.81, BOX), ("dog", 0.95, others[0]), ("cat", 0.9, others[1])]
    assert confirm(door, *found) == [1, 2, 0]


@pytest.mark.parametrize(("box", "score"), [((20, 20, 33, 35), 0.9), (BOX, 0.49)], ids=["too small", "too weak"])
def test_no_thing_at_all(box: tuple[float, float, float, float], score: float) -> None:
    door = build()
    assert confirm(door, ("dog", score, box)) == confirm(door, ("dog", score, box)) == []


def test_known_objects_are_nothing_new() -> None:
    door = build()
    assert confirm(door, ("dog", 0.9, BOX), ids=[4]) == []


@pytest.mark.parametrize(
    ("name", "area", "confirmed"),
    [
        ("dog", (20, 20, 46, 60), []),
        ("cat", (20, 20, 46, 60), []),
        ("", (20, 20, 46, 60), []),
        ("car", (20, 20, 46, 60), [0]),
        ("dog", (20, 20, 43, 60), [0]),
    ],
    ids=["by its class", "by its group", "by something unknown", "by another group", "by little"],
)
def test_what_a_mask_covers_is_nothing_new(name: str, area: tuple[int, int, int, int], confirmed: list[int]) -> None:
    assert confirm(build(), ("dog", 0.9, BOX), current=[(name, mask(*area))]) == confirmed


@pytest.mark.parametrize(
    ("other", "ids", "confirmed"),
    [
        (("dog", 0.95, (24, 20, 64, 60)), [5, -1], []),
        (("dog", 0.95, (24, 20, 64, 60)), [-1, -1], [0]),
        (("cat", 0.95, (24, 20, 64, 60)), [5, -1], [1]),
        (("dog", 0.95, (45, 20, 85, 60)), [5, -1], [1]),
    ],
    ids=["of a known thing", "of a new thing", "of another class", "beside it"],
)
def test_a_second_look_is_nothing_new(other: Any, ids: list[int], confirmed: list[int]) -> None:
    assert confirm(build(), other, ("dog", 0.9, BOX), ids=ids) == confirmed


def dogs(**degrees: float) -> dict[int, tuple[str, np.ndarray]]:
    return {int(name[1:]): ("dog", look(angle)[None]) for name, angle in degrees.items()}


def test_the_most_convincing_is_recognised() -> None:
    door = build()
    lost = {3: ("dog", np.stack([look(80), look(30)])), 4: ("dog", np.stack([look(20)])), 5: ("car", look(0)[None])}
    object_id, reason = door.recognise(look(0), "dog", lost, {})
    assert object_id == 4 and reason == "it returned, similarity 0.94 >= 0.80"
    assert door.recognise(look(60), "cat", lost, {})[0] == 3  # of its group, by its best view
    assert door.recognise(look(-40), "dog", lost, {}) == (None, "a new object")  # 0.50
    assert door.recognise(look(0), "person", lost, {})[0] is None
    assert door.recognise(look(0), "dog", {3: ("dog", np.zeros((0, 2), np.float32))}, {})[0] is None


def test_less_similarity_is_enough_where_no_other_is_near() -> None:
    door = build()
    found, reason = door.recognise(look(0), "dog", dogs(_3=45), {})  # 0.71
    assert found == 3 and "no other of its kind" in reason
    assert door.recognise(look(0), "dog", dogs(_3=55), {})[0] is None  # 0.57
    assert door.recognise(look(0), "dog", dogs(_3=45, _4=50), {})[0] is None  # 0.64
    assert door.recognise(look(0), "dog", dogs(_3=45, _4=60), {})[0] == 3  # 0.50
    assert door.recognise(look(0), "dog", dogs(_3=45), dogs(_9=50))[0] is None  # nor one that is there
    assert door.recognise(look(0), "dog", dogs(_3=45), {9: ("car", look(50)[None])})[0] == 3
    assert door.recognise(look(0), "dog", {}, dogs(_9=10))[0] is None  # what is there cannot return
    assert door.recognise(look(0), "dog", dogs(_3=30), dogs(_9=10))[0] == 3  # 0.87 is enough in any case


def test_across_cuts_more_similarity_is_asked_for() -> None:
    retired = RetiredObjects(2**20)
    door = build(retired)
    retired.write(0, 7, "dog", look(0)[None])
    assert door.recognise(look(45), "dog", {}, {})[0] == 7  # still the same shot
    retired.start_shot()
    assert door.recognise(look(30), "dog", {}, {})[0] is None  # 0.87
    assert door.recognise(look(20), "dog", {}, {}) == (7, "it returned, similarity 0.94 >= 0.90")
    assert door.recognise(look(0), "dog", dogs(_3=28), {})[0] == 7
    assert door.recognise(look(22), "dog", dogs(_3=28), {})[0] == 3
    retired.remove(7)
    assert door.recognise(look(0), "dog", {}, {})[0] is None


def test_what_was_declined_is_left_out_for_a_while() -> None:
    door = build()
    door.decline("dog", np.array(BOX, np.float32))
    near, far = (22, 20, 62, 60), (120, 20, 160, 60)
    for _ in range(new_objects._DECLINED_RUNS - 1):
        assert confirm(door, ("dog", 0.9, near), ("dog", 0.9, far), ("car", 0.9, near)) == [1, 2]
    assert confirm(door, ("dog", 0.9, near)) == [0]
    door.decline("dog", np.array(BOX, np.float32))
    door.start_shot()
    assert confirm(door, ("dog", 0.9, near)) == [0]


def test_restored_it_remembers_who_waits_and_what_was_declined(tmp_path: Path) -> None:
    door, other = build(), build()
    confirm(door, ("dog", 0.7, BOX))
    door.decline("cat", np.array(BOX, np.float32))
    save_snapshot(tmp_path / "s.npz", door.state_dict())
    other.load_state_dict(load_snapshot(tmp_path / "s.npz"))
    assert confirm(other, ("dog", 0.7, BOX), ("cat", 0.9, BOX)) == [0]
