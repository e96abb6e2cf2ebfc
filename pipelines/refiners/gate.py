"""Refinement behind a gate (HQ-SMem, 2507.18921): the best candidate, where it agrees with the coarse mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.refiners.config import RefineConfig
from pipelines.refiners.policy import GATE, CandidateNumbers, GateRules, RefineDecision, decide
from pipelines.refiners.protocol import Refiner


@dataclass(frozen=True)
class Similarity:
    """How similar to what is known of an object a mask's content is, and what surrounds it; each in [0, 1]."""

    inside: float
    surroundings: float | None


def refine_mask(
    refiner: Refiner,
    coarse: np.ndarray,
    config: RefineConfig,
    similarity: Callable[[np.ndarray], Similarity] | None = None,
    quick: bool = False,
    rules: GateRules = GATE,
) -> tuple[np.ndarray, RefineDecision]:
    """Refine one object's coarse mask in the image that was set, behind the gate.

    Args:
        refiner: with the image set.
        coarse: (H, W) bool, the tracker's mask; an empty one never reaches the refiner.
        config, rules: see there.
        similarity: of an (H, W) bool mask to the object; None: not known, or not asked for.
        quick: by one candidate alone.

    Returns:
        The chosen mask, or `coarse` itself where the gate rejects or skips; and the decision.
    """
    coarse_px = int(np.count_nonzero(coarse))
    candidates = refiner.refine(coarse=coarse, quick=quick) if coarse_px else ()
    numbers = []
    for one in candidates:
        known = None if similarity is None or not one.mask.any() else similarity(one.mask)
        numbers.append(
            CandidateNumbers(
                one.name,
                intersection_over_union(one.mask, coarse),
                one.predicted_iou,
                None if known is None else known.inside,
                None if known is None else known.surroundings,
            )
        )
    decision = decide(coarse_px, numbers, config, rules)
    return (coarse if decision.row is None else candidates[decision.row].mask), decision


def intersection_over_union(first: np.ndarray, second: np.ndarray) -> float:
    """IoU of two (H, W) bool masks; 0 where both are empty, for nothing agrees with nothing."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 0.0
