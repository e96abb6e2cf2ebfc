"""Made-up clips of pictures that were set apart, by kind, and how well a network follows them: always the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from pipelines.trackers.propagation_net import PropagationNet
from pipelines.training.clip_kinds import ClipMix, make_clip_of_kind, make_mixed_clip
from pipelines.training.clips import Clip
from pipelines.training.datasets import Picture
from pipelines.training.losses import jaccard
from pipelines.training.picture_pool import PicturePool
from pipelines.training.pieces import ClipConfig
from pipelines.training.tracker_batches import Batch, TrackerTaskConfig
from pipelines.training.tracker_frames import follow

HELD_OUT_KINDS = ("layers", "encounter", "visit", "thin", "degraded")


def held_out_clip(pool: PicturePool, config: ClipConfig, kind: str, index: int) -> Clip:
    """Clip `index` of one of `HELD_OUT_KINDS`; "degraded" is the mixture, spoilt in every clip, the others in none."""
    rng = np.random.default_rng([999, index])
    if kind == "degraded":
        return make_mixed_clip(rng, pool, config, ClipMix(degraded_share=1.0))
    return make_clip_of_kind(rng, pool, config, ClipMix(degraded_share=0.0), kind)


def held_out_clips(
    pictures: Sequence[Picture], config: ClipConfig, kinds: Sequence[str], count: int
) -> dict[str, list[Clip]]:
    """The first `count` clips of 6 frames of each kind."""
    pool, longer = PicturePool(pictures), replace(config, num_frames=6)
    return {kind: [held_out_clip(pool, longer, kind, index) for index in range(count)] for kind in kinds}


@torch.no_grad()
def mean_overlap(net: PropagationNet, batch: Batch, config: TrackerTaskConfig) -> float:
    """Mean J over objects and the frames after the first, at stride 4, where the truth is known."""
    known = batch.known[batch.group]
    logits = follow(net, batch, config, None)
    scores = [jaccard(row, batch.masks[:, t], known[:, t]).mean() for t, row in enumerate(logits, start=1)]
    return float(torch.stack(scores).mean())
