"""What one step of training the tracker sees: clips, their frozen features, and scores of the ridge head.

The ridge head, which needs no training, is fitted inside each clip, with a quality drawn at random: on real video it is
worse than on clips made of one picture. The ranges of all draws: as in `clips.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from pipelines.trackers.affinity import key_map
from pipelines.trackers.ridge import REGULARISATION, Normaliser, PixelSums, describe, solve
from pipelines.training.clip_kinds import ClipMix
from pipelines.training.clips import Clip, ClipConfig
from streamvos.models.efficientnet_lite import EfficientNetLite0, Features
from streamvos.models.feature_net import Maps, stack_features

_VOID_SHARE = 0.5  # of the pixels of a cell; from there on it does not count


@dataclass(frozen=True)
class TrackerTaskConfig:
    """What one step sees."""

    clips: int = 5  # in a batch; larger is steadier and slower
    clip: ClipConfig = ClipConfig()
    mix: ClipMix = ClipMix()
    repeats: int = 1  # how often a batch is learned from, with other faults each time; larger saves its preparation
    cycle: int = 8  # batches between two uses of one; larger is less repetitive and takes memory
    real_share: float = 0.3  # of a batch drawn from --clips, where given
    easy_steps: int = 1500  # over which easy pixels cease to count; larger is steadier at the start
    easy_share: float = 0.25  # of pixels that count at the end; smaller looks at the hardest only
    ridge_lost: float = 0.1  # clips without a ridge score; larger trusts the rest more
    carry_lost: float = 0.12  # frames without a carried mask, as after a cut or an absence
    num_validation: int = 12  # clips of each kind of each validation set; larger is steadier and slower
    bfloat16: bool = False  # compute features, decoder and their gradients in 16 bits: a third faster, the same loss


@dataclass(frozen=True)
class Batch:
    """B clips of T frames with R objects in all; `group` (R,) is the clip of each object.

    `stride4`, `stride8`, `stride16` (B, T, C, h, w) frozen features; `keys` (B, T, C, h8, w8) of the local affinity;
    `ridge` (R, T, h8, w8) scores; `masks` (R, T, h4, w4) soft truth; `known` (B, T, h4, w4) 1 where it counts, else 0.
    """

    stride4: torch.Tensor
    stride8: torch.Tensor
    stride16: torch.Tensor
    keys: torch.Tensor
    ridge: torch.Tensor
    masks: torch.Tensor
    known: torch.Tensor
    group: torch.Tensor


class BatchMaker:
    """Makes of clips all that the network is not trained through.

    Args:
        config: see there.
        device: where the frozen encoder runs and the batches are.
    """

    def __init__(self, config: TrackerTaskConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._encoder = EfficientNetLite0(device)

    @torch.no_grad()
    def make(self, clips: Sequence[Clip], rng: np.random.Generator | None) -> Batch:
        """Without `rng` the ridge head is at its best."""
        per_clip = [self._make_one(clip, rng) for clip in clips]
        maps = [torch.stack([one[index] for one in per_clip]) for index in range(4)]
        known = torch.stack([self._known(clip) for clip in clips])
        ridge, masks = (torch.cat([one[index] for one in per_clip]) for index in (4, 5))
        counts = torch.tensor([len(one[4]) for one in per_clip], device=self._device)
        group = torch.repeat_interleave(torch.arange(len(clips), device=self._device), counts)
        return Batch(*maps, ridge, masks, known, group)

    def typical(self, frames: Sequence[np.ndarray]) -> Maps:
        """Feature maps of frames of one size, in full precision."""
        return stack_features([self._encoder.encode(frame, min(frame.shape[:2])) for frame in frames])

    def _known(self, clip: Clip) -> torch.Tensor:
        """(T, h4, w4) of 0 and 1."""
        if clip.void is None:
            side = clip.frames.shape[1] // 4
            return torch.ones(len(clip.frames), side, side, device=self._device)
        void = torch.from_numpy(clip.void).to(self._device).float()
        return (functional.avg_pool2d(void, 4) < _VOID_SHARE).float()

    def _encode(self, frame: np.ndarray) -> Features:
        with precision(self._device, self._config.bfloat16):
            seen = self._encoder.encode(frame, min(frame.shape[:2]))
        maps = (getattr(seen, name).float() for name in ("stride4", "stride8", "stride16"))
        return Features(seen.image, seen.valid, *maps)

    def _make_one(self, clip: Clip, rng: np.random.Generator | None) -> tuple[torch.Tensor, ...]:
        seen = [self._encode(frame) for frame in clip.frames]
        keys = torch.stack([key_map(one.stride16_at_8, one.stride8) for one in seen])
        masks = torch.from_numpy(clip.masks).to(self._device).float()  # (T, N, S, S)
        masks4, masks8 = functional.avg_pool2d(masks, 4), functional.avg_pool2d(masks, 8)
        descriptions = [describe(one) for one in seen]
        normalise = Normaliser.fitted(descriptions[0])
        pixels = [normalise(description) for description in descriptions]
        scores = torch.stack([ridge_scores(pixels, masks8[:, n], rng) for n in range(masks.shape[1])])
        if rng is not None and rng.random() < self._config.ridge_lost:
            scores[:] = 0.5
        return *stack_features(seen), keys, scores, masks4.transpose(0, 1)


def precision(device: torch.device, bfloat16: bool) -> torch.autocast:
    """The arithmetic of features and decoder."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def ridge_scores(
    pixels: Sequence[torch.Tensor], targets: torch.Tensor, rng: np.random.Generator | None
) -> torch.Tensor:
    """Scores (T, h, w) of the ridge head of one object whose cell targets are (T, h, w).

    The head is fitted to the first frame, then again to the first and the second. With `rng` its quality is drawn at
    random: seldom fitted again, fewer cells, a mask that has drifted, more regularisation, noise.
    """
    regularisation, cells, noise, drift, refit = REGULARISATION, 1.0, 0.0, 0, True
    if rng is not None:
        regularisation = 10.0 ** rng.uniform(-3.0, -1.0)
        cells = float(rng.choice([1.0, 0.5, 0.25], p=[0.6, 0.2, 0.2]))
        noise = float(rng.choice([0.0, 0.15, 0.4], p=[0.5, 0.3, 0.2]))
        drift, refit = int(rng.integers(-1, 2)), rng.random() < 0.4
    flat = targets.flatten(1)
    kept = torch.ones(flat.shape[1], dtype=torch.bool)
    if cells < 1.0:
        kept = torch.from_numpy(rng.random(flat.shape[1]) < cells)
    kept = kept.to(flat.device)
    gram, moment = PixelSums(pixels[0][:, kept]).of(flat[0, kept])
    head = solve(gram, moment, regularisation)
    scores = [head @ one for one in pixels]
    if refit and len(pixels) > 2 and float(targets[1].sum()) > 1.0:
        drifted = torch.roll(targets[1], (drift, -drift), (0, 1)).flatten()
        gram_again, moment_again = PixelSums(pixels[1][:, kept]).of(drifted[kept])
        head = solve(0.5 * (gram + gram_again), 0.5 * (moment + moment_again), regularisation)
        scores[2:] = [head @ one for one in pixels[2:]]
    maps = torch.stack(scores).view(targets.shape)
    if noise:
        grid = torch.from_numpy(rng.normal(0.0, noise, (len(maps), 1, 5, 5)).astype(np.float32)).to(maps)
        maps = maps + functional.interpolate(grid, maps.shape[-2:], mode="bicubic", align_corners=False)[:, 0]
    return maps
