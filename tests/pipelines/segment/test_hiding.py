"""Objects that are hidden, lost, or cut away, and come back."""

from __future__ import annotations

from typing import Any

import pytest


def test_hidden_is_occluded_and_back_again_under_its_id(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40)})
    for index in range(5):
        squares.step(index, image, prompts=squares.given(0, truth) if index == 0 else ())
    for index in range(5, 12):
        result = squares.step(index, squares.draw({})[0])
        assert squares.state_of(result, 1) == "occluded" and result.masks.scores.tolist() == [0.0]
        if index == 5:
            assert any("occluded: " in event.reason for event in result.events)
    image, truth = squares.draw({1: (30, 70)})
    result = [squares.step(index, image) for index in range(12, 15)][-1]
    assert squares.state_of(result, 1) == "tracked" and squares.iou(result, 1, truth[1]) > 0.6


def test_hidden_for_long_is_lost_and_comes_back_where_it_convinces(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40)})
    for index in range(5):
        squares.step(index, image, prompts=squares.given(0, truth) if index == 0 else ())
    states = [squares.state_of(squares.step(index, squares.draw({})[0]), 1) for index in range(5, 28)]
    assert states == ["occluded"] * 20 + ["lost"] * 3  # seen last at 0.4 s, given up after 2.0 s
    result = [squares.step(index, image) for index in range(28, 31)][-1]
    assert squares.state_of(result, 1) == "tracked" and squares.iou(result, 1, truth[1]) > 0.6


@pytest.mark.parametrize("num_before", [1, 5], ids=["right after the prompt", "later"])
def test_a_cut_makes_prompted_objects_lost_and_they_may_return(squares: Any, num_before: int) -> None:
    image, truth = squares.draw({1: (30, 20)})
    for index in range(num_before):
        squares.step(index, image, prompts=squares.given(0, truth) if index == 0 else ())
    other = squares.draw({}, background=102)[0]
    result = squares.step(num_before, other, is_cut=True)
    assert squares.state_of(result, 1) == "lost" and result.masks.object_ids.tolist() == [1]
    for index in range(num_before + 1, num_before + 4):
        assert squares.state_of(squares.step(index, other), 1) == "lost"
    image, truth = squares.draw({1: (50, 100)})
    result = [
        squares.step(index, image, is_cut=index == num_before + 4) for index in range(num_before + 4, num_before + 8)
    ][-1]
    assert squares.state_of(result, 1) == "tracked" and squares.iou(result, 1, truth[1]) > 0.6
