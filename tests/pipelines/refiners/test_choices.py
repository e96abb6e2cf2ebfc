"""What is offered of many masks."""

from __future__ import annotations

import numpy as np

from pipelines.refiners.choices import are_same, distinct


def block(width: int) -> np.ndarray:
    mask = np.zeros((20, 40), bool)
    mask[:, :width] = True
    return mask


def test_the_first_of_what_is_the_same() -> None:
    assert are_same(block(20), block(16)) and not are_same(block(20), block(14))
    assert distinct([block(20), block(18), block(10), block(30), block(3)]) == [0, 2, 3, 4]
    assert distinct([]) == []
