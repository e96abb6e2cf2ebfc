"""The stage's side of refinement, with a refiner that proposes what it is told to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from memory_bank.appearance import RetiredObjects
from memory_bank.protocol import MemoryStats
from pipelines.refiners.config import RefineConfig
from pipelines.refiners.policy import GateRules
from pipelines.refiners.protocol import Candidate
from pipelines.refiners.triggers import TriggerRules
from pipelines.segmentation.object_table import ObjectTable
from pipelines.segmentation.refinement import Refinement
from pipelines.segmentation.track_state import Track
from pipelines.trackers.protocol import Propagation
from streamvos.records import Frame

SIZE, SMALL = (80, 120), (40, 60)
NEVER = {"every": 0, "quick_every": 0}
FEEDS_BACK = {"feed_back_agreement": 0.8}
NO_TRIGGERS = TriggerRules(memory_gap=0, doubt_gap=0)


class Grown:
    """Proposes the coarse mask with some columns more on its right."""

    name = "grown"

    def __init__(self, columns: int = 2, quick_max_px: float = 99.0) -> None:
        self.columns, self.quick_max_px, self.asked = columns, quick_max_px, []

    def suits_quick(self, box_px: float) -> bool:
        return box_px <= self.quick_max_px

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

    def __init__(self, calibrated: bool = True) -> None:
        self.confidence_is_calibrated = calibrated

    def appearance(self, mask: np.ndarray) -> np.ndarray:
        return np.array([1.0, 0.0], np.float32)

    def appearances(self, object_id: int) -> np.ndarray:
        return np.array([[0.8, 0.6]], np.float32)

    def state_bytes(self) -> int:
        return 0

    def stats(self) -> MemoryStats:
        return MemoryStats(0, 0, 1)


def build(
    refiner: Grown | None, triggers: TriggerRules = NO_TRIGGERS, calibrated: bool = True, **settings: Any
) -> tuple[Refinement, ObjectTable]:
    """Nothing is refined but by the triggers and `settings` that are given."""
    tracker = Looks(calibrated)
    table = ObjectTable(tracker, RetiredObjects(2**20), 5, 2**20)
    table.tracks |= {object_id: Track(True) for object_id in (1, 2)}
    config = RefineConfig(**{**NEVER, **settings})
    gate = GateRules(feed_back_predicted_iou=0.5)
    return Refinement(refiner, config, tracker, table, triggers, gate), table


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
    propagation = maps(1)
    assert refinement.step(frame(0), propagation, {1: True}) == (propagation, {}) and table.drain_events() == ()


def test_quick_refinements_go_out_and_never_in() -> None:
    refiner = Grown()
    refinement, table = build(refiner, quick_every=1, **FEEDS_BACK)
    propagation, refined = refinement.step(frame(3), maps(1), {1: True})
    assert refined[1].sum() == pytest.approx(40 * (32 + 2), rel=0.1) and refiner.asked == [(3, True)]
    assert np.array_equal(propagation.probabilities, maps(1).probabilities)
    (event,) = table.drain_events()
    best = "the best that agrees is the one from grown"
    assert (event.action, event.reason) == ("refine", f"refined the mask of object 1 (a quick refinement): {best}")
    assert 0.9 < event.numbers["agreement"] < 1 and event.numbers["min_agreement"] == 0.59


def test_quick_refinements_are_made_where_the_refiner_says_that_they_gain() -> None:
    refinement, _ = build(Grown(quick_max_px=15.2), quick_every=1)
    _, refined = refinement.step(frame(3), maps(1, 2, height=15), {1: True, 2: True})
    assert list(refined) == [2]  # 15 px high and wide; the other one is 16 wide


@pytest.mark.parametrize(
    ("columns", "confident", "fed_back"),
    [(2, True, True), (2, False, False), (12, True, False)],
    ids=["sure", "not to be learned", "not near enough"],
)
def test_selections_feed_back_past_the_stricter_gate(columns: int, confident: bool, fed_back: bool) -> None:
    refinement, _ = build(Grown(columns), every=1, **FEEDS_BACK)
    given = maps(1)
    propagation, refined = refinement.step(frame(3), given, {1: confident})
    assert 1 in refined and np.array_equal(given.probabilities, maps(1).probabilities)
    grown = propagation.probabilities > maps(1).probabilities
    assert grown.any() == fed_back
    assert (propagation.probabilities[0, 10:30, 26] > 0.5).all() == fed_back


def test_by_default_nothing_is_fed_back() -> None:
    refinement, _ = build(Grown(0), every=1)
    propagation, refined = refinement.step(frame(3), maps(1), {1: True})
    assert 1 in refined and np.array_equal(propagation.probabilities, maps(1).probabilities)


def test_where_the_tracker_is_sure_its_word_stands() -> None:
    probabilities = maps(1).maps()
    probabilities[0, 10:20, 26:28] = 0.05  # the upper half of what the refiner would add
    propagation = maps(1).with_maps(probabilities)
    refinement, _ = build(Grown(4), every=1)
    refined = refinement.step(frame(3), propagation, {1: True})[1][1]
    assert not refined[20:38, 53:56].any() and refined[42:60, 53:56].all()
    refinement, _ = build(Grown(4), calibrated=False, every=1)
    assert refinement.step(frame(3), propagation, {1: True})[1][1][22:58, 53:55].all()


def test_rejected_masks_stay_as_they_are() -> None:
    refinement, table = build(Grown(40), every=1)
    assert refinement.step(frame(3), maps(1), {1: True})[1] == {}
    (event,) = table.drain_events()
    assert event.action == "reject" and event.reason.endswith("(its turn has come): no candidate agrees with it")
    assert event.numbers["agreement"] < event.numbers["min_agreement"] == 0.59


def test_a_refined_mask_takes_nothing_from_its_neighbour() -> None:
    refinement, _ = build(Grown(6), every=1)
    _, refined = refinement.step(frame(3), maps(1, 2), {1: True, 2: True})
    assert not refined[1][:, 53:].any()  # object 2 begins at column 52
    assert refined[2][:, 83:].any()  # where nobody is, it may grow


def test_memory_candidates_and_doubt_name_their_numbers() -> None:
    refinement, table = build(Grown(), TriggerRules(memory_gap=5))
    refinement.step(frame(1), maps(1), {1: False})
    assert table.drain_events() == ()
    refinement.step(frame(2), maps(1), {1: True})
    (event,) = table.drain_events()
    assert "(its view may be remembered)" in event.reason
    told = {"novelty": 0.2, "confidence": 0.8, "appearance": 0.8, "surroundings": 0.8}
    assert {name: event.numbers[name] for name in told} == pytest.approx(told)
    refinement.step(frame(5), maps(1, height=4), {1: True})
    (event,) = table.drain_events()
    assert "(its area changed)" in event.reason and event.numbers["area_ratio"] == pytest.approx(0.2)


def test_restored_it_goes_on_the_same() -> None:
    whole, table = build(Grown(), TriggerRules(), quick_every=1, every=4)
    again, other = build(Grown(), TriggerRules(), quick_every=1, every=4)
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
