"""Tracked masks that a refiner looks at again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipelines.refiners.config import RefineConfig
from pipelines.refiners.triggers import TriggerRules
from streamvos.records import Prompt

AT_INTERVALS = RefineConfig(every=3, quick_every=0)
NO_TRIGGERS = TriggerRules(memory_gap=0, confidence_drop=0, area_jump=0, border_doubt=0)


def test_refinement_leaves_its_reasons(make_squares: Callable[..., Any]) -> None:
    squares = make_squares(refiner="grabcut", refine=AT_INTERVALS)
    squares.stage._refinement._triggers = NO_TRIGGERS
    events = []
    for index in range(8):
        image, truth = squares.two(index)
        result = squares.step(index, image, prompts=squares.given(0, truth) if index == 0 else ())
        decisions = [event for event in result.events if event.action in ("refine", "reject")]
        assert [event.entry for event in decisions] == [
            f"object {key}" for key in (1, 2) if index and (index + key) % 3 == 0
        ]
        events += decisions
        assert squares.iou(result, 1, truth[1]) > 0.6 and squares.iou(result, 2, truth[2]) > 0.6
    assert len(events) == 5 and all("agreement" in event.numbers for event in events)


def test_the_embedded_refiner_makes_first_masks_and_refines(make_squares: Callable[..., Any]) -> None:
    squares = make_squares(first_masks="embedded", refiner="embedded", refine=AT_INTERVALS)
    squares.stage._refinement._triggers = NO_TRIGGERS
    image, truth = squares.two(0)
    boxes = tuple(Prompt(0, key, box=squares.box_of(truth[key])) for key in (1, 2))
    result = squares.step(0, image, prompts=boxes)
    assert squares.iou(result, 1, truth[1]) > 0.7 and squares.iou(result, 2, truth[2]) > 0.7
    events = []
    for index in range(1, 5):
        image, truth = squares.two(index)
        events += [one for one in squares.step(index, image).events if one.action in ("refine", "reject")]
    assert [event.entry for event in events] == ["object 2", "object 1", "object 2"]
    assert all("predicted_iou" in event.numbers for event in events if event.action == "refine")
    assert any(event.action == "refine" for event in events)
