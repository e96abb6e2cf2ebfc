"""The stage's side of refinement, with a refiner that proposes what it is told to."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from memory_bank.protocol import MemoryStats
from pipelines.refiners.policy import RefineConfig
from pipelines.refiners.protocol import Candidate
from pipelines.refiners.triggers import TriggerConfig
from pipelines.segmentation.matching import MatchingRules
from pipelines.segmentation.new_objects import NewObjects
from pipelines.segmentation.object_table import ObjectTable
from pipelines.segmentation.refinement import Refinement
from pipelines.segmentation.track_state import Life
from pipelines.trackers.protocol import Propagation
from streamvos.records import Frame

SIZE, SMALL = (80, 120), (40, 60)
NEVER = TriggerConfig(polish_every=0, every=0, memory_gap=0, doubt_gap=0)
FEEDS_BACK = {"feed_back_agreement": 0.8, "feed_back_predicted_iou": 0.5}


class Grown:
    """Proposes the coarse mask with some columns more on its right."""

    name = "grown"

    def __init__(self, columns: int = 2, polish_max_px: float = 99.0) -> None:
        self.columns, self.polish_max_px, self.asked = columns, polish_max_px, []

    def polishes(self, box_px: float) -> bool:
        return box_px <= self.polish_max_px

    def set_image(self, image: np.ndarray, frame_index: int) -> None:
        self.frame_index = frame_index

    def refine(self, coarse=None, box=None, points=None, labels=None, quick=False) -> tuple[Candidate, ...]:
        self.asked.append((self.frame_index, quick))
        mask = coarse.copy()
        for shift in range(1, self.columns + 1):
            mask[:, shift:] |= coarse[:, :-shift]
        return (Candidate("grown", mask, 0.9, "grown"),)


class Looks:
    """A tracker as far as appearance goes: every view is the first axis, remembered views the second."""

    def __init__(self, knows_doubt: bool = True) -> None:
        self.knows_doubt = knows_doubt

    def appearance(self, mask: np.ndarray) -> np.ndarray:
        return np.array([1.0, 0.0], np.float32)

    def appearances(self, object_id: int) -> np.ndarray:
        return np.array([[0.8, 0.6]], np.float32)

    def stats(self) -> MemoryStats:
        return MemoryStats(0, 0, 1)


def build(
    refiner: Grown, when: TriggerConfig = NEVER, knows_doubt: bool = True, **settings: Any
) -> tuple[Refinement, ObjectTable]:
    tracker = Looks(knows_doubt)
    table = ObjectTable(tracker, NewObjects(MatchingRules()), 5)
    table.tracks |= {object_id: Life(True) for object_id in (1, 2)}
    return Refinement(refiner, RefineConfig(when, **settings), tracker, table), table


def maps(*objects: int, height: int = 20) -> Propagation:
    """Object 1 covers columns 10 to 25 of the small map, object 2 columns 26 to 40; nowhere is the tracker sure."""
    probabilities = np.full((len(objects), *SMALL), 0.15, np.float32)
    for row, object_id in enumerate(objects):
        probabilities[row, 10 : 10 + height, slice(10, 26) if object_id == 1 else slice(26, 41)] = 0.8
    return Propagation(np.array(objects, np.int64), probabilities)


def frame(index: int) -> Frame:
    return Frame("s", index, index / 10, np.zeros((*SIZE, 3), np.uint8))


def test_without_a_refiner_nothing_happens() -> None:
    refinement, table = build(None)
    assert refinement.step(frame(0), maps(1), {1: True}) == {} and table.drain_events() == ()


def test_quick_looks_go_out_and_never_in() -> None:
    refiner = Grown()
    refinement, table = build(refiner, dataclasses.replace(NEVER, polish_every=1), **FEEDS_BACK)
    propagation = maps(1)
    refined = refinement.step(frame(3), propagation, {1: True})
    assert refined[1].sum() == pytest.approx(40 * (32 + 2), rel=0.1) and refiner.asked == [(3, True)]
    assert np.array_equal(propagation.probabilities, maps(1).probabilities)
    (event,) = table.drain_events()
    assert event.action == "refine" and event.reason.startswith("quick look; grown: IoU with the coarse mask 0.9")


def test_quick_looks_are_taken_where_the_refiner_says_that_they_gain() -> None:
    refiner = Grown(polish_max_px=15.2)
    refinement, _ = build(refiner, dataclasses.replace(NEVER, polish_every=1))
    refined = refinement.step(frame(3), maps(1, 2, height=15), {1: True, 2: True})
    assert list(refined) == [2]  # 15 px high and wide; the other one is 16 wide


@pytest.mark.parametrize(
    ("columns", "confident", "fed_back"),
    [(2, True, True), (2, False, False), (12, True, False)],
    ids=["sure", "not to be learned", "not near enough"],
)
def test_selections_feed_back_past_the_stricter_gate(columns: int, confident: bool, fed_back: bool) -> None:
    refinement, _ = build(Grown(columns), dataclasses.replace(NEVER, every=1), **FEEDS_BACK)
    propagation = maps(1)
    assert 1 in refinement.step(frame(3), propagation, {1: confident})
    grown = propagation.probabilities > maps(1).probabilities
    assert grown.any() == fed_back
    assert (propagation.probabilities[0, 10:30, 26] > 0.5).all() == fed_back


def test_by_default_nothing_is_fed_back() -> None:
    refinement, _ = build(Grown(0), dataclasses.replace(NEVER, every=1))
    propagation = maps(1)
    assert 1 in refinement.step(frame(3), propagation, {1: True})
    assert np.array_equal(propagation.probabilities, maps(1).probabilities)


def test_where_the_tracker_is_sure_its_word_stands() -> None:
    propagation = maps(1)
    propagation.probabilities[0, 10:20, 26:28] = 0.05  # the upper half of what the refiner would add
    refinement, _ = build(Grown(4), dataclasses.replace(NEVER, every=1))
    refined = refinement.step(frame(3), propagation, {1: True})[1]
    assert not refined[20:38, 53:56].any() and refined[42:60, 53:56].all()
    for settings in ({"sure_off": 0.0}, {"knows_doubt": False}):
        refinement, _ = build(Grown(4), dataclasses.replace(NEVER, every=1), **settings)
        assert refinement.step(frame(3), propagation, {1: True})[1][22:58, 53:55].all()


def test_rejected_masks_stay_as_they_are() -> None:
    refinement, table = build(Grown(40), dataclasses.replace(NEVER, every=1))
    assert refinement.step(frame(3), maps(1), {1: True}) == {}
    (event,) = table.drain_events()
    assert event.action == "reject" and "is not above 0.59" in event.reason


def test_a_refined_mask_takes_nothing_from_its_neighbour() -> None:
    refinement, _ = build(Grown(6), dataclasses.replace(NEVER, every=1))
    refined = refinement.step(frame(3), maps(1, 2), {1: True, 2: True})
    assert not refined[1][:, 53:].any()  # object 2 begins at column 52
    assert refined[2][:, 83:].any()  # where nobody is, it may grow


def test_memory_candidates_and_doubt_name_their_numbers() -> None:
    when = TriggerConfig(polish_every=0, every=0, memory_gap=5)
    refinement, table = build(Grown(), when)
    refinement.step(frame(1), maps(1), {1: False})
    assert table.drain_events() == ()
    refinement.step(frame(2), maps(1), {1: True})
    (event,) = table.drain_events()
    assert event.reason.startswith("memory candidate: novelty 0.200, confidence 0.80; grown") and (
        "appearance 0.80, surroundings 0.80" in event.reason
    )
    refinement.step(frame(5), maps(1, height=4), {1: True})
    (event,) = table.drain_events()
    assert event.reason.startswith("doubt: area 0.20 of the usual")


def test_restored_it_goes_on_the_same() -> None:
    when = TriggerConfig(polish_every=1, every=4)
    whole, table = build(Grown(), when)
    again, other = build(Grown(), when)
    for index in range(12):
        if index == 5:
            again.load_state_dict(whole.state_dict())
        for refinement in [whole] if index < 5 else [whole, again]:
            refinement.step(frame(index), maps(1, 2, height=20 - index), {1: True, 2: index % 2 == 0})
        if index == 4:
            table.drain_events()
    assert table.drain_events() == other.drain_events()
    del table.tracks[1]
    whole.step(frame(12), maps(2), {2: True})
    assert list(whole.state_dict()) == [2]  # what left is forgotten
