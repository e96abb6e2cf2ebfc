"""When a refined mask replaces the coarse one: pure functions of numbers.

HQ-SMem (Kazemi et al., 2507.18921) refines a tracker's coarse masks with SAM-HQ. Its constants are not
public; the gate is that of its authors' documented VOTS2024 entry: accept only if the IoU with the coarse
mask exceeds 0.59, and skip where the coarse mask is empty. Ungated refinement made that tracker worse
(0.619 against 0.640), the gated one better (0.651-0.653), and feeding refined masks back into the tracker
took most of that away (0.644); so a mask is fed back only where it passes a stricter test, ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.refiners.triggers import TriggerConfig
from streamvos.errors import InputError
from streamvos.records import MemoryEvent


@dataclass(frozen=True)
class RefineConfig:
    """When masks are refined, and how refined masks are judged."""

    when: TriggerConfig = field(default_factory=TriggerConfig)
    # IoU with the coarse mask that a candidate must exceed; higher trusts the tracker more, 0 trusts the
    # refiner.
    min_agreement: float = 0.59
    # Where the probability of a tracker that knows doubt is below or above, its word stands: a refiner sees one
    # picture, and takes the shadow under a car for the car. 0 and 1 leave all to the refiner.
    sure_off: float = 0.1
    sure_on: float = 0.9
    # IoU above which a refined mask may also be written into the tracker; above 1 never feeds back. It lost in the
    # authors' entry; in ours it lost 0.3 J&F on one set of made-up clips and won on one clip of another.
    feed_back_agreement: float = 1.1
    # What the refiner must think of such a mask itself, where it thinks at all; higher feeds back less.
    feed_back_predicted_iou: float = 0.75
    # Shares in a candidate's score; a larger share lets that number decide between candidates that pass
    # the gate.
    weight_agreement: float = 1.0
    weight_predicted_iou: float = 1.0
    weight_appearance: float = 1.0
    weight_surroundings: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.min_agreement < 1:
            raise InputError(f"refine.min_agreement: expected a number in [0, 1), got {self.min_agreement}")
        if not 0 <= self.sure_off <= self.sure_on <= 1:
            raise InputError(
                f"refine.sure_off, refine.sure_on: expected 0 <= off <= on <= 1, got {self.sure_off}, {self.sure_on}"
            )
        weights = (
            self.weight_agreement,
            self.weight_predicted_iou,
            self.weight_appearance,
            self.weight_surroundings,
        )
        if min(weights) < 0 or self.weight_agreement == 0:
            raise InputError(f"refine weights: expected none below 0 and weight_agreement above 0, got {weights}")


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


@dataclass(frozen=True)
class RefineDecision:
    """What becomes of one object's mask in one frame.

    Args:
        action: "refine" (take candidate `row`), "reject" (keep the coarse mask), "skip" (nothing to refine).
        row: which candidate, None unless the action is "refine".
        feed_back: whether the refined mask may also enter the tracker's memory.
        reason: why, with the numbers.
    """

    action: Literal["refine", "reject", "skip"]
    row: int | None
    feed_back: bool
    reason: str

    def event(self, frame_index: int, object_id: int, bank: str, num_bytes: int) -> MemoryEvent:
        """The decision as a memory event of `bank`, which holds `num_bytes` after it."""
        return MemoryEvent(bank, self.action, frame_index, f"object {object_id}", self.reason, num_bytes)


def score_candidate(numbers: CandidateNumbers, config: RefineConfig) -> float:
    """Weighted mean, in [0, 1], of those numbers that the candidate has."""
    parts = (
        (numbers.agreement, config.weight_agreement),
        (numbers.predicted_iou, config.weight_predicted_iou),
        (numbers.appearance, config.weight_appearance),
        (None if numbers.surroundings is None else 1 - numbers.surroundings, config.weight_surroundings),
    )
    known = [(value, weight) for value, weight in parts if value is not None]
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known)


def decide(coarse_px: int, candidates: Sequence[CandidateNumbers], config: RefineConfig) -> RefineDecision:
    """Choose among the candidates that pass the gate the one with the best score; the first among equals.

    Args:
        coarse_px: area of the coarse mask.
        candidates: their numbers, in the refiner's order.
    """
    if coarse_px == 0:
        return RefineDecision("skip", None, False, "the coarse mask is empty")
    passing = [row for row, one in enumerate(candidates) if one.agreement > config.min_agreement]
    if not passing:
        best = max((one.agreement for one in candidates), default=0.0)
        return RefineDecision(
            "reject",
            None,
            False,
            f"best IoU with the coarse mask {best:.2f} of {len(candidates)} candidates is not above "
            f"{config.min_agreement}",
        )
    row = max(passing, key=lambda row: (score_candidate(candidates[row], config), -row))
    chosen = candidates[row]
    sure = chosen.predicted_iou is None or chosen.predicted_iou > config.feed_back_predicted_iou
    feed_back = chosen.agreement > config.feed_back_agreement and sure
    return RefineDecision("refine", row, feed_back, _praise(chosen, len(passing), len(candidates), config))


def _praise(chosen: CandidateNumbers, num_passing: int, num_candidates: int, config: RefineConfig) -> str:
    facts = [f"IoU with the coarse mask {chosen.agreement:.2f} > {config.min_agreement}"]
    if chosen.predicted_iou is not None:
        facts.append(f"predicted IoU {chosen.predicted_iou:.2f}")
    if chosen.appearance is not None:
        facts.append(f"appearance {chosen.appearance:.2f}")
    if chosen.surroundings is not None:
        facts.append(f"surroundings {chosen.surroundings:.2f}")
    return (
        f"{chosen.name}: {', '.join(facts)}, score {score_candidate(chosen, config):.2f}, "
        f"best of {num_passing} that pass of {num_candidates}"
    )
