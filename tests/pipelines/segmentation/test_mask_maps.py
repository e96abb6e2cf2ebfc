"""Masks between the sizes of the tracker and of the frame."""

from __future__ import annotations

import numpy as np

from pipelines.segmentation.mask_maps import at_full_size, drop_islands, shrink


def test_islands_small_beside_the_largest_part_go() -> None:
    probability = np.zeros((20, 30), np.float32)
    probability[2:12, 2:12], probability[15, 20], probability[2:6, 20:25] = 0.9, 0.8, 0.7
    drop_islands(probability, 0.05)
    assert probability[15, 20] == 0 and (probability[2:6, 20:25] > 0).all() and (probability[2:12, 2:12] > 0).all()
    before = probability.copy()
    drop_islands(probability, 0.0)
    assert np.array_equal(probability, before)


def test_masks_change_size_and_keep_their_place() -> None:
    small = np.zeros((10, 20), np.float32)
    small[2:8, 4:16] = 0.9
    large = at_full_size(small, (40, 80)) > 0.5
    assert large.dtype == bool and abs(int(large.sum()) - 24 * 48) < 100
    assert np.array_equal(shrink(large, (10, 20)), small > 0.5)
    dot = np.zeros((40, 80), bool)
    dot[3, 3] = True
    assert shrink(dot, (40, 80)).sum() == 1
