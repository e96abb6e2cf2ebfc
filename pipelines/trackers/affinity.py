"""Affinity of keys: carries values from remembered frames to the current one by similarity of their features.

Keys are mask-free and shared by all objects, as in STCN (Cheng et al., 2021). Two readings: `local_affinity` looks at
the frame before, within a window (short motions, the strongest cue there is between neighbours in time);
`global_affinity` looks at a few key frames, anywhere (an object that returns may be at any place).
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as functional

# Chosen on the eight DAVIS sequences of docs/architecture.md; the trained tracker's network learned with them.
RADIUS_CELLS = 8  # half side of the local affinity's window; 5 cells lose a point of J&F
TEMPERATURE = 0.07  # of the softmax over cosines; smaller trusts the single best match
_TILE = 8  # side of the squares of cells compared at once; larger compares more cells that are out of reach
_NOTHING = 0.01  # a value up to which nothing is held
_LEAST_SPREAD = 1e-3  # added to a channel's spread, which may be 0
_LEAST_WEIGHT = 1e-9  # of all cells in a window together: far below that of one match, and not 0


def key_map(*maps: torch.Tensor) -> torch.Tensor:
    """Join (1, C, h, w) feature maps of one size into one (C, h, w) float32 map of unit keys."""
    maps = torch.cat(maps, dim=1)
    maps = maps - maps.mean(dim=(2, 3), keepdim=True)
    spread = maps.square().mean(dim=(2, 3), keepdim=True).sqrt()
    maps = maps / (spread + _LEAST_SPREAD)
    return functional.normalize(maps, dim=1)[0]


def local_affinity(
    query: torch.Tensor,
    key: torch.Tensor,
    values: torch.Tensor,
    radius: int,
    temperature: float = TEMPERATURE,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Carry values over by similarity within a window.

    Args:
        query: (C, h, w) unit keys of the current frame.
        key: (C, h, w) unit keys of the frame before.
        values: (N, h, w) what the frame before holds, 0 almost everywhere.
        radius: half side of the window, in cells.
        temperature: of the softmax over cosines; smaller trusts the single best match.
        dtype: of the products.

    Returns:
        (N, h, w) float32; 0 further than `radius` from any value.
    """
    num_values, height, width = values.shape
    rows, cols = -(-height // _TILE), -(-width // _TILE)  # of tiles
    beyond = (0, cols * _TILE - width, 0, rows * _TILE - height)
    around = (radius, beyond[1] + radius, radius, beyond[3] + radius)
    side = _TILE + 2 * radius

    def windows(maps: torch.Tensor) -> torch.Tensor:
        """(., h, w) to what is within reach of each tile, (., rows, cols, side, side)."""
        return functional.pad(maps, around).unfold(1, side, _TILE).unfold(2, side, _TILE)

    row, col = (windows(values.amax(dim=0, keepdim=True))[0].amax(dim=(2, 3)) > _NOTHING).nonzero(as_tuple=True)
    ones = torch.ones_like(query[:1])
    asked = functional.pad(torch.cat([query / temperature, ones]), beyond).to(dtype)
    tiles = asked.unfold(1, _TILE, _TILE).unfold(2, _TILE, _TILE)[:, row, col].flatten(2)  # (C + 1, T, tile)
    known = windows(torch.cat([key, -ones / temperature]).to(dtype))[:, row, col].flatten(2)  # no cosine is above 1
    weights = torch.bmm(tiles.permute(1, 2, 0), known.transpose(0, 1)).exp()  # (T, tile, window)
    weights *= _within(radius, dtype, weights.device)
    held = windows(torch.cat([values, ones]).to(dtype))[:, row, col].flatten(2)  # beyond the frame, even the ones are 0
    sums = torch.bmm(held.transpose(0, 1), weights.transpose(1, 2)).float()
    found = sums[:, :-1] / sums[:, -1:].clamp_min(_LEAST_WEIGHT)
    carried = values.new_zeros(num_values, rows, cols, _TILE, _TILE)
    carried[:, row, col] = found.transpose(0, 1).unflatten(2, (_TILE, _TILE))
    return carried.permute(0, 1, 3, 2, 4).reshape(num_values, rows * _TILE, cols * _TILE)[:, :height, :width]


@functools.lru_cache(maxsize=8)
def _within(radius: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(tile, window): 1 where a cell of a tile and one of what is around it are at most `radius` apart on each side."""
    apart = radius + torch.arange(_TILE)[:, None] - torch.arange(_TILE + 2 * radius)
    near = apart.abs() <= radius
    return (near[:, None, :, None] & near[None, :, None, :]).flatten(2).flatten(0, 1).to(device, dtype)


def global_affinity(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, top: int, temperature: float = TEMPERATURE
) -> torch.Tensor:
    """Carry values over by similarity to any place of any remembered frame, through the best `top` matches.

    Args:
        query: (C, h, w) unit keys of the current frame.
        keys: (n, C, h, w) unit keys of remembered frames.
        values: (..., n, h, w) values of one object there, of any number of kinds.
        top: how many matches vote.
        temperature: of the softmax over their cosines.

    Returns:
        (..., h, w) float32.
    """
    similarity = query.flatten(1).T @ keys.permute(1, 0, 2, 3).flatten(1)  # (h * w, n * h * w)
    best, index = similarity.topk(min(top, similarity.shape[1]), dim=1)
    weights = torch.softmax(best / temperature, dim=1)
    carried = (weights * values.flatten(-3)[..., index]).sum(dim=-1)
    return carried.unflatten(-1, query.shape[-2:])
