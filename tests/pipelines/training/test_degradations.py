"""Bursts of degradation in made-up clips; the pictures of single frames are tested with the composed benchmark."""

from __future__ import annotations

import numpy as np

from pipelines.training.degradations import degrade_clip


def test_a_burst_spoils_some_frames_and_a_frozen_one_takes_its_truth_along() -> None:
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (240, 64, 3), dtype=np.uint8)
    frozen = spoilt = 0
    for seed in range(60):
        frames = np.stack([np.roll(still, 5 * index, axis=1) for index in range(6)])
        masks = np.zeros((6, 1, 240, 64), np.uint8)
        for index in range(6):
            masks[index, 0, :, 5 * index : 5 * index + 10] = 1
        before, truth = frames.copy(), masks.copy()
        degrade_clip(np.random.default_rng(seed), frames, (masks,))
        changed = [index for index in range(6) if not np.array_equal(frames[index], before[index])]
        assert changed == list(range(changed[0], changed[-1] + 1))
        if np.array_equal(masks, truth):
            spoilt += 1
            continue
        frozen += 1
        for index in changed:
            assert np.array_equal(frames[index], before[changed[0] - 1])
            assert np.array_equal(masks[index], truth[changed[0] - 1])
    assert frozen >= 4 and spoilt >= 30
