"""Of many masks that a click may mean, the few that differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.refiners.gate import intersection_over_union

_SAME = 0.75  # IoU from which two masks of a click are the same


def are_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two (H, W) bool masks are the same to a person who chooses."""
    return intersection_over_union(one, other) >= _SAME


def distinct(masks: Sequence[np.ndarray]) -> list[int]:
    """Places of the masks that differ from all before them."""
    kept: list[int] = []
    for place, mask in enumerate(masks):
        if not any(are_same(mask, masks[other]) for other in kept):
            kept.append(place)
    return kept
