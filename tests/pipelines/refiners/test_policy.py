import pytest

from pipelines.refiners.config import RefineConfig
from pipelines.refiners.policy import CandidateNumbers, GateRules, decide, score_candidate
from streamvos.errors import InputError

CONFIG = RefineConfig()


def test_score_is_the_mean_of_what_is_known():
    assert score_candidate(CandidateNumbers("a", 0.6)) == pytest.approx(0.6)
    assert score_candidate(CandidateNumbers("a", 0.6, 0.8)) == pytest.approx(0.7)
    assert score_candidate(CandidateNumbers("a", 0.6, 0.8, 0.1)) == pytest.approx(0.5)
    assert score_candidate(CandidateNumbers("a", 0.6, 0.8, 0.1, 0.8)) == pytest.approx(1.6 / 3.5)
    weighted = GateRules(agreement=1, predicted_iou=3, appearance=0)
    assert score_candidate(CandidateNumbers("a", 0.6, 0.8, 0.1), weighted) == pytest.approx(0.75)


def test_an_empty_mask_skips():
    decision = decide(0, [CandidateNumbers("a", 1.0)], CONFIG)
    assert (decision.action, decision.row, decision.feed_back) == ("skip", None, False)


@pytest.mark.parametrize("agreement, action", [(0.58, "reject"), (0.59, "reject"), (0.60, "refine")])
def test_the_gate(agreement: float, action: str):
    decision = decide(100, [CandidateNumbers("box", agreement, 0.99)], CONFIG)
    assert decision.action == action
    assert (decision.row == 0) == (action == "refine")
    assert (decision.numbers["agreement"], decision.numbers["min_agreement"]) == (agreement, 0.59)


def test_no_candidates_reject():
    assert decide(100, [], CONFIG).action == "reject"


def test_the_best_that_passes_is_taken():
    candidates = [
        CandidateNumbers("wild", 0.3, 1.0, 1.0),  # best numbers, stopped by the gate
        CandidateNumbers("timid", 0.95, 0.6, 0.5),
        CandidateNumbers("good", 0.8, 0.9, 0.9),
        CandidateNumbers("twin", 0.8, 0.9, 0.9),
    ]
    decision = decide(100, candidates, CONFIG)
    assert decision.row == 2, "the first among equals"
    assert decision.reason == "the best that agrees is the one from good"
    assert (decision.numbers["passing"], decision.numbers["candidates"]) == (3, 4)


def test_feeding_back_takes_more():
    config, rules = RefineConfig(feed_back_agreement=0.85), GateRules(feed_back_predicted_iou=0.7)
    assert not decide(100, [CandidateNumbers("a", 0.8)], config, rules).feed_back
    assert decide(100, [CandidateNumbers("a", 0.9)], config, rules).feed_back
    assert not decide(100, [CandidateNumbers("a", 0.9, 0.6)], config, rules).feed_back
    assert decide(100, [CandidateNumbers("a", 0.9, 0.8)], config, rules).feed_back
    assert not decide(100, [CandidateNumbers("a", 1.0, 1.0)], CONFIG).feed_back, "by default nothing is fed back"


@pytest.mark.parametrize(
    "setting",
    [{"min_agreement": 1.1}, {"every": -1}, {"quick_every": -1}, {"max_per_frame": 0}, {"feed_back_agreement": 2.0}],
    ids=str,
)
def test_bad_settings(setting):
    with pytest.raises(InputError, match=rf"setting segment\.refine\.{next(iter(setting))}"):
        RefineConfig(**setting)
