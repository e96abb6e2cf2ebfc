"""Which quarters are looked at: the policy by hand, and the stage with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from memory_bank.budgets import MemoryBudgets
from pipelines.detect import DetectConfig, DetectStage
from pipelines.detection.looks import Looks, score_quarters
from pipelines.detection.views import quarters_of
from pipelines.scores import ScoreThresholds
from streamvos.models.detectors import FUNCTION
from streamvos.records import Frame, Prompt, StepResult
from streamvos.snapshot import load_snapshot, save_snapshot

SIZE = (100, 200)
VIEWS = quarters_of(SIZE)
NOTHING = np.zeros((0, 4), np.float32)
IN_QUARTER = np.array([[10, 10, 20, 20], [180, 10, 190, 20], [10, 80, 20, 90], [180, 80, 190, 90]], np.float32)


def spend(looks: Looks, runs: int, added=lambda row: 0, hints=NOTHING, asked=NOTHING) -> list[list[int]]:
    chosen = []
    for run in range(runs):
        rows = looks.choose(VIEWS, SIZE, hints, asked)
        looks.note(run, {row: added(row) for row in rows})
        chosen.append(rows)
    return chosen


def test_the_worth_of_a_look_by_hand():
    waited, expected, no = np.array([1, 2, 3, 4]), np.array([5, 0, 0, 1]), np.zeros(4, bool)
    assert score_quarters(waited, expected, no, no).tolist() == [6, 2, 3, 8]
    third, second = np.arange(4) == 2, np.arange(4) == 1
    assert score_quarters(waited, expected, third, no).argmax() == 2
    assert score_quarters(waited, expected, third, second).argmax() == 1


def test_without_expectations_all_get_their_turn():
    assert spend(Looks(1), 8) == [[0], [1], [2], [3]] * 2
    assert spend(Looks(2), 2) == [[0, 1], [2, 3]]
    assert spend(Looks(4), 2) == [[0, 1, 2, 3]] * 2


def test_what_a_look_added_is_looked_at_more_often_and_nothing_is_given_up():
    chosen = [row for (row,) in spend(Looks(1), 40, added=lambda row: 4 if row == 2 else 0)]
    assert chosen.count(2) > 15
    assert all(chosen.count(row) >= 4 for row in range(4))


def test_hints_and_prompts_decide():
    assert spend(Looks(1), 1, hints=IN_QUARTER[3:]) == [[3]]
    looks = Looks(1)
    spend(looks, 4)
    assert spend(looks, 3, asked=IN_QUARTER[1:2]) == [[1]] * 3  # what is pointed at, although it does not wait


def test_what_is_new_is_looked_at_twice_in_a_row():
    assert spend(Looks(1), 6, added=lambda row: int(row == 1)) == [[0], [1], [1], [2], [3], [1]]


def test_a_cut_forgets():
    looks = Looks(1)
    first = spend(looks, 6, added=lambda row: 3)
    looks.reset()
    assert spend(looks, 6, added=lambda row: 3) == first


def test_each_look_leaves_an_event_with_its_reason():
    looks = Looks(1)
    spend(looks, 5, added=lambda row: 1)
    events = looks.drain_events()
    assert [event.entry for event in events[:2]] == ["top left quarter"] * 2
    assert "new in the shot" in events[0].reason and "adds 1 detection to" in events[0].reason
    assert "not looked at for 1 run;" in events[1].reason and events[4].bytes == looks.stats().bytes
    assert not looks.drain_events()


# -- in the stage ---------------------------------------------------------------------------------------------------


def sees_large_blobs(image: np.ndarray):
    """Finds a bright blob only where it is at least 10% of the picture's width, as a network of fixed input does."""
    import cv2

    _, _, facts, _ = cv2.connectedComponentsWithStats((image[..., 0] > 128).astype(np.uint8))
    boxes = [[x, y, x + w, y + h] for x, y, w, h, _ in facts[1:].tolist() if w >= 0.1 * image.shape[1]]
    return boxes, [0.9] * len(boxes), ["kettle"] * len(boxes)


def image(*places: tuple[int, int], side: int = 14) -> np.ndarray:
    picture = np.zeros((*SIZE, 3), np.uint8)
    for left, top in places:
        picture[top : top + side, left : left + side] = 255
    return picture


def run(stage: DetectStage, images, first: int = 0, prompts=None, cuts=()) -> list[StepResult]:
    results = []
    for index, picture in enumerate(images, first):
        frame = Frame("film", index, index / 25, picture)
        envelope = StepResult.of(frame, (prompts or {}).get(index, ()))
        results.append(stage.step(frame, envelope if index not in cuts else _cut(envelope)))
    return results


def _cut(envelope: StepResult) -> StepResult:
    from dataclasses import replace

    return replace(envelope, is_cut=True)


def new_stage(looks: int, memory: bool = True, every: int = 1) -> DetectStage:
    config = DetectConfig(detector=FUNCTION, every=every, looks=looks, memory=memory)
    return DetectStage(
        config, ScoreThresholds(), MemoryBudgets(), torch.device("cpu"), function=sees_large_blobs
    )  # fmt: skip


FOUR = ((20, 10), (170, 10), (20, 80), (170, 80))


@pytest.mark.parametrize("looks, found", [(0, [0, 0, 0, 0]), (1, [1, 1, 1, 1]), (2, [2, 2, 2, 2]), (4, [4, 4, 4, 4])])
def test_small_things_are_found_as_the_budget_allows(looks, found):
    results = run(new_stage(looks), [image(*FOUR)] * 4)
    assert [len(result.detections) for result in results] == found


def test_a_small_thing_is_found_where_it_is_and_once():
    (result,) = run(new_stage(4), [image((92, 43))])  # in the overlap of all four
    assert result.detections.boxes_xyxy.tolist() == [[92, 43, 106, 57]]


def test_memory_goes_back_to_where_something_was():
    images = [image((170, 80))] * 12
    with_memory = sum(len(result.detections) for result in run(new_stage(1), images))
    assert with_memory >= 5  # three would be a plain turn


def test_what_is_clicked_is_looked_at():
    click = Prompt(1, 1, points=np.array([[176, 16]], np.float32), labels=np.ones(1, bool))
    results = run(new_stage(1, every=5), [image((170, 10))] * 2, prompts={1: (click,)})
    assert len(results[0].detections) == 0 and len(results[1].detections) == 1


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "alone"])
def test_a_snapshot_goes_on_as_if_nothing_had_happened(tmp_path, memory):
    images = [image((170, 80), (20, 10))] * 6 + [image((20, 80))] * 6
    through = run(new_stage(1, memory), images, cuts={8})
    stage = new_stage(1, memory)
    run(stage, images[:5])
    save_snapshot(tmp_path / "state.npz", stage.state_dict())
    other = new_stage(1, memory)
    other.load_state_dict(load_snapshot(tmp_path / "state.npz"))
    rest = run(other, images[5:], first=5, cuts={8})
    for one, two in zip(through[5:], rest, strict=True):
        assert np.array_equal(one.detections.boxes_xyxy, two.detections.boxes_xyxy)
        assert [event.reason for event in one.events] == [event.reason for event in two.events]


def test_without_a_budget_there_is_no_trace_of_it():
    stage = new_stage(0)
    results = run(stage, [image((20, 10), side=30)] * 3)
    assert "looks" not in stage.stats()
    assert not [event for result in results for event in result.events if event.bank == "looks"]
    budgeted = new_stage(1)
    assert {event.bank for event in run(budgeted, [image()])[0].events} >= {"looks"}
    assert budgeted.stats()["looks"].entries == 4
