"""Trains the embedded refiner: `python -m pipelines.training.refiner --source DIR --source DIR --out DIR`.

Each crop is seen once by the frozen encoder and refined from several prompts, so that one network learns boxes, clicks
and coarse masks and that they mean the same object. Edges count more than the rest; the predicted IoU is fitted
to the IoU that the mask of the moment has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from pipelines.refiners.crop_prompts import MaskPrompt
from pipelines.refiners.prompt_maps import prompt_maps
from pipelines.refiners.refine_net import Refined, RefineNet
from pipelines.training import command
from pipelines.training.datasets import REFINER_SHORT_SIDE_PX, Picture, PictureSets
from pipelines.training.losses import jaccard, soft_jaccard
from pipelines.training.refiner_samples import (
    SampleConfig,
    clicks,
    make_crop,
    make_prompt,
    noisy_box,
    spoil,
)
from streamvos.models.efficientnet_lite import EfficientNetLite0
from streamvos.models.feature_net import Maps, stack_features

_VALIDATION_SEED, _STATISTICS_SEED = 999, 10**7  # apart from those of all batches, whose numbers are steps


@dataclass(frozen=True)
class RefinerTaskConfig:
    """What one step sees."""

    crops: int = 6  # in a batch; larger is steadier and slower
    prompts: int = 2  # of each crop; larger saves encoding and is less varied
    sample: SampleConfig = SampleConfig()
    edge_weight: float = 4.0  # by how much more a pixel on the border counts; larger sharpens and forgets insides
    coarse_share: float = 0.4  # of the stride-8 stage in the loss; larger learns shapes sooner
    iou_share: float = 0.5  # of the predicted IoU in the loss
    num_validation: int = 24  # crops of each validation set
    bfloat16: bool = False  # 16-bit arithmetic where the processor has it: faster, the same loss


@dataclass(frozen=True)
class Examples:
    """B crops (B, S, S, 3) uint8, prompts (R, P, S / 2, S / 2), truths (R, S, S) of 0 and 1, the crop of each row."""

    images: np.ndarray
    prompts: np.ndarray
    truths: np.ndarray
    crop: np.ndarray


class RefinerTask:
    """The `Task` of the loop.

    Args:
        pictures: to train on and to validate on.
        config: see there.
        seed: of all batches.
        device: where the network and the frozen encoder run.
    """

    def __init__(self, pictures: PictureSets, config: RefinerTaskConfig, seed: int, device: torch.device) -> None:
        self._pictures, self._config, self._seed, self._device = pictures.learned, config, seed, device
        self._encoder = EfficientNetLite0(device)
        self._validation = {
            name: [_validation_examples(group, index, config.sample) for index in range(config.num_validation)]
            for name, group in pictures.validation.items()
        }

    def batch(self, step: int) -> Examples:
        config = self._config
        images, prompts, truths, crop = [], [], [], []
        for index in range(config.crops):
            rng = np.random.default_rng([self._seed, step, index])
            image, mask, wide = make_crop(rng, self._pictures, config.sample)
            images.append(image)
            for _ in range(config.prompts):
                prompts.append(prompt_maps(image, *make_prompt(rng, mask, wide, config.sample)))
                truths.append(mask)
                crop.append(index)
        return Examples(np.stack(images), np.stack(prompts), np.stack(truths), np.array(crop))

    def loss(self, net: RefineNet, batch: Examples, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        config = self._config
        refined, truths = self.refine(net, batch), torch.from_numpy(batch.truths).to(self._device).float()
        entropy = edge_weighted_entropy(refined.logits, truths, config.edge_weight)
        truths8 = functional.avg_pool2d(truths[:, None], 8)[:, 0]
        early = functional.binary_cross_entropy_with_logits(refined.logits8, truths8)
        early = early + soft_jaccard(refined.logits8, truths8)
        found = jaccard(refined.logits.detach(), truths)
        guess = (refined.iou - found).abs().mean()
        loss = entropy + soft_jaccard(refined.logits, truths) + config.coarse_share * early + config.iou_share * guess
        return loss, {"J": float(found.mean()), "iou_error": float(guess.detach())}

    @torch.no_grad()
    def validate(self, net: RefineNet) -> Mapping[str, float]:
        figures = {}
        for name, group in self._validation.items():
            scores = []
            for examples in group:
                refined = self.refine(net, examples)
                truths = torch.from_numpy(examples.truths).to(self._device).float()
                found = jaccard(refined.logits, truths)
                before = jaccard(torch.from_numpy(examples.prompts[2:3, 4]).to(self._device), truths[2:3, ::2, ::2])
                scores.append([*found.tolist(), *before.tolist(), float((refined.iou - found).abs().mean())])
            means = np.mean(scores, axis=0).tolist()
            labels = ("box", "click", "coarse", "before", "iou_error")
            figures |= {f"{name} {label}": value for label, value in zip(labels, means, strict=True)}
        return figures

    def refine(self, net: RefineNet, examples: Examples) -> Refined:
        """The network's answer to all prompts; the encoder does not learn."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._config.bfloat16):
            with torch.no_grad():
                maps = [one.float() for one in self._encode(examples.images)]
            pixels = torch.from_numpy(examples.images).to(self._device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            crops = net.encode(pixels, *maps).rows(torch.from_numpy(examples.crop).to(self._device))
            return net.decode(crops, torch.from_numpy(examples.prompts).to(self._device))

    def statistics(self, num_crops: int = 40) -> Maps:
        """Feature maps of typical crops, for `RefineNet.set_statistics`."""
        rngs = [np.random.default_rng([self._seed, _STATISTICS_SEED, index]) for index in range(num_crops)]
        return self._encode([make_crop(rng, self._pictures, self._config.sample)[0] for rng in rngs])

    def _encode(self, images: Sequence[np.ndarray] | np.ndarray) -> Maps:
        return stack_features([self._encoder.encode(image, len(image)) for image in images])


def edge_weighted_entropy(logits: torch.Tensor, truths: torch.Tensor, edge_weight: float) -> torch.Tensor:
    """Mean cross entropy, (R, S, S); a pixel on the border counts 1 + `edge_weight` times."""
    nearby = functional.avg_pool2d(truths[:, None], 9, 1, 4, count_include_pad=False)[:, 0]
    weights = 1.0 + edge_weight * 4.0 * nearby * (1.0 - nearby)
    losses = functional.binary_cross_entropy_with_logits(logits, truths, reduction="none")
    return (weights * losses).sum() / weights.sum()


def _validation_examples(pictures: Sequence[Picture], index: int, config: SampleConfig) -> Examples:
    """One crop, always the same: from a box, a click and a coarse mask."""
    rng = np.random.default_rng([_VALIDATION_SEED, index])
    plain = SampleConfig(size_px=config.size_px, composite_share=0.0, part_share=0.0, wide_share=0.0, turn_rad=0.0)
    image, mask, _ = make_crop(rng, pictures, plain)
    prompts = (
        MaskPrompt(noisy_box(rng, mask, plain)),
        MaskPrompt(None, *clicks(rng, mask, 1)),
        MaskPrompt(coarse=spoil(rng, mask, plain)),
    )
    maps = np.stack([prompt_maps(image, *one) for one in prompts])
    return Examples(image[None], maps, np.stack([mask] * len(prompts)), np.zeros(len(prompts), np.int64))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command.options("pipelines.training.refiner", __doc__)
    parser.add_argument("--batch", type=int, default=RefinerTaskConfig.crops, help="crops in a step")
    parser.add_argument("--prompts", type=int, default=RefinerTaskConfig.prompts, help="of each crop")
    parser.add_argument("--size", type=int, default=SampleConfig.size_px, help="side of the crops in pixels")
    given = parser.parse_args(arguments)
    device = command.set_up(given)
    pictures = command.read_pictures(given, REFINER_SHORT_SIDE_PX)
    config = RefinerTaskConfig(given.batch, given.prompts, SampleConfig(given.size), bfloat16=given.bfloat16)
    task = RefinerTask(pictures, config, given.seed, device)
    command.learn(lambda: RefineNet().to(device, memory_format=torch.channels_last), task, given)


if __name__ == "__main__":
    main()
