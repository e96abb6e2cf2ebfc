"""Trains the embedded refiner: `python -m pipelines.training.refiner --source DIR --source DIR --out DIR`.

Each crop is seen once by the frozen encoder and refined from several prompts, so that one network learns boxes, clicks
and coarse masks and that they mean the same object. A single click leaves open what is meant: of three more masks that
the network makes of it, the best one learns (Segment Anything, Kirillov et al., 2023), the others a little. Edges count
more than the rest; the predicted IoU is fitted to the IoU that the masks of the moment have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from pipelines.refiners.crop_prompts import MaskPrompt
from pipelines.refiners.prompt_maps import prompt_maps
from pipelines.refiners.refine_net import ALL, CHOICES, DECIDED, Refined, RefineNet
from pipelines.training import command
from pipelines.training.datasets import REFINER_SHORT_SIDE_PX, Picture, PictureSets
from pipelines.training.losses import jaccard, soft_jaccard
from pipelines.training.refiner_samples import (
    Crop,
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
    others_share: float = 0.05  # what a choice learns that was not the best; 0 may leave one unused for ever
    num_validation: int = 24  # crops of each validation set
    bfloat16: bool = False  # 16-bit arithmetic where the processor has it: faster, the same loss


@dataclass(frozen=True)
class Examples:
    """B crops (B, S, S, 3) uint8, the (B, S, S) bool pixels of which the truth is known; prompts (R, P, S / 2, S / 2),
    truths (R, S, S) of 0 and 1, the crop of each row, and whether it is a single click."""

    images: np.ndarray
    known: np.ndarray
    prompts: np.ndarray
    truths: np.ndarray
    crop: np.ndarray
    single: np.ndarray


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
        crops, asked = [], []
        for index in range(config.crops):
            rng = np.random.default_rng([self._seed, step, index])
            crops.append(make_crop(rng, self._pictures, config.sample))
            asked.extend((index, make_prompt(rng, crops[-1], config.sample)) for _ in range(config.prompts))
        return _examples(crops, asked)

    def loss(self, net: RefineNet, batch: Examples, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        config = self._config
        refined, (truths, known) = self.refine(net, batch), self._truths(batch)
        single = torch.from_numpy(batch.single).to(self._device)
        losses = self._mask_losses(refined, truths, known)
        found = _overlaps(refined, truths, known)
        wrong = (refined.iou - found).abs()
        guess = torch.cat([wrong[:, DECIDED].flatten(), wrong[single][:, CHOICES].flatten()]).mean()
        loss = losses[:, DECIDED].mean() + config.iou_share * guess
        figures = {"J": float(found[:, DECIDED].mean()), "iou_error": float(guess.detach())}
        if single.any():
            choices = losses[single][:, CHOICES]
            best, others = choices.min(dim=1).values, choices.mean(dim=1)
            loss = loss + ((1 - config.others_share) * best + config.others_share * others).sum() / len(single)
        return loss, figures

    def _truths(self, batch: Examples) -> tuple[torch.Tensor, torch.Tensor]:
        """(R, S, S) truths and known pixels, 0 and 1."""
        truths, known = (torch.from_numpy(one).to(self._device).float() for one in (batch.truths, batch.known))
        return truths, known[torch.from_numpy(batch.crop).to(self._device)]

    def _mask_losses(self, refined: Refined, truths: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """(R, M): what each mask of each row loses."""
        count, config = refined.logits.shape[1], self._config
        logits, logits8 = refined.logits.flatten(0, 1), refined.logits8.flatten(0, 1)
        truths, known = (one.repeat_interleave(count, dim=0) for one in (truths, known))
        truths8, known8 = (functional.avg_pool2d(one[:, None], 8)[:, 0] for one in (truths, known))
        early = edge_weighted_entropy(logits8, truths8, known8, 0.0) + soft_jaccard(logits8, truths8, known8)
        late = edge_weighted_entropy(logits, truths, known, config.edge_weight) + soft_jaccard(logits, truths, known)
        return (late + config.coarse_share * early).unflatten(0, (-1, count))

    @torch.no_grad()
    def validate(self, net: RefineNet) -> Mapping[str, float]:
        figures = {}
        for name, group in self._validation.items():
            scores = []
            for examples in group:
                refined, (truths, known) = self.refine(net, examples), self._truths(examples)
                found = _overlaps(refined, truths, known)
                choices, guessed = found[1, CHOICES], refined.iou[1, CHOICES]
                before = jaccard(torch.from_numpy(examples.prompts[2:3, 4]).to(self._device), truths[2:3, ::2, ::2])
                facts = (choices.max(), choices[guessed.argmax()], before[0], (guessed - choices).abs().mean())
                scores.append([*found[:, 0].tolist(), *map(float, facts)])
            means = np.mean(scores, axis=0).tolist()
            labels = ("box", "click", "coarse", "click_best", "click_first", "before", "iou_error")
            figures |= {f"{name} {label}": value for label, value in zip(labels, means, strict=True)}
        return figures

    def refine(self, net: RefineNet, examples: Examples) -> Refined:
        """The network's answer to all prompts; the encoder does not learn."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._config.bfloat16):
            with torch.no_grad():
                maps = [one.float() for one in self._encode(examples.images)]
            pixels = torch.from_numpy(examples.images).to(self._device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            crops = net.encode(pixels, *maps).rows(torch.from_numpy(examples.crop).to(self._device))
            return net.decode(crops, torch.from_numpy(examples.prompts).to(self._device), ALL)

    def statistics(self, num_crops: int = 40) -> Maps:
        """Feature maps of typical crops, for `RefineNet.set_statistics`."""
        rngs = [np.random.default_rng([self._seed, _STATISTICS_SEED, index]) for index in range(num_crops)]
        return self._encode([make_crop(rng, self._pictures, self._config.sample).image for rng in rngs])

    def _encode(self, images: Sequence[np.ndarray] | np.ndarray) -> Maps:
        return stack_features([self._encoder.encode(image, len(image)) for image in images])


def edge_weighted_entropy(
    logits: torch.Tensor, truths: torch.Tensor, known: torch.Tensor, edge_weight: float
) -> torch.Tensor:
    """(R,) mean cross entropy of (R, S, S) where the truth is `known`; on the border 1 + `edge_weight` times."""
    nearby = functional.avg_pool2d(truths[:, None], 9, 1, 4, count_include_pad=False)[:, 0]
    weights = known * (1.0 + edge_weight * 4.0 * nearby * (1.0 - nearby))
    losses = functional.binary_cross_entropy_with_logits(logits, truths, reduction="none")
    return (weights * losses).sum(dim=(1, 2)) / weights.sum(dim=(1, 2)).clamp_min(1.0)


def _overlaps(refined: Refined, truths: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """(R, M) IoU of all masks with the (R, S, S) truths."""
    count = refined.logits.shape[1]
    truths, known = (one.repeat_interleave(count, dim=0) for one in (truths, known))
    return jaccard(refined.logits.detach().flatten(0, 1), truths, known).unflatten(0, (-1, count))


def _examples(crops: Sequence[Crop], asked: Sequence[tuple[int, MaskPrompt]]) -> Examples:
    """Of crops, and of the crop and the prompt of each row."""
    return Examples(
        images=np.stack([crop.image for crop in crops]),
        known=np.stack([crop.known for crop in crops]),
        prompts=np.stack([prompt_maps(crops[index].image, *prompt) for index, prompt in asked]),
        truths=np.stack([crops[index].mask for index, _ in asked]),
        crop=np.array([index for index, _ in asked]),
        single=np.array([one.box is None and one.coarse is None and len(one.points) == 1 for _, one in asked]),
    )


def _validation_examples(pictures: Sequence[Picture], index: int, config: SampleConfig) -> Examples:
    """One crop, always the same: from a box, a click and a coarse mask."""
    rng = np.random.default_rng([_VALIDATION_SEED, index])
    plain = SampleConfig(
        config.size_px, composite_share=0.0, part_share=0.0, wide_share=0.0, clicked_share=0.0, turn_rad=0.0
    )
    crop = make_crop(rng, pictures, plain)
    prompts = (
        MaskPrompt(noisy_box(rng, crop.mask, plain)),
        MaskPrompt(None, *clicks(rng, crop.mask, 1)),
        MaskPrompt(coarse=spoil(rng, crop.mask, plain)),
    )
    return _examples([crop], [(0, one) for one in prompts])


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
