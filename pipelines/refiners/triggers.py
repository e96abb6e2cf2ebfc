"""When a tracked mask is refined: pure functions of numbers.

HQ-SMem (Kazemi et al., 2507.18921) asks a large model in every frame. Here a quick look, with one candidate, may go
over every mask that leaves, and a full selection among candidates is made where it can change what is remembered: for
a view that is about to become a memory, on doubt, and at intervals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamvos.errors import InputError


@dataclass(frozen=True)
class TriggerConfig:
    """When a mask is refined; a number of 0 turns that trigger off."""

    # Frames between quick looks (one candidate, output only) at an object; larger is faster and leaves masks coarse.
    polish_every: int = 1
    every: int = 10  # frames between full selections whatever else happens; smaller is finer and slower
    # A confident view at least so many frames after the last one, and so novel (1 - cosine to the nearest remembered
    # view), is about to be remembered: it is refined first. Smaller gaps and novelties refine more views.
    memory_gap: int = 5
    memory_novelty: float = 0.004
    confidence_drop: float = 0.08  # below the usual mean probability inside the mask; smaller doubts sooner
    area_jump: float = 1.35  # times, or a part, of the usual area; nearer to 1 doubts sooner
    border_doubt: float = 1.6  # times the usual share of undecided pixels along the border; smaller doubts sooner
    doubt_gap: int = 3  # frames between selections on doubt; larger asks less often about a mask that stays doubtful
    max_per_frame: int = 3  # refinements in a frame, the most urgent first; more is finer and slower with many objects

    def __post_init__(self) -> None:
        if self.area_jump and self.area_jump <= 1:
            raise InputError(f"refine.when.area_jump: expected 0 or a number above 1, got {self.area_jump}")
        for name in (field.name for field in dataclasses.fields(self)):
            if getattr(self, name) < 0:
                raise InputError(f"refine.when.{name}: expected 0 or more, got {getattr(self, name)}")
        if self.max_per_frame < 1:
            raise InputError(f"refine.when.max_per_frame: expected at least 1, got {self.max_per_frame}")


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

    def follow(self, facts: MaskFacts, rate: float = 0.15) -> None:
        """Carry a frame's numbers into the means; a larger rate forgets faster."""
        if not self.area_px:
            self.area_px, self.confidence, self.undecided = float(facts.area_px), facts.confidence, facts.undecided
            return
        self.area_px += rate * (facts.area_px - self.area_px)
        self.confidence += rate * (facts.confidence - self.confidence)
        self.undecided += rate * (facts.undecided - self.undecided)


@dataclass(frozen=True)
class Turn:
    """A refinement that is due.

    Args:
        trigger: "doubt", "memory", "interval" (all candidates), "polish" (one candidate, output only).
        urgency: of two turns the larger comes first.
        reason: the numbers, for people.
    """

    trigger: str
    urgency: float
    reason: str


def mask_facts(probability: np.ndarray) -> MaskFacts:
    """The numbers of an (h, w) probability map."""
    inside = probability > 0.5
    area_px = int(np.count_nonzero(inside))
    if not area_px:
        return MaskFacts(0, 0.0, 0.0, 0.0)
    rim = np.count_nonzero(inside[1:] != inside[:-1]) + np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    undecided = np.count_nonzero((probability > 0.2) & (probability < 0.8))
    sides = [np.ptp(np.flatnonzero(inside.any(axis=axis))) + 1 for axis in (0, 1)]
    return MaskFacts(
        area_px, float(np.sqrt(sides[0] * sides[1])), float(probability[inside].mean()), undecided / max(1, rim)
    )


def doubt(facts: MaskFacts, usual: Usual, config: TriggerConfig) -> Turn | None:
    """Whether a mask is unlike the object's usual ones, told by the number that differs most."""
    if not usual.area_px:
        return None
    ratio = facts.area_px / usual.area_px
    border = facts.undecided / max(usual.undecided, 0.1)
    signs = [
        (
            usual.confidence - facts.confidence,
            config.confidence_drop,
            f"confidence {facts.confidence:.2f}, usually {usual.confidence:.2f}",
        ),
        (max(ratio, 1 / ratio) - 1, max(0.0, config.area_jump - 1), f"area {ratio:.2f} of the usual"),
        (border, config.border_doubt, f"undecided border {facts.undecided:.2f}, usually {usual.undecided:.2f}"),
    ]
    found = [(value / limit, reason) for value, limit, reason in signs if limit > 0 and value > limit]
    if not found:
        return None
    strength, reason = max(found)
    return Turn("doubt", 2.0 + strength, f"doubt: {reason}")


def due(
    frame_index: int,
    object_id: int,
    facts: MaskFacts,
    usual: Usual,
    novelty: float | None,
    config: TriggerConfig,
) -> Turn | None:
    """Why a mask is refined in this frame; None: it is not.

    Args:
        frame_index, object_id: which mask.
        facts, usual: of it, and of the object's masks so far, this one left out.
        novelty: 1 - cosine to the nearest remembered view where the view may be learned, None where it may not.
    """
    if not facts.area_px:
        return None
    if config.doubt_gap and _since(usual.selected_frame, frame_index, config.doubt_gap):
        found = doubt(facts, usual, config)
        if found is not None:
            return found
    if novelty is not None and novelty >= config.memory_novelty and may_be_candidate(frame_index, usual, config):
        reason = f"memory candidate: novelty {novelty:.3f}, confidence {facts.confidence:.2f}"
        return Turn("memory", 1.0 + min(novelty, 0.99), reason)
    if config.every and (frame_index + object_id) % config.every == 0:
        return Turn("interval", 0.9, f"every {config.every} frames")
    if config.polish_every and (frame_index + object_id) % config.polish_every == 0:
        waited = frame_index - usual.refined_frame
        return Turn("polish", 0.8 * waited / (1 + waited), "quick look")
    return None


def may_be_candidate(frame_index: int, usual: Usual, config: TriggerConfig) -> bool:
    """Whether it is long enough since the last memory candidate for the next."""
    return config.memory_gap > 0 and _since(usual.candidate_frame, frame_index, config.memory_gap)


def most_urgent(turns: Sequence[tuple[int, Turn]], config: TriggerConfig) -> list[tuple[int, Turn]]:
    """At most `max_per_frame` of (object id, turn), the most urgent first; the lower id among equals."""
    return sorted(turns, key=lambda one: (-one[1].urgency, one[0]))[: config.max_per_frame]


def _since(last: int, now: int, gap: int) -> bool:
    return last < 0 or now - last >= gap
