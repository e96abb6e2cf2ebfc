"""The masks that a tracker in training remembers: its own, hardened, some spoilt as they are after a long drift.

The ranges of all draws: as in `clips.py`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as functional

from pipelines.trackers.ridge_tracker import SHARPNESS

_SPOILT_SHARE = 0.35  # of the masks that go on; larger learns to mend more and to trust its memory less


def remember(logits: torch.Tensor, keys: torch.Tensor, rng: np.random.Generator | None) -> torch.Tensor:
    """The (R, h4, w4) masks that go on, of (R, h4, w4) logits and (R, C, h8, w8) keys; without `rng` none is spoilt."""
    probability = torch.sigmoid(SHARPNESS * (logits.sigmoid() - 0.5))
    if rng is not None:
        for row, key in zip(probability, keys, strict=True):
            if rng.random() < _SPOILT_SHARE:
                spoil(row, key, rng)
    return probability


def spoil(mask: torch.Tensor, key: torch.Tensor, rng: np.random.Generator) -> None:
    """Change one (h4, w4) mask in place: erase or add a piece (a box, or what looks alike), shift, thicken or thin it.

    `key` (C, h8, w8), of unit length in each cell, says what looks alike.
    """
    kind = int(rng.integers(6))
    if kind < 4:
        _spoil_piece(mask, key if kind >= 2 else None, kind % 2 == 0, rng)
    elif kind == 4:
        mask.copy_(torch.roll(mask, tuple(rng.integers(-2, 3, 2).tolist()), (0, 1)))
    else:
        sign = 1.0 if rng.random() < 0.5 else -1.0
        mask.copy_(sign * functional.max_pool2d(sign * mask[None], 3, 1, 1)[0])


def _spoil_piece(mask: torch.Tensor, key: torch.Tensor | None, erase: bool, rng: np.random.Generator) -> None:
    """Erase a piece of the mask or add one to it: a box or, with `key`, what looks alike around a point."""
    rows, cols = ((mask > 0.5) == erase).nonzero(as_tuple=True)
    if not len(rows):
        return
    pick = int(rng.integers(len(rows)))
    row, col = int(rows[pick]), int(cols[pick])
    size = tuple(int(rng.integers(2, max(3, side // 4))) for side in mask.shape)
    if key is None:
        piece = _box(mask, row, col, size)
    else:  # what a tracker adds or loses by mistake is of one colour and texture, not a box
        like = torch.einsum("c,chw->hw", key[:, row // 2, col // 2], key)
        alike = (like > rng.uniform(0.3, 0.7)).repeat_interleave(2, 0).repeat_interleave(2, 1)
        piece = _box(mask, row, col, (mask.shape[0] // 2, mask.shape[1] // 2)) & alike
    mask[piece] = 0.0 if erase else 1.0


def _box(mask: torch.Tensor, row: int, col: int, size: tuple[int, int]) -> torch.Tensor:
    """Bool, like `mask`: a box of `size` around a cell, pushed inside at the top and on the left."""
    top, left = max(0, row - size[0] // 2), max(0, col - size[1] // 2)
    box = torch.zeros_like(mask, dtype=torch.bool)
    box[top : top + size[0], left : left + size[1]] = True
    return box
