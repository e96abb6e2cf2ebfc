"""Which detection is which object, on boxes made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.segmentation.matching import (
    Known,
    MatchingRules,
    associate,
    box_window,
    contained,
    grown,
    match_fragments,
    same_group,
    shared,
)
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


def known(
    visible: tuple[float, float, float, float] | None,
    name: str = "dog",
    foreseen: tuple[float, float, float, float] | None = None,
    carried: tuple[float, float, float, float] | None = None,
    shown: np.ndarray | None = None,
    hidden_s: float = 0.0,
) -> Known:
    """An object at rest, all of it seen, where nothing else is said; it is hidden where it has no visible box."""
    box = np.array(visible or (0, 0, 0, 0), np.float32)
    return Known(
        1,
        name,
        np.zeros(SIZE, bool) if shown is None else shown,
        box,
        box if carried is None else np.array(carried, np.float32),
        box if foreseen is None else np.array(foreseen, np.float32),
        hidden_s,
    )


def paired(found: Detections, *objects: Known, looks: dict[tuple[int, int], float] | None = None) -> dict[int, int]:
    rules = MatchingRules(min_iou=0.3, hidden_cost=0.1)
    return associate(found, objects, 0.5, rules, lambda row, column: (looks or {}).get((row, column), 0.8))


def test_each_detection_goes_to_its_object() -> None:
    found = detections(("dog", 0.9, (100, 0, 140, 40)), ("dog", 0.9, (0, 0, 40, 40)), ("dog", 0.9, (60, 60, 90, 90)))
    assert paired(found, known((2, 2, 42, 42)), known((98, 0, 138, 40))) == {0: 1, 1: 0}


def test_the_total_overlap_decides_not_the_first_come() -> None:
    """Greedily, detection 0 would take object 0 and leave detection 1 with nothing."""
    found = detections(("dog", 0.9, (0, 0, 100, 10)), ("dog", 0.9, (40, 0, 140, 10)))
    assert paired(found, known((10, 0, 110, 10)), known((0, 0, 60, 10))) == {0: 1, 1: 0}


@pytest.mark.parametrize(
    ("name", "believed", "pairs"),
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
def test_class_counts_where_the_overlap_is_middling(name: str, believed: str, pairs: dict[int, int]) -> None:
    found = detections((name, 0.9, (0, 0, 30, 30)))
    assert paired(found, known((0, 0, 30, 58), believed)) == pairs  # IoU 0.52


def test_the_same_group_wins_over_a_slightly_better_overlap() -> None:
    found = detections(("car", 0.9, (0, 0, 100, 100)))
    near, far = (0, 0, 100, 90), (0, 0, 100, 80)
    assert paired(found, known(near, "person"), known(far, "truck")) == {0: 1}
    assert paired(found, known(near, "truck"), known(far, "truck")) == {0: 0}


def test_too_little_overlap_is_no_match() -> None:
    found = detections(("dog", 0.9, (0, 0, 30, 30)))
    assert paired(found, known((0, 22, 30, 52))) == {}
    assert paired(found, known(None, hidden_s=0.2)) == {}  # nobody knows where it may be


def test_nothing_to_match() -> None:
    assert paired(detections(), known((0, 0, 1, 1))) == {}
    assert paired(detections(("dog", 0.9, (0, 0, 9, 9)))) == {}


def test_an_object_is_where_its_mask_or_its_motion_says() -> None:
    """Of a man behind a car the mask shows the head; another's mask has slid off him, who walks on."""
    found = detections(("person", 0.9, (0, 0, 40, 100)), ("person", 0.9, (100, 0, 140, 100)))
    head = known((10, 0, 30, 20), "person", foreseen=(5, 0, 45, 100), carried=(2, 0, 42, 100))
    slid = known((160, 50, 200, 100), "person", foreseen=(104, 0, 144, 100))
    assert paired(found, head, slid) == {0: 0, 1: 1}


def test_two_who_cross_are_told_apart_by_mask_and_motion_together() -> None:
    found = detections(("person", 0.9, (0, 0, 40, 100)), ("person", 0.9, (20, 0, 60, 100)))
    goes_left = known((0, 0, 38, 100), "person", foreseen=(6, 0, 46, 100))
    goes_right = known((22, 0, 60, 100), "person", foreseen=(14, 0, 54, 100))
    assert paired(found, goes_right, goes_left) == {0: 1, 1: 0}


def test_the_doubtful_only_confirm_what_is_seen_and_has_no_sure_one() -> None:
    weak, sure = ("dog", 0.4, (0, 0, 40, 40)), ("dog", 0.9, (6, 0, 46, 40))
    assert paired(detections(weak), known((0, 0, 40, 40))) == {0: 0}
    assert paired(detections(weak, sure), known((0, 0, 40, 40))) == {1: 0}  # the worse fit, but sure
    assert paired(detections(weak), known(None, foreseen=(0, 0, 40, 40), hidden_s=0.3)) == {}


def test_a_sure_one_finds_the_hidden_where_it_is_expected_but_one_that_is_seen_comes_first() -> None:
    found = detections(("dog", 0.9, (0, 0, 40, 40)))
    hidden, seen = known(None, foreseen=(0, 0, 40, 44), hidden_s=0.3), known((0, 0, 40, 46))
    assert paired(found, hidden) == {0: 0}
    assert paired(found, hidden, seen) == {0: 1}


def test_looks_decide_between_two_who_may_be_a_detection() -> None:
    """One passes in front of the other: the one behind is expected where the one in front is seen."""
    found = detections(("person", 0.9, (0, 0, 40, 100)))
    behind, front = known((0, 0, 40, 96), "person"), known((8, 0, 48, 100), "person")
    assert paired(found, behind, front) == {0: 0}
    assert paired(found, behind, front, looks={(0, 0): 0.5, (0, 1): 0.9}) == {0: 1}
    assert paired(found, behind, looks={(0, 0): 0.1}) == {0: 0}  # nobody else may be it


def test_a_fragment_inside_goes_to_the_whole() -> None:
    found = detections(("dog", 0.9, (20, 20, 120, 90)))
    leg, nose, outside = mask(70, 30, 88, 50), mask(30, 25, 36, 35), mask(0, 130, 90, 190)
    three = fragments(nose, leg, outside)
    assert match_fragments(found, three, {}, SIZE, 0.7) == {0: 1}  # the larger one
    assert match_fragments(found, fragments(nose, leg, outside, names=("dog", "car", "dog")), {}, SIZE, 0.7) == {0: 0}
    assert match_fragments(found, three, {0: 2}, SIZE, 0.7) == {}  # has its object
    assert match_fragments(found, fragments(mask(70, 100, 88, 140)), {}, SIZE, 0.7) == {}  # half outside
    assert match_fragments(found, fragments(mask(0, 0, 0, 0)), {}, SIZE, 0.7) == {}


def test_a_fragment_goes_to_one_detection_alone() -> None:
    found = detections(("dog", 0.9, (20, 20, 120, 90)), ("dog", 0.8, (22, 22, 118, 88)))
    (leg,) = fragments(mask(70, 30, 88, 50))
    assert match_fragments(found, [leg], {}, SIZE, 0.7) == {0: 0}
    taken = detections(("dog", 0.9, (0, 0, 9, 9)), ("dog", 0.8, (22, 22, 118, 88)))
    assert match_fragments(taken, [leg], {0: 0}, SIZE, 0.7) == {}


def fragments(*shown: np.ndarray, names: tuple[str, ...] = ()) -> list[Known]:
    return [known(None, name, shown=one) for one, name in zip(shown, names or ["dog"] * len(shown), strict=True)]


def test_what_two_boxes_share_is_measured_by_the_smaller() -> None:
    one, other = boxes((0, 0, 100, 100), (90, 0, 110, 100))
    assert shared(one, other) == pytest.approx(0.5) == shared(other, one)
    assert shared(one, boxes((200, 0, 210, 10))[0]) == 0.0 == shared(one, boxes((5, 5, 5, 5))[0])


def test_a_grown_box() -> None:
    assert grown(boxes((10, 20, 30, 60))[0], 0.25).tolist() == [5, 10, 35, 70]


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
