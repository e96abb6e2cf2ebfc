"""When masks are refined: by hand, each trigger alone, and which goes first."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipelines.refiners.config import RefineConfig
from pipelines.refiners.triggers import (
    MaskFacts,
    RefineRequest,
    TriggerRules,
    Usual,
    doubt,
    due,
    mask_facts,
    may_be_candidate,
    most_urgent,
)

CONFIG = RefineConfig()
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
    usual.follow(MaskFacts(200, 20.0, 0.5, 2.0))  # 0.15 of the way
    assert (usual.area_px, usual.confidence, usual.undecided) == pytest.approx((115, 0.84, 1.15))


SIGNS: dict[str, tuple[dict[str, Any], str | None, dict[str, float]]] = {
    "as usual": ({}, None, {}),
    "less sure": ({"confidence": 0.7}, "its confidence fell", {"confidence": 0.7, "usual_confidence": 0.9}),
    "a little less sure": ({"confidence": 0.85}, None, {}),
    "grown": ({"area_px": 150}, "its area changed", {"area_ratio": 1.5}),
    "shrunk": ({"area_px": 60}, "its area changed", {"area_ratio": 0.6}),
    "frayed": ({"undecided": 2.0}, "its border frays", {"undecided": 2.0, "usual_undecided": 1.0}),
    "the strongest sign is told": ({"confidence": 0.8, "area_px": 300}, "its area changed", {"area_ratio": 3.0}),
}


@pytest.mark.parametrize(("change", "reason", "numbers"), SIGNS.values(), ids=SIGNS.keys())
def test_doubt(change: dict[str, Any], reason: str | None, numbers: dict[str, float]) -> None:
    request = doubt(dataclasses.replace(FACTS, **change), USUAL)
    if reason is None:
        assert request is None
    else:
        assert (request.trigger, request.reason, request.numbers) == ("doubt", reason, numbers)


def test_nothing_is_doubted_at_first_or_when_turned_off() -> None:
    odd = MaskFacts(300, 17.0, 0.5, 9.0)
    assert doubt(odd, Usual()) is None
    assert doubt(odd, USUAL, TriggerRules(confidence_drop=0, area_jump=0, border_doubt=0)) is None


ODD = dataclasses.replace(FACTS, confidence=0.6)
DUE: dict[str, tuple[int, MaskFacts, float | None, str | None]] = {
    "doubt comes first": (20, ODD, 0.5, "doubt"),
    "not again so soon": (6, ODD, None, "quick"),
    "a novel view": (21, FACTS, 0.01, "memory"),
    "a known view": (21, FACTS, 0.001, "quick"),
    "a view that may not be learned": (21, FACTS, None, "quick"),
    "a novel view too soon after the last": (8, FACTS, 0.01, "quick"),
    "its turn": (19, FACTS, None, "interval"),
    "nothing to see": (19, MaskFacts(0, 0.0, 0.0, 0.0), None, None),
}


@pytest.mark.parametrize(("frame", "facts", "novelty", "trigger"), DUE.values(), ids=DUE.keys())
def test_what_is_due(frame: int, facts: MaskFacts, novelty: float | None, trigger: str | None) -> None:
    request = due(frame, 1, facts, USUAL, novelty, CONFIG)
    assert (request and request.trigger) == trigger


def test_quick_refinements_may_be_rare_or_left_out() -> None:
    rare = dataclasses.replace(CONFIG, quick_every=3, every=0)
    frames = [frame for frame in range(12) if due(frame, 1, FACTS, USUAL, None, rare) is not None]
    assert frames == [2, 5, 8, 11]
    none = dataclasses.replace(CONFIG, quick_every=0, every=0)
    assert all(due(frame, 1, FACTS, USUAL, None, none) is None for frame in range(12))


def test_memory_candidates_are_apart() -> None:
    assert may_be_candidate(0, Usual())
    assert not may_be_candidate(8, USUAL) and may_be_candidate(9, USUAL)
    assert not may_be_candidate(9, USUAL, TriggerRules(memory_gap=0))


def test_the_most_urgent_go_first_and_those_that_waited_longest() -> None:
    waited = [due(10, key, FACTS, Usual(100, 0.9, 1.0, last, 9, 9), None, CONFIG) for key, last in ((1, 9), (2, 5))]
    others = RefineRequest("doubt", 2.5, ""), RefineRequest("memory", 1.2, "")
    requests = list(enumerate([*waited, *others], start=1))
    assert [key for key, _ in most_urgent(requests, 4)] == [3, 4, 2, 1]
    assert [key for key, _ in most_urgent(requests, 1)] == [3]
