"""When a tracked mask is refined: pure functions of numbers.

HQ-SMem (Kazemi et al., 2507.18921) asks a large model in every frame. Here a quick refinement, by one candidate, may go
over every mask that leaves, and a full selection among candidates is made where it can change what is remembered: for
a view that is about to become a memory, on doubt, and at intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.refiners.config import RefineConfig

_UNDECIDED = 0.2, 0.8  # probabilities between which a pixel may be either
_LEAST_UNDECIDED = 0.1  # pixels for each of circumference; below it a border that frays a little would be a doubt
_FOLLOW_RATE = 0.15  # of what is usual; larger forgets faster
# Urgencies: doubt before what may be remembered before an interval before a quick refinement. Within a kind the numbers
# behind it decide, and stay below the next kind's.
_DOUBT, _MEMORY, _INTERVAL, _QUICK = 2.0, 1.0, 0.9, 0.8
_MOST_NOVELTY = 0.99


@dataclass(frozen=True)
class TriggerRules:
    """When a mask is doubtful or about to be remembered; a number of 0 turns its trigger off.

    Chosen on the development clips of docs/model-cards/refiner.md.

    Args:
        memory_gap, memory_novelty: a confident view at least so many frames after the last one, and so novel (1 -
            cosine to the nearest remembered view), is about to be remembered: it is refined first. As in the `smart`
            policy of key frames; smaller numbers refine more views.
        confidence_drop: below the usual mean probability inside the mask; smaller doubts sooner.
        area_jump: times, or a part, of the usual area; nearer to 1 doubts sooner.
        border_doubt: times the usual share of undecided pixels along the border; smaller doubts sooner.
        doubt_gap: frames between selections on doubt; larger asks less often about a mask that stays doubtful.
    """

    memory_gap: int = 5
    memory_novelty: float = 0.004
    confidence_drop: float = 0.08
    area_jump: float = 1.35
    border_doubt: float = 1.6
    doubt_gap: int = 3


TRIGGERS = TriggerRules()


@dataclass(frozen=True)
class MaskFacts:
    """What is known of a mask before it is refined.

    Args:
        area_px: at the working size.
        box_px: geometric mean of the sides of its box, likewise.
        confidence: mean probability inside it.
        undecided: pixels with a probability near one half, for each pixel of circumference.
    """

    area_px: int
    box_px: float
    confidence: float
    undecided: float


@dataclass
class Usual:
    """What an object's masks are usually like (running means), and when it was refined; -1: never."""

    area_px: float = 0.0
    confidence: float = 0.0
    undecided: float = 0.0
    refined_frame: int = -1
    selected_frame: int = -1
    candidate_frame: int = -1

    def follow(self, facts: MaskFacts) -> None:
        """Carry a frame's numbers into the means."""
        if not self.area_px:
            self.area_px, self.confidence, self.undecided = float(facts.area_px), facts.confidence, facts.undecided
            return
        self.area_px += _FOLLOW_RATE * (facts.area_px - self.area_px)
        self.confidence += _FOLLOW_RATE * (facts.confidence - self.confidence)
        self.undecided += _FOLLOW_RATE * (facts.undecided - self.undecided)


@dataclass(frozen=True)
class RefineRequest:
    """A refinement that is due.

    Args:
        trigger: "doubt", "memory", "interval" (all candidates), "quick" (one candidate, output only).
        urgency: of two requests the larger comes first.
        reason: for people.
        numbers: those behind it.
    """

    trigger: str
    urgency: float
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def mask_facts(probability: np.ndarray) -> MaskFacts:
    """The numbers of an (h, w) probability map."""
    inside = probability > 0.5
    area_px = int(np.count_nonzero(inside))
    if not area_px:
        return MaskFacts(0, 0.0, 0.0, 0.0)
    rim = np.count_nonzero(inside[1:] != inside[:-1]) + np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    low, high = _UNDECIDED
    undecided = np.count_nonzero((probability > low) & (probability < high))
    sides = [np.ptp(np.flatnonzero(inside.any(axis=axis))) + 1 for axis in (0, 1)]
    return MaskFacts(
        area_px, float(np.sqrt(sides[0] * sides[1])), float(probability[inside].mean()), undecided / max(1, rim)
    )


def doubt(facts: MaskFacts, usual: Usual, rules: TriggerRules = TRIGGERS) -> RefineRequest | None:
    """Whether a mask is unlike the object's usual ones, told by the number that differs most."""
    if not usual.area_px:
        return None
    ratio = facts.area_px / usual.area_px
    border = facts.undecided / max(usual.undecided, _LEAST_UNDECIDED)
    sure = {"confidence": facts.confidence, "usual_confidence": usual.confidence}
    frayed = {"undecided": facts.undecided, "usual_undecided": usual.undecided}
    signs = [
        (usual.confidence - facts.confidence, rules.confidence_drop, "its confidence fell", sure),
        (max(ratio, 1 / ratio) - 1, max(0.0, rules.area_jump - 1), "its area changed", {"area_ratio": ratio}),
        (border, rules.border_doubt, "its border frays", frayed),
    ]
    found = [(value / limit, reason, numbers) for value, limit, reason, numbers in signs if limit > 0 and value > limit]
    if not found:
        return None
    strength, reason, numbers = max(found, key=lambda sign: sign[:2])
    return RefineRequest("doubt", _DOUBT + strength, reason, numbers)


def due(
    frame_index: int,
    object_id: int,
    facts: MaskFacts,
    usual: Usual,
    novelty: float | None,
    config: RefineConfig,
    rules: TriggerRules = TRIGGERS,
) -> RefineRequest | None:
    """Why a mask is refined in this frame; None: it is not.

    Args:
        frame_index, object_id: which mask.
        facts, usual: of it, and of the object's masks so far, this one left out.
        novelty: 1 - cosine to the nearest remembered view where the view may be learned, None where it may not.
        config, rules: see there.
    """
    if not facts.area_px:
        return None
    if rules.doubt_gap and _since(usual.selected_frame, frame_index, rules.doubt_gap):
        found = doubt(facts, usual, rules)
        if found is not None:
            return found
    if novelty is not None and novelty >= rules.memory_novelty and may_be_candidate(frame_index, usual, rules):
        numbers = {"novelty": novelty, "confidence": facts.confidence}
        urgency = _MEMORY + min(novelty, _MOST_NOVELTY)
        return RefineRequest("memory", urgency, "its view may be remembered", numbers)
    if config.every and (frame_index + object_id) % config.every == 0:
        return RefineRequest("interval", _INTERVAL, "its turn has come")
    if config.quick_every and (frame_index + object_id) % config.quick_every == 0:
        waited = frame_index - usual.refined_frame
        return RefineRequest("quick", _QUICK * waited / (1 + waited), "a quick refinement")
    return None


def may_be_candidate(frame_index: int, usual: Usual, rules: TriggerRules = TRIGGERS) -> bool:
    """Whether it is long enough since the last memory candidate for the next."""
    return rules.memory_gap > 0 and _since(usual.candidate_frame, frame_index, rules.memory_gap)


def most_urgent(requests: Sequence[tuple[int, RefineRequest]], most: int) -> list[tuple[int, RefineRequest]]:
    """At most so many of (object id, request), the most urgent first; the lower id among equals."""
    return sorted(requests, key=lambda one: (-one[1].urgency, one[0]))[:most]


def _since(last: int, now: int, gap: int) -> bool:
    return last < 0 or now - last >= gap
