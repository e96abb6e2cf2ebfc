"""Maps and masks: what is taken out is taken out, and nothing is edited in place."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.segmentation.mask_maps import (
    at_full_size,
    parts_of,
    shrink,
    withdrawn,
    without_far_parts,
    without_islands,
    without_parts,
)


def islands() -> np.ndarray:
    """A part of 100 pixels and one of 4."""
    probability = np.zeros((40, 40), np.float32)
    probability[5:15, 5:15] = 0.9
    probability[30:32, 30:32] = 0.8
    return probability


@pytest.mark.parametrize(("min_share", "stays"), [(0.05, False), (0.03, True)])
def test_small_islands_go(min_share: float, stays: bool) -> None:
    probability = islands()
    cleaned = without_islands(probability, min_share)
    assert (cleaned[30, 30] > 0) == stays and cleaned[10, 10] == np.float32(0.9)
    assert cleaned.dtype == np.float32 and np.array_equal(probability, islands())


def test_parts_are_told_apart_and_taken_out() -> None:
    probability = islands()
    parts = parts_of(probability)
    assert [part.sum() for part in parts] == [100, 4]
    assert without_parts(probability, parts[:1]).max() == np.float32(0.8)
    assert np.array_equal(without_parts(probability, []), probability) and np.array_equal(probability, islands())


def test_others_get_what_one_took_from_them() -> None:
    shares = np.array([[[0.6]], [[0.2]]], np.float32)
    assert np.allclose(withdrawn(shares, [0])[:, 0, 0], [0.0, 0.5]) and shares[0, 0, 0] == np.float32(0.6)
    assert np.array_equal(withdrawn(shares, [0, 1]), withdrawn(withdrawn(shares, [0]), [1]))
    assert withdrawn(shares[:1], [0])[0, 0, 0] == 0.0


def test_sizes() -> None:
    mask = np.zeros((8, 16), bool)
    mask[2:6, 4:12] = True
    assert shrink(mask, (4, 8)).sum() == 8
    full = at_full_size(shrink(mask, (4, 8)).astype(np.float32), (8, 16))
    assert full.shape == (8, 16) and (full > 0.5)[3, 8]


def test_far_parts_are_left_out_and_near_ones_stay() -> None:
    mask = np.zeros((100, 200), bool)
    mask[20:60, 20:60] = mask[20:60, 66:80] = True  # behind a pole
    assert np.array_equal(without_far_parts(mask), mask)
    both = mask.copy()
    both[80:95, 150:165] = True
    assert np.array_equal(without_far_parts(both), mask)
    assert not without_far_parts(np.zeros((4, 4), bool)).any()
