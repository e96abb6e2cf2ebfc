"""Objects that detections start, confirm, end and bring back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipelines.segmentation.track_state import TrackRules
from streamvos.records import Prompt


def test_discovered_objects_keep_their_ids(squares: Any) -> None:
    for index in range(12):
        image, truth = squares.two(index)
        looks = index % 3 == 0
        seen = squares.found(("car", 0.9, truth[2]), ("dog", 0.95, truth[1])) if looks else None
        result = squares.step(index, image, detections=seen)
        assert result.masks.object_ids.tolist() == [1, 2]
        assert result.masks.class_names == ("dog", "car")  # the better one came first
        assert squares.iou(result, 1, truth[1]) > 0.55 and squares.iou(result, 2, truth[2]) > 0.55
        assert result.detections is None if not looks else result.detections.object_ids.tolist() == [2, 1]


def test_a_weak_detection_is_believed_when_seen_twice(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40)})
    result = squares.step(0, image, detections=squares.found(("dog", 0.6, truth[1])))
    assert len(result.masks) == 0 and result.detections.object_ids.tolist() == [-1]
    result = squares.step(1, image, detections=squares.found(("dog", 0.6, truth[1])))
    assert result.masks.object_ids.tolist() == [1] and result.detections.object_ids.tolist() == [1]
    (event,) = [event for event in result.events if "new object" in event.reason]
    assert event.entry == "object 1" and event.reason.startswith("the detector sees a dog (0.60)")


def test_without_discovery_detections_start_nothing_and_confirm(make_squares: Callable[..., Any]) -> None:
    squares = make_squares(discover=False)
    image, truth = squares.draw({1: (8, 10), 2: (64, 110)})
    seen = squares.found(("dog", 0.9, truth[1]), ("car", 0.9, truth[2]))
    result = squares.step(0, image, prompts=(Prompt(0, 3, mask=truth[1]),), detections=seen)
    assert result.masks.object_ids.tolist() == [3] and result.masks.class_names == ("dog",)
    assert result.detections.object_ids.tolist() == [3, -1]


def test_what_the_detector_stops_confirming_is_given_up(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40)})
    states = []
    for index in range(20):
        seen = squares.found(("dog", 0.9, truth[1])) if index == 0 else squares.found()
        states.append(squares.state_of(squares.step(index, image, detections=seen), 1))
    limit = round(10 * TrackRules().min_unconfirmed_s)
    assert set(states[: limit + 1]) == {"tracked"} and set(states[limit + 1 :]) == {"lost"}


def test_a_cut_ends_discovered_objects_and_may_recognise_them(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 20)})
    for index in range(4):
        squares.step(index, image, detections=squares.found(("dog", 0.9, truth[1])))
    result = squares.step(4, squares.draw({}, background=102)[0], is_cut=True)
    assert len(result.masks) == 0
    assert squares.stage.stats()["keyframes"].entries == 0  # its views went from the key frames to the retired
    other, places = squares.draw({2: (40, 90)}, background=103)
    result = squares.step(5, other, is_cut=True, detections=squares.found(("car", 0.9, places[2])))
    assert result.masks.object_ids.tolist() == [2]  # something else is someone new
    result = squares.step(6, image, is_cut=True, detections=squares.found(("dog", 0.9, truth[1])))
    assert result.masks.object_ids.tolist() == [1]
    assert any(event.entry == "object 1" and "returned, similarity" in event.reason for event in result.events)


def test_long_lost_discovered_objects_are_retired(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 20)})
    squares.step(0, image, detections=squares.found(("dog", 0.9, truth[1])))
    blank = squares.draw({})[0]
    counts = [len(squares.step(index, blank, detections=squares.found()).masks) for index in range(1, 60)]
    assert counts == [1] * 50 + [0] * 9  # seen last at 0.0 s, retired after 5.0 s
    assert squares.stage.tracker.state_bytes() == 0


def test_a_user_may_take_the_id_of_one_that_left(make_squares: Callable[..., Any]) -> None:
    """From then on the id is the user's object, and never given to what looks like the one that had it."""
    squares = make_squares(base="embedded")
    image, truth = squares.draw({1: (30, 20)})
    for index in range(4):
        squares.step(index, image, detections=squares.found(("dog", 0.9, truth[1])))
    other, places = squares.draw({2: (40, 90)})
    result = squares.step(4, other, is_cut=True, prompts=(Prompt(4, 1, mask=places[2]),))
    assert result.masks.object_ids.tolist() == [1]
    both, places = squares.draw({1: (30, 20), 2: (40, 90)})
    result = squares.step(5, both, detections=squares.found(("dog", 0.9, places[1])))
    assert squares.iou(result, 1, places[2]) > 0.6
    assert result.masks.object_ids.tolist() == [1, 2] and result.detections.object_ids.tolist() == [2]
