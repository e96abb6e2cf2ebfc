"""How objects that were found one by one share the pixels of a frame."""

from __future__ import annotations

import numpy as np

_LEAST = 1e-6  # a probability is kept so far from 0 and 1, where odds are 0 or endless


def share_out(probabilities: np.ndarray) -> np.ndarray:
    """Soft aggregation (STM, Oh et al., 2019): (N, h, w) independent probabilities to shares that sum to at most 1."""
    if len(probabilities) == 1:
        return probabilities
    clipped = np.clip(probabilities, _LEAST, 1.0 - _LEAST)
    odds = clipped / (1.0 - clipped)
    background = np.prod(1.0 - clipped, axis=0)
    background_odds = background / (1.0 - background).clip(_LEAST)
    return (odds / (odds.sum(axis=0) + background_odds)).astype(np.float32)
