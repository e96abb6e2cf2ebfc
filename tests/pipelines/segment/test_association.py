"""Where detections and masks disagree."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamvos.records import Prompt


def test_two_sure_detections_in_one_mask_split_it(squares: Any) -> None:
    """Two who stand together were one detection at first."""
    image, truth = squares.draw({1: (30, 40), 2: (30, 64)})
    result = squares.step(0, image, detections=squares.found(("person", 0.9, truth[1] | truth[2])))
    assert result.masks.object_ids.tolist() == [1]
    result = squares.step(1, image, detections=squares.found(("person", 0.9, truth[1]), ("person", 0.8, truth[2])))
    assert result.masks.object_ids.tolist() == [1, 2]
    for object_id, square in zip(result.detections.object_ids.tolist(), (truth[1], truth[2]), strict=True):
        assert squares.iou(result, object_id, square) > 0.6


def test_a_detection_over_two_objects_is_no_third(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40), 2: (30, 64)})
    each = ("person", 0.9, truth[1]), ("person", 0.8, truth[2])
    squares.step(0, image, detections=squares.found(*each))
    for index in (1, 2):
        both = squares.found(*each, ("person", 0.95, truth[1] | truth[2]))
        result = squares.step(index, image, detections=both)
        assert result.masks.object_ids.tolist() == [1, 2] and result.detections.object_ids.tolist() == [1, 2, -1]


def test_what_was_hidden_for_a_moment_is_itself_where_the_detector_sees_it(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40)})
    for index in range(3):
        squares.step(index, image, detections=squares.found(("dog", 0.9, truth[1])))
    blank = squares.draw({})[0]
    for index in range(3, 6):
        result = squares.step(index, blank, detections=squares.found())
    assert squares.state_of(result, 1) == "occluded" and result.masks[0].whole_box_xyxy.any()
    result = squares.step(6, image, detections=squares.found(("dog", 0.6, truth[1])))  # too weak to start anything
    assert squares.state_of(result, 1) == "tracked" and result.detections.object_ids.tolist() == [1]
    assert squares.iou(result, 1, truth[1]) > 0.6
    assert any("at its place after 0." in event.reason for event in result.events)


def test_at_the_place_of_a_hidden_object_another_kind_is_another_object(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40)})
    squares.step(0, image, detections=squares.found(("dog", 0.9, truth[1])))
    squares.step(1, squares.draw({})[0], detections=squares.found())
    other, places = squares.draw({2: (30, 40)})
    result = squares.step(2, other, detections=squares.found(("car", 0.9, places[2])))
    assert result.masks.object_ids.tolist() == [1, 2]
    assert squares.state_of(result, 1) == "occluded" and squares.state_of(result, 2) == "tracked"


def test_a_mask_that_slid_onto_another_things_place_is_withdrawn(squares: Any) -> None:
    """The detector goes on seeing the person, and nothing of the dog in the person's middle."""
    image, truth = squares.draw({1: (30, 40)})
    squares.step(0, image, detections=squares.found(("dog", 0.9, truth[1])))
    around = np.zeros_like(truth[1])
    left, top, right, bottom = squares.box_of(truth[1], margin=8).astype(int)
    around[top:bottom, left:right] = True
    told = []
    for index in range(1, 9):
        person = (Prompt(index, 5, mask=around & ~truth[1], label="person"),)
        result = squares.step(index, image, prompts=person, detections=squares.found(("person", 0.9, around)))
        told += [event.reason for event in result.events if event.entry == "object 1"]
        assert result.masks.object_ids.tolist() == ([1, 5] if index < 6 else [5])
    assert any("lies inside object 5: that is a person" in reason for reason in told)


def test_the_whole_box_stays_where_a_mask_loses_a_part(squares: Any) -> None:
    """The detector knows how far a thing reaches that is half hidden."""
    image, truth = squares.draw({1: (30, 40)})
    whole = truth[1].copy()
    rows = np.flatnonzero(truth[1].any(axis=1))
    whole[rows[-1] : rows[-1] + 16, :] |= truth[1][rows[-1]][None]
    result = squares.step(0, image, detections=squares.found(("dog", 0.9, whole)))
    seen = result.masks[0]
    assert seen.whole_box_xyxy[3] > seen.box_xyxy[3] + 10
    for index in range(1, 4):
        seen = squares.step(index, image).masks[0]
        assert abs(seen.whole_box_xyxy[3] - (rows[-1] + 16)) < 5


def test_a_new_object_takes_nothing_from_one_that_the_detector_confirms(squares: Any) -> None:
    """A bicycle, seen under its rider: its box holds his legs."""
    image, truth = squares.draw({1: (20, 40), 2: (50, 50)})
    rider = ("person", 0.9, truth[1])
    squares.step(0, image, detections=squares.found(rider))
    result = squares.step(1, image, detections=squares.found(rider, ("bicycle", 0.9, truth[2])))
    assert result.masks.object_ids.tolist() == [1, 2] and result.masks.class_names == ("person", "bicycle")
    assert squares.iou(result, 1, truth[1]) > 0.7
