"""The tracker's frame loop, differentiable: the first mask is given, every later one is the network's own."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as functional

from pipelines.trackers.affinity import RADIUS_CELLS, local_affinity
from pipelines.trackers.propagation_net import (
    Cues,
    PropagationNet,
    as_query,
    highest_of_others,
    others_of,
    read_memory,
    sum_of_others,
)
from pipelines.training.memory_masks import remember
from pipelines.training.tracker_batches import Batch, TrackerTaskConfig


def follow(
    net: PropagationNet, batch: Batch, config: TrackerTaskConfig, rng: np.random.Generator | None
) -> list[torch.Tensor]:
    """Carry the first masks through the clips: T - 1 logits (R, h4, w4), shared among the objects of a clip."""
    num_frames, group = batch.masks.shape[1], batch.group
    encoding = net.encode(*(maps.flatten(0, 1) for maps in (batch.stride4, batch.stride8, batch.stride16)))
    frames = [encoding.rows(group * num_frames + index) for index in range(num_frames)]
    last = batch.masks[:, 0]
    keys, values, logits = [], [], []
    for index in range(1, num_frames):
        both = torch.stack([last, others_of(last, group)], dim=1)
        keys.append(frames[index - 1].key16)
        values.append(net.value(frames[index - 1], both))
        chosen = _remembered(index, rng)
        memory = (torch.cat([source[i].flatten(2) for i in chosen], dim=2) for source in (keys, values))
        now = frames[index].key16
        read = read_memory(as_query(now), *memory).unflatten(2, now.shape[-2:])
        cues = _cues(batch, index, last, both, config, rng)
        logits.append(share_logits(net.decode(frames[index], read, cues).float(), group))
        last = remember(logits[-1].detach(), batch.keys[group, index], rng)
    return logits


def share_logits(logits: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Log-odds of objects that share their pixels: softmax over an empty background and the objects of a group.

    Args:
        logits: (R, h, w) of objects on their own.
        group: (R,) int64, the frame that each belongs to.

    Returns:
        (R, h, w); equal to `logits` for an object that is alone.
    """
    return logits - (1.0 + sum_of_others(logits.exp(), group)).log()


def _cues(
    batch: Batch,
    index: int,
    last: torch.Tensor,
    both: torch.Tensor,
    config: TrackerTaskConfig,
    rng: np.random.Generator | None,
) -> Cues:
    group = batch.group
    parts = functional.pixel_unshuffle(last[:, None], 2)  # (R, 4, h8, w8)
    carried = torch.zeros_like(parts)
    for clip in range(len(batch.keys)):
        if rng is not None and rng.random() < config.carry_lost:
            continue
        rows = group == clip
        query, key = batch.keys[clip, index], batch.keys[clip, index - 1]
        found = local_affinity(query, key, parts[rows].flatten(0, 1), RADIUS_CELLS)
        carried[rows] = found.view(-1, *parts.shape[1:])
    ridge = batch.ridge[:, index, None]
    others = others_of(carried.mean(dim=1, keepdim=True), group)
    return Cues(ridge, highest_of_others(ridge, group), carried, others, both)


def _remembered(index: int, rng: np.random.Generator | None) -> list[int]:
    """Which earlier frames are in memory: the first and the last, sometimes all or the first alone."""
    kind = 0.5 if rng is None else rng.random()
    if kind < 0.2:
        return [0]
    return list(range(index)) if kind > 0.8 else sorted({0, index - 1})
