"""Trains the embedded refiner: `python -m pipelines.training.refiner --ccp DIR --coco DIR --out DIR`.

Each crop is seen once by the frozen encoder and refined from several prompts, so that one network learns boxes, clicks
and coarse masks and that they mean the same object. Edges count more than the rest; the predicted IoU is fitted
to the IoU that the mask of the moment has.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from pipelines.refine_net import Refined, RefineNet
from pipelines.refine_prompts import prompt_maps
from pipelines.training.datasets import Picture, read_ccp, read_coco, read_horses, split
from pipelines.training.loop import LoopConfig, train
from pipelines.training.losses import jaccard, soft_jaccard
from pipelines.training.refiner_samples import (
    Prompting,
    SampleConfig,
    clicks,
    make_crop,
    make_prompting,
    noisy_box,
    spoil,
)
from streamvos.device import pick_device
from streamvos.models.efficientnet_lite import EfficientNetLite0

logger = logging.getLogger(__name__)

_SHORT_SIDE_PX = 360  # of the stored pictures


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
        pictures: to train on. held_out: to validate on. horses: likewise, never trained on.
        config: see there.
        seed: of all batches.
        device: where the network and the frozen encoder run.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        held_out: Sequence[Picture],
        horses: Sequence[Picture],
        config: RefinerTaskConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        self._pictures, self._config, self._seed, self._device = pictures, config, seed, device
        self._encoder = EfficientNetLite0(device)
        self._validation = {
            name: [_validation_examples(group, index, config.sample) for index in range(config.num_validation)]
            for name, group in (("held_out", held_out), ("horses", horses))
            if group
        }

    def batch(self, step: int) -> Examples:
        config = self._config
        images, prompts, truths, crop = [], [], [], []
        for index in range(config.crops):
            rng = np.random.default_rng([self._seed, step, index])
            image, mask, wide = make_crop(rng, self._pictures, config.sample)
            images.append(image)
            for _ in range(config.prompts):
                prompts.append(_maps(image, make_prompting(rng, mask, wide, config.sample)))
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
                seen = [self._encoder.encode(image, len(image)) for image in examples.images]
                names = ("stride4", "stride8", "stride16")
                maps = [torch.cat([getattr(one, name) for one in seen]).float() for name in names]
            pixels = torch.from_numpy(examples.images).to(self._device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            view = net.look(pixels, *maps).rows(torch.from_numpy(examples.crop).to(self._device))
            return net.decode(view, torch.from_numpy(examples.prompts).to(self._device))

    def statistics(self, num_crops: int = 40) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Feature maps of typical crops, for `RefineNet.set_statistics`."""
        rngs = [np.random.default_rng([self._seed, 10**7, index]) for index in range(num_crops)]
        images = [make_crop(rng, self._pictures, self._config.sample)[0] for rng in rngs]
        seen = [self._encoder.encode(image, len(image)) for image in images]
        return tuple(torch.cat([getattr(one, name) for one in seen]) for name in ("stride4", "stride8", "stride16"))


def edge_weighted_entropy(logits: torch.Tensor, truths: torch.Tensor, edge_weight: float) -> torch.Tensor:
    """Mean cross entropy, (R, S, S); a pixel on the border counts 1 + `edge_weight` times."""
    nearby = functional.avg_pool2d(truths[:, None], 9, 1, 4, count_include_pad=False)[:, 0]
    weights = 1.0 + edge_weight * 4.0 * nearby * (1.0 - nearby)
    losses = functional.binary_cross_entropy_with_logits(logits, truths, reduction="none")
    return (weights * losses).sum() / weights.sum()


def _maps(image: np.ndarray, prompting: Prompting) -> np.ndarray:
    return prompt_maps(image, prompting.box, prompting.points, prompting.labels, prompting.coarse)


def _validation_examples(pictures: Sequence[Picture], index: int, config: SampleConfig) -> Examples:
    """One crop, always the same: from a box, a click and a coarse mask."""
    rng = np.random.default_rng([999, index])
    plain = SampleConfig(size_px=config.size_px, composite_share=0.0, part_share=0.0, wide_share=0.0, turn_rad=0.0)
    image, mask, _ = make_crop(rng, pictures, plain)
    prompts = (
        Prompting(noisy_box(rng, mask, plain)),
        Prompting(None, *clicks(rng, mask, 1)),
        Prompting(coarse=spoil(rng, mask, plain)),
    )
    maps = np.stack([_maps(image, one) for one in prompts])
    return Examples(image[None], maps, np.stack([mask] * len(prompts)), np.zeros(len(prompts), np.int64))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m pipelines.training.refiner", description=__doc__.split("\n")[0])
    parser.add_argument("--ccp", type=Path, required=True, help="Clothing Co-Parsing: photos/, labels/")
    parser.add_argument("--coco", type=Path, required=True, help="COCO segments in YOLO layout: images/, labels/")
    parser.add_argument("--horses", type=Path, help="Weizmann horses, for validation only: horse/, mask/")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint.pt and weights.safetensors")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    parser.add_argument("--steps", type=int, default=LoopConfig.steps)
    parser.add_argument("--minutes", type=float, default=LoopConfig.minutes, help="stop after so many, resumable")
    parser.add_argument("--seed", type=int, default=LoopConfig.seed)
    parser.add_argument("--rate", type=float, default=LoopConfig.learning_rate, help="highest learning rate")
    parser.add_argument("--batch", type=int, default=RefinerTaskConfig.crops, help="crops in a step")
    parser.add_argument("--prompts", type=int, default=RefinerTaskConfig.prompts, help="of each crop")
    parser.add_argument("--size", type=int, default=SampleConfig.size_px, help="side of the crops in pixels")
    parser.add_argument("--validate-every", type=int, default=LoopConfig.validate_every, help="steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--bfloat16", action="store_true", help="16-bit arithmetic where the processor has it: faster")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    device = pick_device(given.device)
    ccp, ccp_held_out = split(read_ccp(given.ccp, _SHORT_SIDE_PX))
    coco, coco_held_out = split(read_coco(given.coco, _SHORT_SIDE_PX))
    horses = read_horses(given.horses, _SHORT_SIDE_PX) if given.horses else []
    config = RefinerTaskConfig(given.batch, given.prompts, SampleConfig(given.size), bfloat16=given.bfloat16)
    task = RefinerTask(ccp + 4 * coco, ccp_held_out + 4 * coco_held_out, horses, config, given.seed, device)
    torch.manual_seed(given.seed)
    net = RefineNet().to(device, memory_format=torch.channels_last)
    net.set_statistics(*task.statistics())
    logger.info("%d trained parameters", sum(value.numel() for value in net.parameters()))
    loop = LoopConfig(
        steps=given.steps,
        learning_rate=given.rate,
        seed=given.seed,
        minutes=given.minutes,
        validate_every=given.validate_every,
    )
    train(net, task, loop, given.out, given.resume)


if __name__ == "__main__":
    main()
