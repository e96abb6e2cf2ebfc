"""What the commands that train have in common: options, pictures, and the way into the loop."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import torch

from pipelines.training.datasets import PictureSets, read_ccp, read_coco, read_horses, split
from pipelines.training.loop import LoopConfig, Task, train
from streamvos.device import pick_device
from streamvos.models.feature_net import FeatureNet, Maps

logger = logging.getLogger(__name__)


class FeatureTask(Task, Protocol):
    """What a network on frozen features learns."""

    def statistics(self) -> Maps:
        """Feature maps of typical pictures, for `FeatureNet.set_statistics`."""


def options(module: str, about: str) -> argparse.ArgumentParser:
    """A parser with what every training takes; `about` is the docstring of the module that is run."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about.split("\n")[0])
    parser.add_argument("--ccp", type=Path, required=True, help="Clothing Co-Parsing: photos/, labels/")
    parser.add_argument("--coco", type=Path, required=True, help="COCO segments in YOLO layout: images/, labels/")
    parser.add_argument("--horses", type=Path, help="Weizmann horses, for validation only: horse/, mask/")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint.pt and weights.safetensors")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    parser.add_argument("--steps", type=int, default=LoopConfig.steps)
    parser.add_argument("--minutes", type=float, default=LoopConfig.minutes, help="stop after so many, resumable")
    parser.add_argument("--seed", type=int, default=LoopConfig.seed)
    parser.add_argument("--rate", type=float, default=LoopConfig.learning_rate, help="highest learning rate")
    parser.add_argument("--validate-every", type=int, default=LoopConfig.validate_every, help="steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--bfloat16", action="store_true", help="16-bit arithmetic where the processor has it: faster")
    return parser


def set_up(given: argparse.Namespace) -> torch.device:
    """Log to stderr, take the threads and the device that were given."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    return pick_device(given.device)


def read_pictures(
    given: argparse.Namespace, short_side_px: int, coco_times: int, coco_times_held_out: int
) -> PictureSets:
    """The pictures of the folders that were given; those of COCO, which are few, count several times."""
    ccp, ccp_held_out = split(read_ccp(given.ccp, short_side_px))
    coco, coco_held_out = split(read_coco(given.coco, short_side_px))
    validation = {"held_out": ccp_held_out + coco_times_held_out * coco_held_out}
    if given.horses:
        validation["horses"] = read_horses(given.horses, short_side_px)
    return PictureSets(ccp + coco_times * coco, validation)


def learn(make: Callable[[], FeatureNet], task: FeatureTask, given: argparse.Namespace) -> None:
    """Train the network that `make` makes; its first weights depend on the seed alone."""
    torch.manual_seed(given.seed)
    net = make()
    net.set_statistics(*task.statistics())
    logger.info("%d trained parameters", sum(value.numel() for value in net.parameters()))
    config = LoopConfig(
        steps=given.steps,
        learning_rate=given.rate,
        seed=given.seed,
        minutes=given.minutes,
        validate_every=given.validate_every,
    )
    train(net, task, config, given.out, given.resume)
