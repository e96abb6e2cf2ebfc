"""When masks are refined: by hand, each trigger alone, and which goes first."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipelines.refiners.triggers import (
    MaskFacts,
    TriggerConfig,
    Turn,
    Usual,
    doubt,
    due,
    mask_facts,
    may_be_candidate,
    most_urgent,
)
from streamvos.errors import InputError

CONFIG = TriggerConfig()
FACTS = MaskFacts(area_px=100, box_px=10.0, confidence=0.9, undecided=1.0)
USUAL = Usual(area_px=100.0, confidence=0.9, undecided=1.0, refined_frame=4, selected_frame=4, candidate_frame=4)


def test_facts_by_hand() -> None:
    probability = np.zeros((10, 10), np.float32)
    probability[2:6, 2:6] = 0.9
    probability[2:6, 6] = 0.3
    assert mask_facts(np.pad(probability[:, :4], 1)).box_px == pytest.approx(8**0.5)  # four high, two wide
    facts = mask_facts(probability)
    assert facts.area_px == 16 and facts.box_px == 4 and facts.confidence == pytest.approx(0.9)
    assert facts.undecided == 4 / 16  # four pixels near one half, four sides of four
    assert mask_facts(np.zeros((4, 4), np.float32)) == MaskFacts(0, 0.0, 0.0, 0.0)


def test_what_is_usual_follows() -> None:
    usual = Usual()
    usual.follow(FACTS)
    assert (usual.area_px, usual.confidence) == (100, 0.9)
    usual.follow(MaskFacts(200, 20.0, 0.5, 2.0), rate=0.25)
    assert (usual.area_px, usual.confidence, usual.undecided) == pytest.approx((125, 0.8, 1.25))


SIGNS: dict[str, tuple[dict[str, Any], str | None]] = {
    "as usual": ({}, None),
    "less sure": ({"confidence": 0.7}, "confidence 0.70, usually 0.90"),
    "a little less sure": ({"confidence": 0.85}, None),
    "grown": ({"area_px": 150}, "area 1.50 of the usual"),
    "shrunk": ({"area_px": 60}, "area 0.60 of the usual"),
    "frayed": ({"undecided": 2.0}, "undecided border 2.00, usually 1.00"),
    "the strongest sign is told": ({"confidence": 0.8, "area_px": 300}, "area 3.00 of the usual"),
}


@pytest.mark.parametrize(("change", "reason"), SIGNS.values(), ids=SIGNS.keys())
def test_doubt(change: dict[str, Any], reason: str | None) -> None:
    turn = doubt(dataclasses.replace(FACTS, **change), USUAL, CONFIG)
    assert (turn and turn.reason) == (reason and f"doubt: {reason}")


def test_nothing_is_doubted_at_first_or_when_turned_off() -> None:
    odd = MaskFacts(300, 17.0, 0.5, 9.0)
    assert doubt(odd, Usual(), CONFIG) is None
    off = TriggerConfig(confidence_drop=0, area_jump=0, border_doubt=0)
    assert doubt(odd, USUAL, off) is None


ODD = dataclasses.replace(FACTS, confidence=0.6)
TURNS: dict[str, tuple[int, MaskFacts, float | None, str | None]] = {
    "doubt comes first": (20, ODD, 0.5, "doubt"),
    "not again so soon": (6, ODD, None, "polish"),
    "a novel view": (21, FACTS, 0.01, "memory"),
    "a known view": (21, FACTS, 0.001, "polish"),
    "a view that may not be learned": (21, FACTS, None, "polish"),
    "a novel view too soon after the last": (8, FACTS, 0.01, "polish"),
    "its turn": (19, FACTS, None, "interval"),
    "nothing to see": (19, MaskFacts(0, 0.0, 0.0, 0.0), None, None),
}


@pytest.mark.parametrize(("frame", "facts", "novelty", "trigger"), TURNS.values(), ids=TURNS.keys())
def test_what_is_due(frame: int, facts: MaskFacts, novelty: float | None, trigger: str | None) -> None:
    turn = due(frame, 1, facts, USUAL, novelty, CONFIG)
    assert (turn and turn.trigger) == trigger


def test_quick_looks_may_be_rare_or_left_out() -> None:
    rare = dataclasses.replace(CONFIG, polish_every=3, every=0)
    frames = [frame for frame in range(12) if due(frame, 1, FACTS, USUAL, None, rare) is not None]
    assert frames == [2, 5, 8, 11]
    none = dataclasses.replace(CONFIG, polish_every=0, every=0)
    assert all(due(frame, 1, FACTS, USUAL, None, none) is None for frame in range(12))


def test_memory_candidates_are_apart() -> None:
    assert may_be_candidate(0, Usual(), CONFIG)
    assert not may_be_candidate(8, USUAL, CONFIG) and may_be_candidate(9, USUAL, CONFIG)
    assert not may_be_candidate(9, USUAL, dataclasses.replace(CONFIG, memory_gap=0))


def test_the_most_urgent_go_first_and_those_that_waited_longest() -> None:
    waited = [due(10, key, FACTS, Usual(100, 0.9, 1.0, last, 9, 9), None, CONFIG) for key, last in ((1, 9), (2, 5))]
    turns = [(1, waited[0]), (2, waited[1]), (3, Turn("doubt", 2.5, "")), (4, Turn("memory", 1.2, ""))]
    order = [key for key, _ in most_urgent(turns, dataclasses.replace(CONFIG, max_per_frame=4))]
    assert order == [3, 4, 2, 1]
    assert [key for key, _ in most_urgent(turns, dataclasses.replace(CONFIG, max_per_frame=1))] == [3]


@pytest.mark.parametrize(
    "setting", [{"area_jump": 0.9}, {"every": -1}, {"confidence_drop": -0.1}, {"max_per_frame": 0}]
)
def test_bad_settings(setting: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"refine\.when\.{next(iter(setting))}"):
        TriggerConfig(**setting)
