"""Who an object is, in the segment stage: what has slid is hidden, what returns is recognised, among twins too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamvos import masks
from streamvos.snapshot import load_snapshot, save_snapshot

BOTH = {1: (30, 10), 2: (60, 100)}


def shown(squares: Any, num: int, start: int, places: dict[int, tuple[int, int]], **given: Any) -> Any:
    """The last of `num` frames with squares at these places."""
    for index in range(start, start + num):
        result = squares.step(index, squares.draw(places)[0], **(given if index == start else {}))
    return result


def test_a_lost_object_is_recognised_elsewhere_beside_another_one(squares: Any) -> None:
    truth = squares.draw(BOTH)[1]
    shown(squares, 8, 0, BOTH, prompts=squares.given(0, truth))
    result = shown(squares, 24, 8, {2: BOTH[2]})
    assert squares.state_of(result, 1) == "lost" and squares.iou(result, 2, truth[2]) > 0.6
    places = {1: (70, 20), 2: BOTH[2]}
    truth, told = squares.draw(places)[1], []
    for index in range(32, 40):
        result = squares.step(index, squares.draw(places)[0])
        told += [event.reason for event in result.events if (event.bank, event.action) == ("objects", "merge")]
    assert squares.iou(result, 1, truth[1]) > 0.5 and squares.iou(result, 2, truth[2]) > 0.6
    assert len(told) == 1 and told[0].startswith("returned: "), told


def test_another_object_in_its_place_is_not_taken_for_it(squares: Any) -> None:
    truth = squares.draw(BOTH)[1]
    shown(squares, 8, 0, BOTH, prompts=squares.given(0, truth))
    for index in range(8, 40):  # the second one moves to where the first one was
        result = squares.step(index, squares.draw({2: (30, max(10, 100 - 6 * (index - 8)))})[0])
    assert squares.state_of(result, 1) == "lost" and squares.state_of(result, 2) == "tracked"


def test_a_mask_that_is_put_on_something_else_is_hidden_and_says_why(squares: Any) -> None:
    truth = squares.draw(BOTH)[1]
    shown(squares, 8, 0, BOTH, prompts=squares.given(0, truth))
    told: list[str] = []
    for index in range(8, 14):
        frame_of_other = squares.draw({2: BOTH[1]})[0]  # in one frame, the other square is where the first one was
        result = squares.step(index, frame_of_other)
        told += [event.reason for event in result.events if event.entry == "object 1"]
    assert squares.state_of(result, 1) != "tracked", told
    assert any("is occluded: " in reason or "is lost: " in reason for reason in told)


def test_both_parts_of_a_split_object_are_kept(squares: Any) -> None:
    truth = squares.draw({1: (30, 40)})[1]
    shown(squares, 5, 0, {1: (30, 40)}, prompts=squares.given(0, truth))
    image = squares.draw({1: (30, 40)})[0].copy()
    background = squares.draw({})[0]
    image[:, 57:63] = background[:, 57:63]  # a post before it, wider than an island may be apart
    for index in range(5, 9):
        result = squares.step(index, image)
    mask = masks.decode(result.masks.rles[0])
    left, right = mask[:, :57] & truth[1][:, :57], mask[:, 63:] & truth[1][:, 63:]
    assert left.sum() > 0.5 * truth[1][:, :57].sum() and right.sum() > 0.5 * truth[1][:, 63:].sum()


def test_off_leaves_everything_to_the_tracker(make_squares: Callable[..., Any]) -> None:
    squares = make_squares(verify=False)
    truth = squares.draw(BOTH)[1]
    shown(squares, 3, 0, BOTH, prompts=squares.given(0, truth))
    state = squares.stage.state_dict()["identity"]
    assert not state["states"] and not state["appearance"]["memory"]["looks"]


@pytest.mark.parametrize("lost", [False, True], ids=["seen", "sought"])
def test_a_restored_stage_goes_on_as_if_nothing_had_happened(squares: Any, tmp_path: Path, lost: bool) -> None:
    truth = squares.draw(BOTH)[1]
    shown(squares, 6, 0, BOTH, prompts=squares.given(0, truth))
    if lost:
        shown(squares, 24, 6, {2: BOTH[2]})
        squares.step(30, squares.draw({1: (70, 20), 2: BOTH[2]})[0])
    start = 31 if lost else 6
    save_snapshot(tmp_path / "stage.npz", squares.stage.state_dict())
    places = {1: (70, 20), 2: BOTH[2]}
    first = [squares.step(index, squares.draw(places)[0]) for index in range(start, start + 6)]
    squares.stage.load_state_dict(load_snapshot(tmp_path / "stage.npz"))
    again = [squares.step(index, squares.draw(places)[0]) for index in range(start, start + 6)]
    for one, other in zip(first, again, strict=True):
        assert one.masks.rles == other.masks.rles and one.masks.states == other.masks.states
        assert np.array_equal(one.masks.scores, other.masks.scores)
        assert [event.reason for event in one.events] == [event.reason for event in other.events]
