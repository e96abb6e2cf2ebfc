"""Masks that a tracker in training remembers."""

from __future__ import annotations

import numpy as np
import torch

from pipelines.training.memory_masks import remember, spoil


def box() -> torch.Tensor:
    mask = torch.zeros(24, 24)
    mask[6:16, 6:16] = 1.0
    return mask


def keys() -> torch.Tensor:
    """All cells differ."""
    key = torch.randn(8, 12, 12, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(key, dim=0)


def test_a_spoilt_mask_differs_and_stays_a_mask() -> None:
    changed = 0
    for seed in range(30):
        mask = box()
        spoil(mask, keys(), np.random.default_rng(seed))
        assert mask.min() >= 0 and mask.max() <= 1
        changed += not torch.equal(mask, box())
    assert changed > 20


def test_an_empty_mask_may_gain_a_piece_and_a_full_one_may_lose_one() -> None:
    sums = {0.0: set(), 1.0: set()}
    for value, seen in sums.items():
        for seed in range(40):
            mask = torch.full((24, 24), value)
            spoil(mask, keys(), np.random.default_rng(seed))
            seen.add(float(mask.sum()))
    assert 0.0 in sums[0.0] and max(sums[0.0]) > 10
    assert 576.0 in sums[1.0] and min(sums[1.0]) < 566


def test_what_looks_alike_is_added_whole() -> None:
    """Two kinds of cells, left and right of a line: a piece that is added by similarity ends at the line."""
    key = torch.zeros(2, 12, 12)
    key[0, :, :6], key[1, :, 6:] = 1.0, 1.0
    grown = []
    for seed in range(200):
        mask = torch.zeros(24, 24)
        spoil(mask, key, np.random.default_rng(seed))
        rows, cols = mask.nonzero(as_tuple=True)
        if len(rows) and max(np.ptp(rows.numpy()), np.ptp(cols.numpy())) >= 7:  # wider than a box may be
            grown.append(cols)
    assert grown and all((cols < 12).all() or (cols >= 12).all() for cols in grown)


def test_masks_go_on_hardened_and_only_some_are_spoilt() -> None:
    logits = torch.logit(box().clamp(0.1, 0.9)).repeat(40, 1, 1)
    plain = remember(logits, keys().repeat(40, 1, 1, 1), None)
    assert (plain[:, 8, 8] > 0.99).all() and (plain[:, 0, 0] < 0.01).all()
    drawn = remember(logits, keys().repeat(40, 1, 1, 1), np.random.default_rng(0))
    same = sum(torch.equal(one, two) for one, two in zip(plain, drawn, strict=True))
    assert 18 <= same <= 36  # 35 % are spoilt, a few of them to no effect
    again = remember(logits, keys().repeat(40, 1, 1, 1), np.random.default_rng(0))
    assert torch.equal(drawn, again)
