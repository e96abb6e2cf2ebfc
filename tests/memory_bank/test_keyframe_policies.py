"""When a view is written and which one is dropped, in numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from memory_bank.keyframe_policies import (
    EVICTIONS,
    View,
    WriteRule,
    drop_most_redundant,
    drop_oldest,
    eviction,
    judge_write,
)
from streamvos.errors import InputError

RULE = WriteRule(min_confidence=0.8, min_area_ratio=0.5, max_area_ratio=2.0, min_gap_frames=5, min_novelty=0.1)
GOOD = View(area_px=100, confidence=0.9, area_ratio=1.0, gap_frames=5, novelty=0.1)


@pytest.mark.parametrize(
    ("change", "taken", "reason"),
    [
        ({}, True, "confidence 0.90, area ratio 1.00, novelty 0.100"),
        ({"confidence": 0.8}, True, "confidence 0.80"),
        ({"area_ratio": 0.5}, True, "area ratio 0.50"),
        ({"area_ratio": 2.0}, True, "area ratio 2.00"),
        ({"area_px": 0}, False, "not visible"),
        ({"gap_frames": 4}, False, "4 frames since the last key frame < 5"),
        ({"confidence": 0.79}, False, "confidence 0.79 < 0.80"),
        ({"area_ratio": 0.49}, False, "area 0.49 of the recent median, outside 0.50-2.00"),
        ({"area_ratio": 2.01}, False, "area 2.01 of the recent median"),
        ({"novelty": 0.09}, False, "novelty 0.090 < 0.100"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_each_condition_of_the_write_rule(change: dict[str, float], taken: bool, reason: str) -> None:
    decided, why = judge_write(dataclasses.replace(GOOD, **change), RULE)
    assert decided is taken and reason in why


def unit(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_oldest_goes_first() -> None:
    row, reason = drop_oldest(np.array([9, 4, 7]), unit(0, 90, 1))
    assert row == 1 and reason == "oldest of 3"


def test_of_the_most_alike_pair_the_older_goes() -> None:
    frames, looks = np.array([4, 30, 12, 20]), unit(0, 50, 100, 52)
    row, reason = drop_most_redundant(frames, looks)
    assert row == 3 and reason.endswith("to frame 30")
    row, reason = drop_most_redundant(frames[::-1].copy(), looks)  # now frames 20, 12, 30, 4
    assert row == 3 and reason.endswith("to frame 12")
    assert drop_most_redundant(np.array([5]), unit(0)) == (0, "the only one")


def test_policies_by_name() -> None:
    assert eviction("smart") is drop_most_redundant and eviction("fifo") is drop_oldest
    with pytest.raises(InputError) as error:
        eviction("smrt")
    assert all(name in str(error.value) for name in EVICTIONS) and "did you mean 'smart'" in str(error.value)
