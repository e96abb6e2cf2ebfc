"""The closed-form head that tells an object from the rest: ridge regression on frozen features.

The dynamic appearance model of HQ-SMem (Kazemi et al., 2025) in the form of FRTM (Robinson et al., 2020), solved
exactly: the head is fitted to sums over pixels (a Gram matrix and a moment), so a remembered view costs the same
few bytes whatever its size, and views can be mixed and forgotten by adding and dropping sums.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as functional

from streamvos.models.efficientnet_lite import Features

REGULARISATION = 1e-3  # of a head, against the mean of its Gram matrix' diagonal; larger fits less and is steadier
_BANDS = 4  # in which a Gram matrix is computed; more compute less twice, in smaller products
_LEAST_SPREAD = 1e-3  # added to a channel's spread, which may be 0
_NOTHING = 0.004  # share of a cell up to which an object is not there: one of 255 grey levels


def describe(features: Features) -> torch.Tensor:
    """Describe each stride-8 cell: (568, h, w) from stride 16 (112), 3x3 of stride 8 (360), 2x2 of stride 4 (96)."""
    around = functional.unfold(features.stride8, 3, padding=1).unflatten(2, features.stride8.shape[-2:])
    fine = functional.pixel_unshuffle(features.stride4, 2)
    return torch.cat([features.stride16_at_8, around, fine], dim=1)[0]


class Normaliser:
    """Brings descriptors to zero mean and unit spread, and appends a constant.

    Args:
        mean, spread: (D, 1) of each channel.
    """

    def __init__(self, mean: torch.Tensor, spread: torch.Tensor) -> None:
        self._mean, self._spread = mean, spread

    @classmethod
    def fitted(cls, description: torch.Tensor) -> Normaliser:
        """By the statistics of one frame, (D, h, w)."""
        flat = description.flatten(1)
        return cls(flat.mean(dim=1, keepdim=True), flat.std(dim=1, keepdim=True) + _LEAST_SPREAD)

    def __call__(self, description: torch.Tensor) -> torch.Tensor:
        """(D, h, w) to (D + 1, h * w)."""
        flat = description.flatten(1)
        normalised = flat.new_empty(len(flat) + 1, flat.shape[1])
        torch.sub(flat, self._mean, out=normalised[:-1]).div_(self._spread)
        normalised[-1] = 1.0
        return normalised

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"mean": self._mean.cpu().numpy(), "spread": self._spread.cpu().numpy()}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray], device: torch.device) -> Normaliser:
        return cls(*(torch.tensor(state[name], device=device) for name in ("mean", "spread")))


class PixelSums:
    """What the head of any object needs of one frame; the part that all objects share is computed once.

    Args:
        pixels: (D, P) normalised descriptors.
    """

    def __init__(self, pixels: torch.Tensor) -> None:
        self._pixels = pixels
        self._gram = _gram_of(pixels)

    def of(self, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Class-balanced Gram matrix (D, D) and moment (D,) for a soft (P,) target in [0, 1].

        Object and background weigh half each, however few pixels the object has; without that a small object is
        not worth the head's while.
        """
        weight_on = 0.5 / target.sum().clamp_min(1.0)
        weight_off = 0.5 / (1.0 - target).sum().clamp_min(1.0)
        support = (target > _NOTHING).nonzero().flatten()
        inside, share = self._pixels[:, support], target[support]
        gram = weight_off * self._gram + (inside * (share * (weight_on - weight_off))) @ inside.T
        moment = inside @ (share * (weight_on * share + weight_off * (1.0 - share)))
        return gram, moment


def _gram_of(pixels: torch.Tensor) -> torch.Tensor:
    """(D, P) to the symmetric (D, D) product with itself; the lower triangle is not computed twice."""
    gram = pixels.new_empty(len(pixels), len(pixels))
    step = -(-len(pixels) // _BANDS)
    for start in range(0, len(pixels), step):
        end = start + step
        band = pixels[start:end] @ pixels[start:].T
        gram[start:end, start:], gram[start:, start:end] = band, band.T
    return gram


def solve(gram: torch.Tensor, moment: torch.Tensor, regularisation: float) -> torch.Tensor:
    """The (D,) head: argmin |w^T (X head - y)|^2 + regularisation * mean(diag) * |head|^2."""
    ridge = regularisation * gram.diagonal().mean()
    factor = torch.linalg.cholesky(gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device))
    return torch.cholesky_solve(moment[:, None], factor)[:, 0]


def pack(gram: torch.Tensor) -> torch.Tensor:
    """The upper triangle of a symmetric (D, D) matrix as (D * (D + 1) / 2,)."""
    row, col = torch.triu_indices(*gram.shape, device=gram.device)
    return gram[row, col]


def unpack(packed: torch.Tensor, size: int) -> torch.Tensor:
    """The symmetric (size, size) matrix of a packed triangle."""
    row, col = torch.triu_indices(size, size, device=packed.device)
    gram = packed.new_empty(size, size)
    gram[row, col] = packed
    gram[col, row] = packed
    return gram
