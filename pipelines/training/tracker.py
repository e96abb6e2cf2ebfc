"""Trains the propagation network: `python -m pipelines.training.tracker --ccp DIR --coco DIR --out DIR`.

Follows the tracker's own frame loop on made-up clips: the first mask is given, every later one is the network's own,
hardened and detached, so it learns from the memory it will have. The ridge head, which needs no training, is fitted
inside each clip, with a quality drawn at random: on real video it is worse than on clips made of one picture.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from pipelines.trackers.affinity import key_map, local_affinity
from pipelines.trackers.propagation_net import (
    Cues,
    PropagationNet,
    highest_of_others,
    others_of,
    read_memory,
    share_logits,
)
from pipelines.trackers.ridge import Normaliser, PixelSums, describe, solve
from pipelines.training.clips import Clip, ClipConfig, crop_clip, make_clip
from pipelines.training.datasets import ClipFolder, Picture, read_ccp, read_coco, read_horses, split
from pipelines.training.loop import LoopConfig, train
from pipelines.training.losses import bootstrapped_cross_entropy, jaccard, soft_jaccard
from streamvos.device import pick_device
from streamvos.models.efficientnet_lite import EfficientNetLite0, Features

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackerTaskConfig:
    """What one step sees."""

    clips: int = 5  # in a batch; larger is steadier and slower
    clip: ClipConfig = ClipConfig()
    repeats: int = 1  # how often a batch is learned from, with other faults each time; larger saves its preparation
    cycle: int = 8  # batches between two uses of one; larger is less repetitive and takes memory
    real_share: float = 0.3  # of a batch drawn from --clips, where given
    easy_share: float = 0.25  # of pixels that count at the end; smaller looks at the hardest only
    ridge_lost: float = 0.1  # clips without a ridge score; larger trusts the rest more
    carry_lost: float = 0.12  # frames without a carried mask, as after a cut or an absence
    radius_cells: int = 8  # of the local affinity, as in the tracker
    temperature: float = 0.07  # of the local affinity, as in the tracker
    bfloat16: bool = False  # compute features, decoder and their gradients in 16 bits: a third faster, the same loss


@dataclass(frozen=True)
class Batch:
    """B clips of T frames with R objects in all; `group` (R,) is the clip of each object.

    `stride4`, `stride8`, `stride16` (B, T, C, h, w) frozen features; `keys` (B, T, C, h8, w8) of the local affinity;
    `ridge` (R, T, h8, w8) scores; `masks` (R, T, h4, w4) soft truth.
    """

    stride4: torch.Tensor
    stride8: torch.Tensor
    stride16: torch.Tensor
    keys: torch.Tensor
    ridge: torch.Tensor
    masks: torch.Tensor
    group: torch.Tensor


class TrackerTask:
    """The `Task` of the loop.

    Args:
        pictures: to train on. held_out: to validate on. horses: likewise, never trained on.
        clips: real or composed clips, or None.
        config: see there.
        seed: of all batches.
        device: where the network and the frozen encoder run.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        held_out: Sequence[Picture],
        horses: Sequence[Picture],
        clips: ClipFolder | None,
        config: TrackerTaskConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        self._pictures, self._clips, self._config, self._seed, self._device = pictures, clips, config, seed, device
        self._encoder = EfficientNetLite0(device)
        self._prepared: dict[int, Batch] = {}  # what will be learned from again
        longer = replace(config.clip, num_frames=6)
        self._validation = {
            name: [make_clip(np.random.default_rng([999, index]), group, longer) for index in range(12)]
            for name, group in (("held_out", held_out), ("horses", horses))
            if group
        }

    def batch(self, step: int) -> list[Clip]:
        """The clips of a step; none where they are prepared already."""
        number = self._number(step)
        if number in self._prepared:
            return []
        return [self._one(np.random.default_rng([self._seed, number, index])) for index in range(self._config.clips)]

    def loss(self, net: PropagationNet, batch: list[Clip], step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        prepared = self._prepare_for(step, batch)
        rng = np.random.default_rng([self._seed, step, 2 * 10**6])
        share = max(self._config.easy_share, 1.0 - step / 1500 * (1.0 - self._config.easy_share))
        with self._precision():
            logits = follow(net, prepared, self._config, rng)
        rows, targets = torch.cat(logits), prepared.masks[:, 1:].transpose(0, 1).flatten(0, 1)
        entropy = bootstrapped_cross_entropy(rows, targets, share)
        overlap = soft_jaccard(rows, targets)
        return entropy + overlap, {"J": float(jaccard(rows.detach(), targets).mean()), "objects": len(prepared.group)}

    def _number(self, step: int) -> int:
        """Which batch a step learns from: `cycle` batches, `repeats` times, then the next `cycle`."""
        block, place = divmod(step, self._config.cycle * self._config.repeats)
        return block * self._config.cycle + place % self._config.cycle

    def _prepare_for(self, step: int, clips: list[Clip]) -> Batch:
        number = self._number(step)
        if number not in self._prepared:
            first = number - number % self._config.cycle
            self._prepared = {key: known for key, known in self._prepared.items() if key >= first}
            made = self.prepare(clips, np.random.default_rng([self._seed, number, 10**6]))
            if self._config.repeats == 1:
                return made
            self._prepared[number] = made
        return self._prepared[number]

    @torch.no_grad()
    def validate(self, net: PropagationNet) -> Mapping[str, float]:
        figures = {}
        for name, clips in self._validation.items():
            scores = []
            for clip in clips:
                prepared = self.prepare([clip], None)
                logits = follow(net, prepared, self._config, None)
                scores += [float(jaccard(row, prepared.masks[:, t + 1]).mean()) for t, row in enumerate(logits)]
            figures[f"J {name}"] = float(np.mean(scores))
        return figures

    def statistics(self, num_clips: int = 20) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Feature maps of typical frames, for `PropagationNet.set_statistics`."""
        rngs = [np.random.default_rng([self._seed, 10**7, index]) for index in range(num_clips)]
        frames = [make_clip(rng, self._pictures, self._config.clip).frames[0] for rng in rngs]
        seen = [self._encoder.encode(frame, self._config.clip.size_px) for frame in frames]
        return tuple(torch.cat([getattr(one, name) for one in seen]) for name in ("stride4", "stride8", "stride16"))

    @torch.no_grad()
    def prepare(self, clips: Sequence[Clip], rng: np.random.Generator | None) -> Batch:
        """Everything that the network is not trained through; without `rng` the ridge head is at its best."""
        per_clip = [self._prepare_one(clip, rng) for clip in clips]
        maps = [torch.stack([one[index] for one in per_clip]) for index in range(4)]
        ridge, masks = (torch.cat([one[index] for one in per_clip]) for index in (4, 5))
        counts = torch.tensor([len(one[4]) for one in per_clip], device=self._device)
        group = torch.repeat_interleave(torch.arange(len(clips), device=self._device), counts)
        return Batch(*maps, ridge, masks, group)

    def _encode(self, frame: np.ndarray) -> Features:
        with self._precision():
            seen = self._encoder.encode(frame, min(frame.shape[:2]))
        maps = (getattr(seen, name).float() for name in ("stride4", "stride8", "stride16"))
        return Features(seen.image, seen.valid, *maps)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._config.bfloat16)

    def _one(self, rng: np.random.Generator) -> Clip:
        if self._clips is not None and rng.random() < self._config.real_share:
            clip = crop_clip(rng, *self._clips.sample(rng, self._config.clip.num_frames), self._config.clip.size_px)
            if clip is not None:
                return clip
        return make_clip(rng, self._pictures, self._config.clip)

    def _prepare_one(self, clip: Clip, rng: np.random.Generator | None) -> tuple[torch.Tensor, ...]:
        seen = [self._encode(frame) for frame in clip.frames]
        four, eight, sixteen = (
            torch.cat([getattr(one, name) for one in seen]) for name in ("stride4", "stride8", "stride16")
        )
        keys = torch.stack([key_map(one.stride16, one.stride8, 8) for one in seen])
        masks = torch.from_numpy(clip.masks).to(self._device).float()  # (T, N, S, S)
        masks4, masks8 = functional.avg_pool2d(masks, 4), functional.avg_pool2d(masks, 8)
        descriptions = [describe(one) for one in seen]
        normalise = Normaliser(descriptions[0])
        pixels = [normalise(description) for description in descriptions]
        scores = torch.stack([ridge_scores(pixels, masks8[:, n], rng) for n in range(masks.shape[1])])
        if rng is not None and rng.random() < self._config.ridge_lost:
            scores[:] = 0.5
        return four, eight, sixteen, keys, scores, masks4.transpose(0, 1)


def ridge_scores(
    pixels: Sequence[torch.Tensor], targets: torch.Tensor, rng: np.random.Generator | None
) -> torch.Tensor:
    """Scores (T, h, w) of the ridge head of one object whose cell targets are (T, h, w).

    The head is fitted to the first frame and, half of the time, again to the first and the second; with `rng` at a
    quality drawn at random: fewer cells, a mask that has drifted, more regularisation, noise.
    """
    regularisation, cells, noise, drift, refit = 1e-3, 1.0, 0.0, 0, True
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


def follow(
    net: PropagationNet, batch: Batch, config: TrackerTaskConfig, rng: np.random.Generator | None
) -> list[torch.Tensor]:
    """Carry the first masks through the clips: T - 1 logits (R, h4, w4), shared among the objects of a clip."""
    num_frames, group = batch.masks.shape[1], batch.group
    look = net.look(*(maps.flatten(0, 1) for maps in (batch.stride4, batch.stride8, batch.stride16)))
    views = [look.rows(group * num_frames + index) for index in range(num_frames)]
    last = batch.masks[:, 0]
    keys, values, logits = [], [], []
    for index in range(1, num_frames):
        both = torch.stack([last, others_of(last, group)], dim=1)
        keys.append(views[index - 1].key16)
        values.append(net.value(views[index - 1], both))
        chosen = _remembered(index, rng)
        memory = (torch.stack([source[i] for i in chosen], dim=2) for source in (keys, values))
        read = read_memory(views[index].key16, *memory)
        cues = _cues(batch, index, last, both, config, rng)
        logits.append(share_logits(net.decode(views[index], read, cues).float(), group))
        last = _remember(logits[-1].detach(), batch.keys[group, index], rng)
    return logits


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
        found = local_affinity(query, key, parts[rows].flatten(0, 1), config.radius_cells, config.temperature)
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


def _remember(logits: torch.Tensor, keys: torch.Tensor, rng: np.random.Generator | None) -> torch.Tensor:
    """The mask that goes on: hardened as in the tracker; in training some are spoilt, as after a long drift."""
    probability = torch.sigmoid(16.0 * (logits.sigmoid() - 0.5))
    if rng is not None:
        for row, key in zip(probability, keys, strict=True):
            if rng.random() < 0.35:
                _spoil(row, key, rng)
    return probability


def _spoil(mask: torch.Tensor, key: torch.Tensor, rng: np.random.Generator) -> None:
    """Change one (h, w) mask in place: erase or add a piece (a box, or what looks alike), shift, thicken or thin it."""
    height, width = mask.shape
    kind = int(rng.integers(6))
    if kind < 4:
        inside = kind % 2 == 0
        rows, cols = ((mask > 0.5) == inside).nonzero(as_tuple=True)
        if not len(rows):
            return
        pick = int(rng.integers(len(rows)))
        high, wide = (int(rng.integers(2, max(3, side // 4))) for side in (height, width))
        top, left = max(0, int(rows[pick]) - high // 2), max(0, int(cols[pick]) - wide // 2)
        piece = torch.zeros_like(mask, dtype=torch.bool)
        piece[top : top + high, left : left + wide] = True
        if kind >= 2:  # what a tracker adds or loses by mistake is of one colour and texture, not a box
            like = torch.einsum("c,chw->hw", key[:, int(rows[pick]) // 2, int(cols[pick]) // 2], key)
            alike = (like > rng.uniform(0.3, 0.7)).repeat_interleave(2, 0).repeat_interleave(2, 1)
            top, left = max(0, int(rows[pick]) - height // 4), max(0, int(cols[pick]) - width // 4)
            piece = torch.zeros_like(piece)
            piece[top : top + height // 2, left : left + width // 2] = True
            piece &= alike
        mask[piece] = 0.0 if inside else 1.0
    elif kind == 4:
        mask.copy_(torch.roll(mask, tuple(rng.integers(-2, 3, 2).tolist()), (0, 1)))
    else:
        sign = 1.0 if rng.random() < 0.5 else -1.0
        mask.copy_(sign * functional.max_pool2d(sign * mask[None], 3, 1, 1)[0])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m pipelines.training.tracker", description=__doc__.split("\n")[0])
    parser.add_argument("--ccp", type=Path, required=True, help="Clothing Co-Parsing: photos/, labels/")
    parser.add_argument("--coco", type=Path, required=True, help="COCO segments in YOLO layout: images/, labels/")
    parser.add_argument("--horses", type=Path, help="Weizmann horses, for validation only: horse/, mask/")
    parser.add_argument("--clips", type=Path, help="clips in DAVIS layout to train on as well")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint.pt and weights.safetensors")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    parser.add_argument("--steps", type=int, default=LoopConfig.steps)
    parser.add_argument("--minutes", type=float, default=LoopConfig.minutes, help="stop after so many, resumable")
    parser.add_argument("--seed", type=int, default=LoopConfig.seed)
    parser.add_argument("--batch", type=int, default=TrackerTaskConfig.clips, help="clips in a step")
    parser.add_argument("--repeats", type=int, default=TrackerTaskConfig.repeats, help="uses of a batch")
    parser.add_argument("--size", type=int, default=ClipConfig.size_px, help="side of the clips in pixels")
    parser.add_argument("--frames", type=int, default=ClipConfig.num_frames, help="of a clip")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--bfloat16", action="store_true", help="16-bit arithmetic where the processor has it: faster")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    device = pick_device(given.device)
    ccp, ccp_held_out = split(read_ccp(given.ccp, 320))
    coco, coco_held_out = split(read_coco(given.coco, 320))
    horses = read_horses(given.horses, 320) if given.horses else []
    clips = ClipFolder(given.clips) if given.clips else None
    clip = ClipConfig(num_frames=given.frames, size_px=given.size)
    config = TrackerTaskConfig(clips=given.batch, clip=clip, repeats=given.repeats, bfloat16=given.bfloat16)
    task = TrackerTask(ccp + 2 * coco, ccp_held_out + coco_held_out, horses, clips, config, given.seed, device)
    torch.manual_seed(given.seed)
    net = PropagationNet().to(device)
    net.set_statistics(*task.statistics())
    logger.info("%d trained parameters", sum(value.numel() for value in net.parameters()))
    loop = LoopConfig(steps=given.steps, seed=given.seed, minutes=given.minutes)
    train(net, task, loop, given.out, given.resume)


if __name__ == "__main__":
    main()
