"""What the commands that train have in common: options, pictures, and the way into the loop."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import torch

from pipelines.training.datasets import PictureSets, read_horses
from pipelines.training.loop import LoopConfig, Task, train
from pipelines.training.mask_sources import read_source
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
    add_sources(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint.pt and weights.safetensors")
    parser.add_argument("--init", type=Path, metavar="FILE", help="start from these weights (safetensors)")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    parser.add_argument("--steps", type=int, default=LoopConfig.steps)
    parser.add_argument("--minutes", type=float, default=LoopConfig.minutes, help="stop after so many, resumable")
    parser.add_argument("--seed", type=int, default=LoopConfig.seed)
    parser.add_argument("--rate", type=float, default=LoopConfig.learning_rate, help="highest learning rate")
    parser.add_argument("--average", type=float, default=LoopConfig.average, help="share kept by the averaged weights")
    parser.add_argument("--checkpoint-minutes", type=float, default=LoopConfig.checkpoint_minutes)
    parser.add_argument("--validate-every", type=int, default=LoopConfig.validate_every, help="steps")
    return parser


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Where pictures come from, and what computes."""
    parser.add_argument(
        "--source", type=Path, action="append", required=True, metavar="DIR",
        help="pictures with masks: label maps, COCO segments in YOLO layout, Clothing Co-Parsing, or drawn objects; "
        "may be given again, and one that is given twice counts twice",
    )  # fmt: skip
    parser.add_argument("--horses", type=Path, help="Weizmann horses, for validation only: horse/, mask/")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--bfloat16", action="store_true", help="16-bit arithmetic where the processor has it: faster")


def set_up(given: argparse.Namespace) -> torch.device:
    """Log to stderr, take the threads and the device that were given."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    return pick_device(given.device)


def read_pictures(given: argparse.Namespace, short_side_px: int, held_out_only: bool = False) -> PictureSets:
    """The pictures of the folders that were given, apart; one that was given several times is learned from as often."""
    sources = {folder: read_source(folder, short_side_px, held_out_only) for folder in dict.fromkeys(given.source)}
    validation = {"held_out": [picture for _, held_out in sources.values() for picture in held_out]}
    if given.horses:
        validation["horses"] = read_horses(given.horses, short_side_px)
    return PictureSets([picture for folder in given.source for picture in sources[folder][0]], validation)


def learn(make: Callable[[], FeatureNet], task: FeatureTask, given: argparse.Namespace) -> None:
    """Train the network that `make` makes; its first weights are those of `--init`, or depend on the seed alone."""
    torch.manual_seed(given.seed)
    net = make()
    if given.init:
        net.load_state_dict(type(net).from_file(given.init, torch.device("cpu")).state_dict())
    else:
        net.set_statistics(*task.statistics())
    logger.info("%d trained parameters", sum(value.numel() for value in net.parameters()))
    config = LoopConfig(
        steps=given.steps,
        learning_rate=given.rate,
        seed=given.seed,
        minutes=given.minutes,
        validate_every=given.validate_every,
        average=given.average,
        checkpoint_minutes=given.checkpoint_minutes,
    )
    train(net, task, config, given.out, given.resume)
