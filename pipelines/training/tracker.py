"""Trains the propagation network: `python -m pipelines.training.tracker --source DIR --source DIR --out DIR`.

Follows the tracker's own frame loop on made-up clips: the first mask is given, every later one is the network's own,
hardened and detached, so it learns from the memory it will have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from pipelines.trackers.propagation_net import PropagationNet
from pipelines.training import command
from pipelines.training.clip_kinds import make_mixed_clip
from pipelines.training.clips import Clip, ClipConfig, crop_clip, make_clip
from pipelines.training.datasets import TRACKER_SHORT_SIDE_PX, ClipFolder, PictureSets
from pipelines.training.held_out_clips import held_out_clips, mean_overlap
from pipelines.training.losses import bootstrapped_cross_entropy, jaccard, soft_jaccard
from pipelines.training.picture_pool import PicturePool
from pipelines.training.tracker_batches import Batch, BatchMaker, TrackerTaskConfig, precision
from pipelines.training.tracker_frames import follow
from streamvos.models.feature_net import Maps

# Seeds apart from those of all batches, whose numbers are steps.
_PREPARATION_SEED, _SPOILING_SEED, _STATISTICS_SEED = 10**6, 2 * 10**6, 10**7
_VALIDATION_KINDS = ("layers", "encounter", "degraded")


class TrackerTask:
    """The `Task` of the loop.

    Args:
        pictures: to train on and to validate on.
        clips: real or composed clips, or None.
        config: see there.
        seed: of all batches.
        device: where the network and the frozen encoder run.
    """

    def __init__(
        self,
        pictures: PictureSets,
        clips: ClipFolder | None,
        config: TrackerTaskConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        self._pool, self._clips, self._config, self._seed = PicturePool(pictures.learned), clips, config, seed
        self._maker, self._device = BatchMaker(config, device), device
        self._prepared: dict[int, Batch] = {}  # what will be learned from again
        self._validation = {
            f"{name} {kind}": clips
            for name, group in pictures.validation.items()
            for kind, clips in held_out_clips(group, config.clip, _VALIDATION_KINDS, config.num_validation).items()
        }

    def batch(self, step: int) -> list[Clip]:
        """The clips of a step; none where they are prepared already."""
        number = self._number(step)
        if number in self._prepared:
            return []
        return [self._one(np.random.default_rng([self._seed, number, index])) for index in range(self._config.clips)]

    def loss(self, net: PropagationNet, batch: list[Clip], step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        prepared = self._prepare_for(step, batch)
        rng = np.random.default_rng([self._seed, step, _SPOILING_SEED])
        share = max(self._config.easy_share, 1.0 - step / self._config.easy_steps * (1.0 - self._config.easy_share))
        with precision(self._device, self._config.bfloat16):
            logits = follow(net, prepared, self._config, rng)
        rows, targets = torch.cat(logits), prepared.masks[:, 1:].transpose(0, 1).flatten(0, 1)
        known = prepared.known[prepared.group, 1:].transpose(0, 1).flatten(0, 1)
        entropy = bootstrapped_cross_entropy(rows, targets, share, known)
        overlap = soft_jaccard(rows, targets, known).mean()
        return entropy + overlap, {
            "J": float(jaccard(rows.detach(), targets, known).mean()),
            "objects": len(prepared.group),
        }

    def _number(self, step: int) -> int:
        """Which batch a step learns from: `cycle` batches, `repeats` times, then the next `cycle`."""
        block, place = divmod(step, self._config.cycle * self._config.repeats)
        return block * self._config.cycle + place % self._config.cycle

    def _prepare_for(self, step: int, clips: list[Clip]) -> Batch:
        number = self._number(step)
        if number not in self._prepared:
            first = number - number % self._config.cycle
            self._prepared = {key: known for key, known in self._prepared.items() if key >= first}
            made = self._maker.make(clips, np.random.default_rng([self._seed, number, _PREPARATION_SEED]))
            if self._config.repeats == 1:
                return made
            self._prepared[number] = made
        return self._prepared[number]

    @torch.no_grad()
    def validate(self, net: PropagationNet) -> Mapping[str, float]:
        figures = {}
        for name, clips in self._validation.items():
            scores = [mean_overlap(net, self._maker.make([clip], None), self._config) for clip in clips]
            figures[f"J {name}"] = float(np.mean(scores))
        return figures

    def statistics(self, num_clips: int = 20) -> Maps:
        """Feature maps of typical frames, for `PropagationNet.set_statistics`."""
        rngs = [np.random.default_rng([self._seed, _STATISTICS_SEED, index]) for index in range(num_clips)]
        return self._maker.typical([make_clip(rng, self._pool.plates, self._config.clip).frames[0] for rng in rngs])

    def _one(self, rng: np.random.Generator) -> Clip:
        if self._clips is not None and rng.random() < self._config.real_share:
            clip = crop_clip(rng, *self._clips.sample(rng, self._config.clip.num_frames), self._config.clip.size_px)
            if clip is not None:
                return clip
        return make_mixed_clip(rng, self._pool, self._config.clip, self._config.mix)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command.options("pipelines.training.tracker", __doc__)
    parser.add_argument("--clips", type=Path, help="clips in DAVIS layout to train on as well")
    parser.add_argument("--batch", type=int, default=TrackerTaskConfig.clips, help="clips in a step")
    parser.add_argument("--repeats", type=int, default=TrackerTaskConfig.repeats, help="uses of a batch")
    parser.add_argument("--size", type=int, default=ClipConfig.size_px, help="side of the clips in pixels")
    parser.add_argument("--frames", type=int, default=ClipConfig.num_frames, help="of a clip")
    given = parser.parse_args(arguments)
    device = command.set_up(given)
    pictures = command.read_pictures(given, TRACKER_SHORT_SIDE_PX)
    clips = ClipFolder(given.clips) if given.clips else None
    clip = ClipConfig(num_frames=given.frames, size_px=given.size)
    easy_steps = 1 if given.init else TrackerTaskConfig.easy_steps  # weights that can follow learn from what is hard
    config = TrackerTaskConfig(
        clips=given.batch, clip=clip, repeats=given.repeats, easy_steps=easy_steps, bfloat16=given.bfloat16
    )
    task = TrackerTask(pictures, clips, config, given.seed, device)
    command.learn(lambda: PropagationNet().to(device), task, given)


if __name__ == "__main__":
    main()
