"""What training minimises: bootstrapped cross entropy and soft Jaccard, over the pixels of each object."""

from __future__ import annotations

import torch
import torch.nn.functional as functional

_SMOOTH = 1.0  # pixels; an object that is away and not found has no loss


def bootstrapped_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, share: float, known: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cross entropy of the hardest `share` of pixels of each row, (R, h, w) against soft targets in [0, 1].

    Pixels where `known` (R, h, w) is 0 do not count; None: all count. Easy pixels are most of a frame; leaving them out
    keeps the gradient on boundaries and look-alikes.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1)
    if known is not None:
        losses = losses * known.flatten(1)
    count = max(1, int(share * losses.shape[1]))
    return losses.topk(count, dim=1).values.mean()


def soft_jaccard(logits: torch.Tensor, targets: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
    """(R,) of 1 - |p t| / |p + t - p t|, of rows (R, h, w), over the pixels that are `known` (R, h, w)."""
    probabilities, targets = logits.sigmoid().flatten(1), targets.flatten(1)
    if known is not None:
        probabilities, targets = probabilities * known.flatten(1), targets * known.flatten(1)
    both = (probabilities * targets).sum(dim=1)
    either = (probabilities + targets).sum(dim=1) - both
    return 1.0 - (both + _SMOOTH) / (either + _SMOOTH)


def jaccard(logits: torch.Tensor, targets: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
    """(R,) overlap of the thresholded masks where the truth is `known`; 1 where both are empty."""
    found, truth = (logits > 0).flatten(1), (targets > 0.5).flatten(1)
    if known is not None:
        found, truth = found & (known > 0).flatten(1), truth & (known > 0).flatten(1)
    either = (found | truth).sum(dim=1)
    return torch.where(either > 0, (found & truth).sum(dim=1) / either.clamp_min(1), 1.0)
