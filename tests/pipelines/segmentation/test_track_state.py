"""The table of object tracks: what is seen, given up, and believed again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipelines.segmentation.track_state import Judgement, Track, TrackRules, is_unconfirmed, judge, update
from streamvos.records import ObjectState

LOST_AFTER_S = 2.0
RULES = TrackRules(
    min_area_px=12,
    min_area_share=0.1,
    min_confidence=0.6,
    learn_confidence=0.7,
    learn_area_ratio=3.0,
    return_confidence=0.75,
    return_area_share=0.3,
    patience=2.0,
    min_unconfirmed_s=2.0,
    max_unconfirmed_s=4.0,
)


def track(prompted: bool, state: ObjectState, seen_s: float = 10.0, confirmed_s: float = 10.0) -> Track:
    return Track(prompted, state=state, usual_area_px=1000.0, seen_s=seen_s, confirmed_s=confirmed_s)


# who, state before, when last seen, when last confirmed; area, confidence at second 10.5; seen?, learned?, state after
TABLE: dict[str, tuple[Any, ...]] = {
    "prompted: seen as usual": (True, "tracked", 10, 10, 1000, 0.9, True, True, "tracked"),
    "prompted: needs no detector": (True, "tracked", 10, 0, 1000, 0.9, True, True, "tracked"),
    "prompted: at the least confidence": (True, "tracked", 10, 0, 1000, 0.6, True, False, "tracked"),
    "prompted: doubtful": (True, "tracked", 10, 0, 1000, 0.59, False, False, "occluded"),
    "prompted: too few pixels": (True, "tracked", 10, 0, 11, 0.9, False, False, "occluded"),
    "prompted: small share of its size": (True, "tracked", 10, 0, 99, 0.9, False, False, "occluded"),
    "prompted: small, yet seen, not learned": (True, "tracked", 10, 0, 120, 0.9, True, False, "tracked"),
    "prompted: leaked, not learned": (True, "tracked", 10, 0, 3100, 0.9, True, False, "tracked"),
    "prompted: still hidden": (True, "occluded", 9, 0, 0, 0.0, False, False, "occluded"),
    "prompted: hidden for exactly as long": (True, "occluded", 8.5, 0, 0, 0.0, False, False, "occluded"),
    "prompted: hidden for too long": (True, "occluded", 8.4, 0, 0, 0.0, False, False, "lost"),
    "prompted: back from behind": (True, "occluded", 9, 0, 1000, 0.65, True, False, "tracked"),
    "prompted: lost, convincing": (True, "lost", 2, 0, 800, 0.8, True, True, "tracked"),
    "prompted: lost, doubtful": (True, "lost", 2, 0, 800, 0.74, False, False, "lost"),
    "prompted: lost, far too small": (True, "lost", 2, 0, 290, 0.9, False, False, "lost"),
    "prompted: lost, far too large": (True, "lost", 2, 0, 3400, 0.9, False, False, "lost"),
    "discovered: seen and confirmed": (False, "tracked", 10, 10, 1000, 0.9, True, True, "tracked"),
    "discovered: confirmed just in time": (False, "tracked", 10, 8.5, 1000, 0.9, True, True, "tracked"),
    "discovered: not confirmed for long": (False, "tracked", 10, 8.4, 1000, 0.9, False, False, "lost"),
    "discovered: hidden, confirmed before": (False, "tracked", 10, 10, 0, 0.0, False, False, "occluded"),
    "discovered: hidden for too long": (False, "occluded", 8.4, 9, 0, 0.0, False, False, "lost"),
    "discovered: lost waits for the detector": (False, "lost", 10, 10, 1000, 0.99, False, False, "lost"),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_transitions(row: tuple[Any, ...]) -> None:
    prompted, before, seen_s, confirmed_s, area_px, confidence, visible, learned, after = row
    one = track(prompted, before, seen_s, confirmed_s)
    judgement = judge(one, area_px, confidence, 10.5, RULES)
    assert (judgement.visible, judgement.confident) == (visible, learned)
    assert bool(judgement.reason) is not visible
    assert one == track(prompted, before, seen_s, confirmed_s)  # judging changes nothing
    update(one, judgement, area_px, confidence, 10.5, LOST_AFTER_S, RULES)
    assert one.state == after
    assert one.score == (confidence if visible else 0.0)
    assert one.seen_s == (10.5 if visible else seen_s)


@pytest.mark.parametrize(
    ("prompted", "state", "area_px", "confidence", "reason"),
    [
        (True, "tracked", 5, 0.9, "only 5 pixels of it show, usually 1000"),
        (True, "tracked", 900, 0.5, "the tracker is not sure: 0.50, at least 0.60 is asked"),
        (True, "lost", 900, 0.7, "what may be it does not convince: 0.70 sure, 0.90 of its usual area"),
        (False, "lost", 900, 0.9, "it waits until the detector sees it again"),
        (False, "tracked", 900, 0.9, "the detector has not confirmed it for 4.0 s"),
    ],
    ids=["area", "confidence", "return", "detector", "confirmation"],
)
def test_reasons_name_what_decided(
    prompted: bool, state: ObjectState, area_px: int, confidence: float, reason: str
) -> None:
    assert reason in judge(track(prompted, state), area_px, confidence, 14.0, RULES).reason


@pytest.mark.parametrize(
    ("longest_gap_s", "silent_s", "given_up"),
    [(0.0, 2.0, False), (0.0, 2.1, True), (1.5, 2.9, False), (1.5, 3.1, True), (9.0, 3.9, False), (9.0, 4.1, True)],
    ids=["least", "more than least", "twice its gap", "more than twice", "most", "more than most"],
)
def test_patience_with_the_detector_grows_with_its_gaps(longest_gap_s: float, silent_s: float, given_up: bool) -> None:
    one = track(False, "tracked")
    one.longest_gap_s = longest_gap_s
    assert is_unconfirmed(one, 10 + silent_s, RULES) is given_up
    one.prompted = True
    assert not is_unconfirmed(one, 10 + silent_s, RULES)


def test_gaps_between_confirmations_are_measured_while_it_is_tracked() -> None:
    one = Track(False)
    for state, time_s, gap_s in (("tracked", 3.0, 0), ("tracked", 3.5, 0.5), ("lost", 9.0, 0.5), ("tracked", 9.2, 0.5)):
        one.state = state
        one.confirm("dog", 0.9, time_s, 100.0)
        assert one.longest_gap_s == pytest.approx(gap_s)


def test_usual_area_follows_slowly_and_only_what_is_seen() -> None:
    one = track(True, "tracked")
    update(one, Judgement(True, True, ""), 2000, 0.9, 11.0, LOST_AFTER_S, RULES)
    assert one.usual_area_px == pytest.approx(1150)
    update(one, Judgement(False, False, "hidden"), 5000, 0.9, 11.1, LOST_AFTER_S, RULES)
    assert one.usual_area_px == pytest.approx(1150)
    fresh = Track(True)
    update(fresh, Judgement(True, True, ""), 700, 0.9, 11.0, LOST_AFTER_S, RULES)
    assert fresh.usual_area_px == 700


def test_a_prompted_object_whose_size_is_not_known_yet_can_return() -> None:
    """A cut right after the prompt: no usual area was learned, so none can speak against it."""
    one = Track(True, state="lost")
    assert judge(one, 900, 0.9, 11.0, RULES).visible


def test_a_life_comes_back_from_its_snapshot() -> None:
    one = track(False, "occluded")
    one.confirm("dog", 0.9, 4.0, 100.0)
    one.place(np.array([10, 10, 30, 60]), np.array([10, 10, 30, 40]), 4.0)
    back = Track.of_state(one.state_dict())
    for _ in range(3):
        one.confirm("cat", 5.0, 5.0, 100.0)
    one.whole_box(np.array([50.0, 10, 70, 40]), 5.0)
    assert back.state == "occluded" and back.class_name == "dog" and one.class_name == "cat"
    assert np.allclose(back.whole_box(None, 4.0), [10, 10, 30, 60])


def test_what_is_not_sure_of_its_class_has_neither_name_nor_score() -> None:
    one = Track(False)
    assert one.class_name == "" and np.isnan(one.class_score)
    one.confirm("car", 0.6, 3.0, 100.0)
    assert one.class_name == "car" and one.class_score == 0.6
    one.confirm("truck", 0.7, 3.2, 100.0)
    assert one.class_name == "" and np.isnan(one.class_score) and one.leading_class == "car"


def test_the_label_is_the_name() -> None:
    one = Track(True, "Rex")
    assert one.class_name == "Rex"
    one.confirm("dog", 0.9, 3.0, 100.0)
    assert one.class_name == "Rex" and one.kind.name == "dog"


def test_the_whole_box_goes_with_the_mask_and_reaches_beyond_it() -> None:
    """The detector saw the whole of a man of whom the mask shows the upper half."""
    one = Track(False)
    one.place(np.array([100.0, 100, 140, 200]), np.array([100.0, 100, 140, 150]), 1.0)
    assert np.allclose(one.whole_box(np.array([100.0, 100, 140, 150]), 1.0), [100, 100, 140, 200])
    for step in range(1, 11):
        left = 100 + 5.0 * step
        box = one.whole_box(np.array([left, 100, left + 40, 150]), 1 + step / 10)
    assert np.allclose(box, [150, 100, 190, 200], atol=2.5)
    hidden = one.whole_box(None, 2.1)
    assert 152 < hidden[0] < 156 and np.allclose(hidden[[1, 3]], [100, 200], atol=2)  # it walks on
    one.state = "lost"
    assert not one.whole_box(None, 2.2).any()


def test_without_a_detection_the_box_is_that_of_the_mask() -> None:
    one = Track(True)
    assert not one.whole_box(None, 0.0).any()
    assert np.allclose(one.whole_box(np.array([10.0, 20, 50, 90]), 1.0), [10, 20, 50, 90])


@pytest.mark.parametrize(
    ("prompted", "since_s", "area_px", "visible"),
    [(False, 0.5, 190, False), (False, 0.5, 210, True), (False, 0.2, 190, True), (True, 0.5, 190, True)],
    ids=["a remainder", "still large enough", "just confirmed", "the user's"],
)
def test_remainders_of_found_objects_are_not_believed(
    prompted: bool, since_s: float, area_px: int, visible: bool
) -> None:
    one = track(prompted, "tracked", 10.0, 10.0)
    one.confirmed_area_px, one.usual_area_px = 1000.0, 1000.0
    assert judge(one, area_px, 0.9, 10.0 + since_s, RULES).visible is visible
