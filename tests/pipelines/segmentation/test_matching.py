"""Which detection is which object, on boxes made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.segmentation.matching import box_window, contained, match, match_fragments, same_group
from streamvos.boxes import box_iou, boxes_around, keep_apart
from streamvos.records import Detections

SIZE = (100, 200)


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


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def mask(top: int, left: int, bottom: int, right: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    made = np.zeros(size, bool)
    made[top:bottom, left:right] = True
    return made


def test_each_detection_goes_to_its_object() -> None:
    found = detections(("dog", 0.9, (100, 0, 140, 40)), ("dog", 0.9, (0, 0, 40, 40)), ("dog", 0.9, (60, 60, 90, 90)))
    assert match(found, boxes((2, 2, 42, 42), (98, 0, 138, 40)), ["dog", "dog"], 0.3) == {0: 1, 1: 0}


def test_the_total_overlap_decides_not_the_first_come() -> None:
    """Greedily, detection 0 would take object 0 and leave detection 1 with nothing."""
    found = detections(("dog", 0.9, (0, 0, 100, 10)), ("dog", 0.9, (40, 0, 140, 10)))
    assert match(found, boxes((10, 0, 110, 10), (0, 0, 60, 10)), ["dog", "dog"], 0.3) == {0: 1, 1: 0}


@pytest.mark.parametrize(
    ("name", "known", "pairs"),
    [
        ("dog", "dog", {0: 0}),
        ("dog", "", {0: 0}),
        ("dog", "cat", {0: 0}),
        ("truck", "car", {0: 0}),
        ("dog", "car", {}),
        ("dog", "Rex", {}),
    ],
    ids=["same", "unknown", "same group of animals", "same group of vehicles", "another group", "a user's name"],
)
def test_class_counts_where_the_overlap_is_middling(name: str, known: str, pairs: dict[int, int]) -> None:
    found = detections((name, 0.9, (0, 0, 30, 30)))
    assert match(found, boxes((0, 0, 30, 58)), [known], 0.3) == pairs  # IoU 0.52


def test_the_same_group_wins_over_a_slightly_better_overlap() -> None:
    found = detections(("car", 0.9, (0, 0, 100, 100)))
    places = boxes((0, 0, 100, 90), (0, 0, 100, 80))
    assert match(found, places, ["person", "truck"], 0.3) == {0: 1}
    assert match(found, places, ["truck", "truck"], 0.3) == {0: 0}


def test_too_little_overlap_is_no_match() -> None:
    found = detections(("dog", 0.9, (0, 0, 30, 30)))
    assert match(found, boxes((0, 22, 30, 52)), ["dog"], 0.3) == {}
    assert match(found, boxes((0, 0, 0, 0)), ["dog"], 0.3) == {}  # a hidden object has no box


def test_nothing_to_match() -> None:
    assert match(detections(), boxes((0, 0, 1, 1)), ["dog"], 0.3) == {}
    assert match(detections(("dog", 0.9, (0, 0, 9, 9))), boxes(), [], 0.3) == {}


def test_a_fragment_inside_goes_to_the_whole() -> None:
    found = detections(("dog", 0.9, (20, 20, 120, 90)))
    leg, nose, outside = mask(70, 30, 88, 50), mask(30, 25, 36, 35), mask(0, 130, 90, 190)
    three = ["dog", "dog", "dog"]
    assert match_fragments(found, [nose, leg, outside], three, {}, SIZE, 0.7) == {0: 1}  # the larger one
    assert match_fragments(found, [nose, leg, outside], ["dog", "car", "dog"], {}, SIZE, 0.7) == {0: 0}
    assert match_fragments(found, [nose, leg, outside], three, {0: 2}, SIZE, 0.7) == {}  # has its object
    assert match_fragments(found, [mask(70, 100, 88, 140)], ["dog"], {}, SIZE, 0.7) == {}  # half outside
    assert match_fragments(found, [mask(0, 0, 0, 0)], ["dog"], {}, SIZE, 0.7) == {}


def test_a_fragment_goes_to_one_detection_alone() -> None:
    found = detections(("dog", 0.9, (20, 20, 120, 90)), ("dog", 0.8, (22, 22, 118, 88)))
    assert match_fragments(found, [mask(70, 30, 88, 50)], ["dog"], {}, SIZE, 0.7) == {0: 0}
    taken = detections(("dog", 0.9, (0, 0, 9, 9)), ("dog", 0.8, (22, 22, 118, 88)))
    assert match_fragments(taken, [mask(70, 30, 88, 50)], ["dog"], {0: 0}, SIZE, 0.7) == {}


def test_contained_is_the_share_inside() -> None:
    box = np.array([20, 20, 60, 60], np.float32)
    assert contained(box, mask(30, 30, 40, 40), SIZE) == 1.0
    assert contained(box, mask(30, 50, 40, 70), SIZE) == 0.5
    assert contained(box, mask(0, 0, 10, 10), SIZE) == 0.0
    assert contained(box, mask(0, 0, 0, 0), SIZE) == 0.0
    assert contained(box, mask(15, 12, 20, 28, (50, 100)), SIZE) == 1.0  # a mask of half the size


def test_box_window_scales_grows_and_stays_inside() -> None:
    box = np.array([20, 40, 60, 80], np.float32)
    assert box_window(box, (50, 100), SIZE, 0.0) == (slice(20, 40), slice(10, 30))
    assert box_window(box, (50, 100), SIZE, 0.1) == (slice(18, 42), slice(8, 32))
    rows, cols = box_window(np.array([-30, -30, 5, 5], np.float32), SIZE, SIZE, 0.0)
    assert (rows, cols) == (slice(0, 5), slice(0, 5))
    rows, cols = box_window(np.array([7, 7, 7, 7], np.float32), SIZE, SIZE, 0.0)
    assert np.zeros(SIZE)[rows, cols].size == 1  # never empty


def test_groups() -> None:
    assert same_group("car", "truck") and same_group("dog", "cat") and same_group("Rex", "Rex")
    assert not same_group("car", "dog") and not same_group("Rex", "Max") and not same_group("", "dog")


def test_iou_by_hand() -> None:
    one, other = boxes((0, 0, 10, 10), (5, 5, 5, 9)), boxes((5, 0, 15, 10), (0, 0, 10, 10), (90, 90, 99, 99))
    assert np.allclose(box_iou(one, other), [[1 / 3, 1, 0], [0, 0, 0]])


def test_boxes_around_points_smallest_first() -> None:
    boxes = np.array([[0, 0, 40, 40], [5, 5, 20, 20], [10, 10, 30, 30]], np.float32)
    around = lambda *points: boxes_around(np.array(points, np.float32), boxes).tolist()  # noqa: E731
    assert around((12, 12)) == [1, 2, 0]
    assert around((12, 12), (25, 25)) == [2, 0]
    assert around((19.5, 5)) == [1, 0] and around((20, 5)) == [0]
    assert around((50, 50)) == []
    assert boxes_around(np.array([[1, 1.0]]), np.zeros((0, 4))).tolist() == []


def test_keep_apart_keeps_the_best_of_a_heap() -> None:
    heap = boxes((0, 0, 10, 10), (1, 0, 11, 10), (30, 0, 40, 10), (2, 0, 12, 10))
    assert keep_apart(heap, 0.5).tolist() == [0, 2]
    assert keep_apart(heap, 1.0).tolist() == [0, 1, 2, 3]
