"""Affinity of keys: carries values from remembered frames to the current one by likeness of their features.

Keys are mask-free and shared by all objects, as in STCN (Cheng et al., 2021). Two readings: `local_affinity` looks at
the frame before, within a window (short motions, the strongest cue there is between neighbours in time);
`global_affinity` looks at a few key frames, anywhere (an object that returns may be at any place).
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as functional

_TILE = 12  # side of the squares of cells compared at once; larger compares more cells that are out of reach


def key_map(stride16: torch.Tensor, stride8: torch.Tensor, stride: int) -> torch.Tensor:
    """Join two feature maps into one (C, h, w) float32 map of unit keys at stride 8 or 16."""
    if stride == 16:
        maps = torch.cat([stride16, functional.avg_pool2d(stride8, 2)], dim=1)
    else:
        upsampled = functional.interpolate(stride16, stride8.shape[-2:], mode="bilinear", align_corners=False)
        maps = torch.cat([upsampled, stride8], dim=1)
    maps = maps - maps.mean(dim=(2, 3), keepdim=True)
    spread = maps.square().mean(dim=(2, 3), keepdim=True).sqrt()
    maps = maps / (spread + 1e-3)
    return functional.normalize(maps, dim=1)[0]


def local_affinity(
    query: torch.Tensor, key: torch.Tensor, values: torch.Tensor, radius: int, temperature: float
) -> torch.Tensor:
    """Carry values over by likeness within a window.

    Args:
        query: (C, h, w) unit keys of the current frame.
        key: (C, h, w) unit keys of the frame before.
        values: (N, h, w) what the frame before holds, 0 almost everywhere.
        radius: half side of the window, in cells.
        temperature: of the softmax over cosines; smaller trusts the single best match.

    Returns:
        (N, h, w) float32; 0 further than `radius` from any value.
    """
    carried = torch.zeros_like(values)
    held = values.amax(dim=0) > 0.01
    rows, cols = (held.any(dim=side).nonzero().flatten() for side in (1, 0))
    if not len(rows):
        return carried
    height, width = values.shape[-2:]
    top, bottom = max(0, int(rows[0]) - radius), min(height, int(rows[-1]) + radius + 1)
    left, right = max(0, int(cols[0]) - radius), min(width, int(cols[-1]) + radius + 1)
    least = query.new_tensor(-1.0 / temperature)  # no cosine is above 1
    for start in range(top, bottom, _TILE):
        end = min(bottom, start + _TILE)
        above, below = max(0, start - radius), min(height, end + radius)
        for first in range(left, right, _TILE):
            last = min(right, first + _TILE)
            before, after = max(0, first - radius), min(width, last + radius)
            if not held[above:below, before:after].any():
                continue
            block = query[:, start:end, first:last].flatten(1)  # (C, hq * wq)
            known = key[:, above:below, before:after].flatten(1)  # (C, hk * wk)
            weights = torch.addmm(least, block.T, known, alpha=1.0 / temperature).exp_()
            weights *= _window(
                (end - start, start - above, below - above), (last - first, first - before, after - before), radius
            ).to(query)
            memory = values[:, above:below, before:after].flatten(1)  # (N, hk * wk)
            part = (memory @ weights.T) / weights.sum(dim=1).clamp_min(1e-9)
            carried[:, start:end, first:last] = part.view(-1, end - start, last - first)
    return carried


@functools.lru_cache(maxsize=64)  # tiles inside a picture are all alike
def _window(rows: tuple[int, int, int], cols: tuple[int, int, int], radius: int) -> torch.Tensor:
    """(hq * wq, hk * wk) float32: 1 where a cell of a tile and a remembered one are at most `radius` apart on each side.

    `rows` and `cols`: how many the tile has, where it starts among the remembered ones, and how many of those there are.
    """
    near = [
        (start + torch.arange(count)[:, None] - torch.arange(total)).abs() <= radius
        for count, start, total in (rows, cols)
    ]
    return (near[0][:, None, :, None] & near[1][None, :, None, :]).flatten(2).flatten(0, 1).float()


def global_affinity(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, top: int, temperature: float
) -> torch.Tensor:
    """Carry values over by likeness to any place of any remembered frame, through the best `top` matches.

    Args:
        query: (C, h, w) unit keys of the current frame.
        keys: (n, C, h, w) unit keys of remembered frames.
        values: (..., n, h, w) values of one object there, of any number of kinds.
        top: how many matches vote.
        temperature: of the softmax over their cosines.

    Returns:
        (..., h, w) float32.
    """
    likeness = query.flatten(1).T @ keys.permute(1, 0, 2, 3).flatten(1)  # (h * w, n * h * w)
    best, index = likeness.topk(min(top, likeness.shape[1]), dim=1)
    weights = torch.softmax(best / temperature, dim=1)
    carried = (weights * values.flatten(-3)[..., index]).sum(dim=-1)
    return carried.unflatten(-1, query.shape[-2:])
