"""The table of identity: what is still the object, what has slid, what has returned."""

from __future__ import annotations

import pytest

from pipelines.segmentation.identity_policy import (
    IdentityRules,
    IdentityState,
    MaskEvidence,
    is_candidate,
    judge_proposal,
    judge_region,
    judge_tracked,
    note_sure,
)

RULES = IdentityRules(
    min_confidence=0.85,
    learn_confidence=0.92,
    trusted_confidence=0.95,
    return_confidence=0.86,
    proposal_frames=2,
    trusted_return=0.92,
    back_share=0.8,
    min_similarity=0.15,
    min_share=0.5,
    min_share_alone=0.35,
    recent_rate=0.05,
    min_lead=0.15,
    min_lead_share=0.3,
    doubt_frames=3,
    teach_share=0.6,
    teach_lead_share=0.6,
    learn_share=0.85,
    learn_share_alone=0.85,
    return_similarity=0.5,
    return_peak=0.6,
    return_spreads=2.5,
    sure_spreads=4.0,
    return_frames=4,
    sure_frames=2,
    trial_frames=5,
    trial_doubt_frames=2,
)


def seen(
    similarity: float, distractor: int = 0, distractor_similarity: float = 0.0, confidence: float | None = 0.94
) -> MaskEvidence:
    return MaskEvidence(confidence, similarity, distractor, distractor_similarity)


def usual(**more: float) -> IdentityState:
    return IdentityState(**{"usual": 0.8, "usual_lead": 0.6, "recent": 0.8, **more})


@pytest.mark.parametrize(
    ("state", "evidence", "belief"),
    [
        pytest.param(usual(), seen(0.8), "sure", id="as usual"),
        pytest.param(usual(), seen(0.69), "sure", id="just enough to be learned"),
        pytest.param(usual(), seen(0.67), "same", id="the tracker alone may learn it"),
        pytest.param(usual(), seen(0.8, 2, 0.4), "same", id="a distractor is somewhat like it, likewise"),
        pytest.param(usual(), seen(0.47), "doubt", id="not learned"),
        pytest.param(usual(), seen(0.7, 2, 0.5), "doubt", id="a distractor is much like it: not learned"),
        pytest.param(usual(), seen(0.27), "doubt", id="strange for one frame"),
        pytest.param(usual(doubts=2), seen(0.27), "other", id="strange for the third frame"),
        pytest.param(usual(doubts=2), seen(0.29), "doubt", id="no longer strange"),
        pytest.param(usual(doubts=2), seen(0.6, 2, 0.46), "other", id="has slid onto a distractor"),
        pytest.param(usual(doubts=2, usual_lead=0.1), seen(0.8, 2, 0.76), "doubt", id="a twin is always like it"),
        pytest.param(usual(trial=4), seen(0.27), "doubt", id="on trial, strange once"),
        pytest.param(usual(trial=4, doubts=1), seen(0.27), "other", id="on trial, strange twice"),
        pytest.param(usual(doubts=2), seen(0.39, 2, 0.0), "other", id="strange, and there are others"),
        pytest.param(usual(trial=4), seen(0.8), "doubt", id="on trial, not learned"),
        pytest.param(usual(doubts=2), seen(0.1, 2, 0.2, 0.96), "certain", id="so sure that looks do not matter"),
        pytest.param(usual(doubts=2), seen(0.5, 2, 0.7, 0.96), "other", id="sure, but it is the distractor"),
        pytest.param(usual(trial=4), seen(0.8, confidence=0.96), "certain", id="on trial, and certain"),
        pytest.param(usual(), seen(0.8, confidence=0.9), "doubt", id="too unsure to teach"),
        pytest.param(usual(doubts=2), seen(0.8, confidence=0.9), "doubt", id="but visible"),
        pytest.param(usual(doubts=2), seen(0.8, confidence=0.84), "other", id="too unsure for the third frame"),
        pytest.param(IdentityState(), seen(0.16), "sure", id="nothing is usual yet"),
        pytest.param(IdentityState(doubts=2), seen(0.14), "other", id="nothing usual yet, like nothing"),
    ],
)
def test_tracked(state: IdentityState, evidence: MaskEvidence, belief: str) -> None:
    verdict = judge_tracked(state, evidence, RULES)
    assert verdict.belief == belief
    assert f"{evidence.similarity:.2f}" in verdict.reason
    assert verdict.visible == (belief != "other") and verdict.learnable == (belief in ("certain", "sure", "same"))


def test_doubts_must_come_in_a_row() -> None:
    state = usual()
    beliefs = [judge_tracked(state, seen(value), RULES).belief for value in (0.2, 0.2, 0.8, 0.2, 0.2, 0.2)]
    assert beliefs == ["doubt", "doubt", "sure", "doubt", "doubt", "other"]


def turned(distractor: int) -> list[str]:
    """Beliefs of an object that comes to look less and less like itself."""
    state, beliefs = usual(), []
    for frame in range(100):
        beliefs.append(judge_tracked(state, seen(0.8 - 0.006 * frame, distractor), RULES).belief)
    return beliefs


def test_alone_it_may_turn_step_by_step_but_not_beside_others() -> None:
    assert "other" not in turned(distractor=0)
    assert "other" in turned(distractor=2)


@pytest.mark.parametrize(
    ("evidence", "frames"),
    [
        pytest.param(seen(0.3, confidence=0.93), 1, id="trusted at once"),
        pytest.param(seen(0.3, confidence=0.88), 2, id="in two frames"),
        pytest.param(seen(0.5, 2, 0.4, 0.88), 2, id="more like itself than like a distractor"),
    ],
)
def test_a_proposal_must_be_found_in_a_row(evidence: MaskEvidence, frames: int) -> None:
    assert is_candidate(usual(), evidence, RULES)
    state = usual()
    beliefs = [judge_proposal(state, evidence, index > 0, RULES).belief for index in range(frames)]
    assert beliefs == ["other"] * (frames - 1) + ["returned"] and state.trial == RULES.trial_frames


def test_a_proposal_elsewhere_begins_anew() -> None:
    state = usual()
    beliefs = [judge_proposal(state, seen(0.5, confidence=0.88), False, RULES).belief for _ in range(4)]
    assert beliefs == ["other"] * 4


@pytest.mark.parametrize("evidence", [seen(0.8, confidence=0.85), seen(0.5, 2, 0.6, 0.9)])
def test_no_candidate_where_the_tracker_is_unsure_or_a_rival_is_more_alike(evidence: MaskEvidence) -> None:
    assert not is_candidate(usual(), evidence, RULES)


def test_a_tracker_whose_confidence_says_little_is_judged_by_looks() -> None:
    assert judge_tracked(usual(), seen(0.8, confidence=None), RULES).belief == "sure"
    assert judge_tracked(usual(doubts=2), seen(0.2, confidence=None), RULES).belief == "other"
    assert is_candidate(usual(), seen(0.65, confidence=None), RULES)
    assert not is_candidate(usual(), seen(0.63, confidence=None), RULES)
    beliefs = [judge_proposal(state := usual(streak=1), seen(0.65, confidence=None), True, RULES).belief]
    assert beliefs == ["returned"] and "confidence" not in str(seen(0.65, confidence=None)) and not state.streak


def away(peak: float = 0.5, frames: int = 200) -> IdentityState:
    """An object that was away for long; what was found meanwhile lay 0.1 above and below."""
    state = usual()
    for index in range(frames):
        judge_region(state, 0.6, peak + (0.1 if index % 2 else -0.1), False, RULES)
    return state


@pytest.mark.parametrize(
    ("mean", "peak", "frames"),
    [
        pytest.param(0.6, 0.95, 2, id="sure"),
        pytest.param(0.6, 0.8, 4, id="good"),
        pytest.param(0.6, 0.7, None, id="no better than what was found while it was away"),
        pytest.param(0.49, 0.95, None, id="only a few cells are like it"),
    ],
)
def test_a_region_must_be_found_in_a_row(mean: float, peak: float, frames: int | None) -> None:
    state = away()
    beliefs = [judge_region(state, mean, peak, again=index > 0, rules=RULES).belief for index in range(6)]
    assert (beliefs.index("returned") + 1 if "returned" in beliefs else None) == frames
    if frames:
        assert beliefs[: frames - 1] == ["other"] * (frames - 1)


def test_where_the_scenery_is_much_like_it_more_is_asked() -> None:
    beliefs = [judge_region(away(0.7), 0.6, 0.8, index > 0, RULES).belief for index in range(6)]
    assert beliefs == ["other"] * 6


def test_little_is_enough_for_no_object() -> None:
    state = away(0.2)
    assert [judge_region(state, 0.6, 0.59, True, RULES).belief for _ in range(6)] == ["other"] * 6


def test_a_region_elsewhere_begins_anew() -> None:
    state = away()
    for again in (False, True, True, False, True, True):
        assert judge_region(state, 0.6, 0.8, again, RULES).belief == "other"
    assert judge_region(state, 0.6, 0.8, True, RULES).belief == "returned"
    assert state.trial == RULES.trial_frames and state.streak == 0


def test_what_is_usual_starts_with_the_first_sure_view_and_follows_slowly() -> None:
    state = IdentityState()
    note_sure(state, seen(0.7, 2, 0.2))
    assert (state.usual, state.usual_lead) == pytest.approx((0.7, 0.5))
    note_sure(state, seen(0.9, 2, 0.2))
    assert (state.usual, state.usual_lead) == pytest.approx((0.72, 0.52))
