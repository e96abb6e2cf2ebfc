"""When a refined mask replaces the coarse one: pure functions of numbers.

HQ-SMem (Kazemi et al., 2507.18921) refines a tracker's coarse masks with SAM-HQ. Its constants are not
public; the gate is that of its authors' documented VOTS2024 entry: accept only if the IoU with the coarse
mask exceeds 0.59, and skip where the coarse mask is empty. Ungated refinement made that tracker worse
(0.619 against 0.640), the gated one better (0.651-0.653), and feeding refined masks back into the tracker
took most of that away (0.644); so a mask is fed back only where it passes a stricter test, ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.refiners.config import RefineConfig


@dataclass(frozen=True)
class GateRules:
    """How candidates are weighed. Chosen on the development clips of docs/model-cards/refiner.md.

    Args:
        feed_back_predicted_iou: what the refiner must think of a mask that is fed back, where it thinks at all; higher
            feeds back less.
        agreement, predicted_iou, appearance, surroundings: shares in a candidate's score; a larger share lets that
            number decide between candidates that pass the gate.
    """

    feed_back_predicted_iou: float = 0.75
    agreement: float = 1.0
    predicted_iou: float = 1.0
    appearance: float = 1.0
    surroundings: float = 0.5


GATE = GateRules()


@dataclass(frozen=True)
class CandidateNumbers:
    """What the policy knows of a candidate.

    Args:
        name: how it was made ("box", "box+mask").
        agreement: IoU with the coarse mask, in [0, 1].
        predicted_iou: the refiner's own estimate in [0, 1], None where it has none.
        appearance: how well the pixels inside fit what is known of the object, in [0, 1], None where nothing is.
        surroundings: how well those just outside do, likewise; a mask that leaves a part of the object out has more.
    """

    name: str
    agreement: float
    predicted_iou: float | None = None
    appearance: float | None = None
    surroundings: float | None = None

    def known(self) -> dict[str, float]:
        """The numbers that it has."""
        numbers = {name: getattr(self, name) for name in ("agreement", "predicted_iou", "appearance", "surroundings")}
        return {name: value for name, value in numbers.items() if value is not None}


@dataclass(frozen=True)
class RefineDecision:
    """What becomes of one object's mask in one frame.

    Args:
        action: "refine" (take candidate `row`), "reject" (keep the coarse mask), "skip" (nothing to refine).
        row: which candidate, None unless the action is "refine".
        feed_back: whether the refined mask may also enter the tracker's memory.
        reason: why.
        numbers: those that decided it.
    """

    action: Literal["refine", "reject", "skip"]
    row: int | None
    feed_back: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def score_candidate(numbers: CandidateNumbers, rules: GateRules = GATE) -> float:
    """Weighted mean, in [0, 1], of those numbers that the candidate has."""
    parts = (
        (numbers.agreement, rules.agreement),
        (numbers.predicted_iou, rules.predicted_iou),
        (numbers.appearance, rules.appearance),
        (None if numbers.surroundings is None else 1 - numbers.surroundings, rules.surroundings),
    )
    known = [(value, weight) for value, weight in parts if value is not None]
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known)


def decide(
    coarse_px: int, candidates: Sequence[CandidateNumbers], config: RefineConfig, rules: GateRules = GATE
) -> RefineDecision:
    """Choose among the candidates that pass the gate the one with the best score; the first among equals.

    Args:
        coarse_px: area of the coarse mask.
        candidates: their numbers, in the refiner's order.
        config, rules: see there.
    """
    if coarse_px == 0:
        return RefineDecision("skip", None, False, "it is empty")
    passing = [row for row, one in enumerate(candidates) if one.agreement > config.min_agreement]
    counts = {"candidates": len(candidates), "passing": len(passing), "min_agreement": config.min_agreement}
    if not passing:
        best = max((one.agreement for one in candidates), default=0.0)
        return RefineDecision("reject", None, False, "no candidate agrees with it", {"agreement": best, **counts})
    row = max(passing, key=lambda row: (score_candidate(candidates[row], rules), -row))
    chosen = candidates[row]
    sure = chosen.predicted_iou is None or chosen.predicted_iou > rules.feed_back_predicted_iou
    limit = config.feed_back_agreement
    feed_back = limit is not None and chosen.agreement > limit and sure
    numbers = {**chosen.known(), "score": score_candidate(chosen, rules), **counts}
    return RefineDecision("refine", row, feed_back, f"the best that agrees is the one from {chosen.name}", numbers)
