"""Pictures drawn here and now: textured discs and boxes on noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from pipelines.training.datasets import Picture, PictureSets, Region


def drawn(seed: int) -> Picture:
    """(120, 160) with a disc and a box in it."""
    rng = np.random.default_rng(seed)
    noise = cv2.resize(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8), (160, 120))
    disc, box = np.zeros((120, 160), np.uint8), np.zeros((120, 160), np.uint8)
    cv2.circle(disc, (50, 60), 28, 1, -1)
    box[30:100, 95:140] = 1
    image = noise // 3 + 40
    for mask in (disc, box):
        tint = rng.integers(0, 200, 3)
        image[mask > 0] = (noise[mask > 0] // 4 + tint).clip(0, 255)
    regions = (Region("disc", disc > 0), Region("box", box > 0))
    return Picture(image.astype(np.uint8), regions, regions)


@pytest.fixture(scope="session")
def pictures() -> list[Picture]:
    return [drawn(seed) for seed in range(4)]


@pytest.fixture(scope="session")
def picture_sets(pictures: list[Picture]) -> PictureSets:
    return PictureSets(pictures, {"held_out": pictures[:1]})


@pytest.fixture
def folders(tmp_path: Path, pictures: list[Picture]) -> list[str]:
    """16 pictures of each kind on disk and where to write: the options that every training needs."""
    for index, picture in enumerate(pictures * 4):
        labels = np.zeros(picture.image.shape[:2], np.uint8)
        for value, region in enumerate(picture.regions, 1):
            labels[region.mask] = value
        for folder, name, content in (
            ("ccp/photos", f"{index}.jpg", picture.image),
            ("ccp/labels", f"{index}.png", labels),
            ("coco/images", f"{index}.jpg", picture.image),
            ("horses/horse", f"{index}.jpg", picture.image),
            ("horses/mask", f"{index}.png", labels),
        ):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(tmp_path / folder / name), content)
        (tmp_path / "coco/labels").mkdir(exist_ok=True)
        (tmp_path / "coco/labels" / f"{index}.txt").write_text("0 0.2 0.2 0.7 0.2 0.7 0.8\n")
    return ["--source", str(tmp_path / "ccp"), "--source", str(tmp_path / "coco"), "--out", str(tmp_path / "out")]


@pytest.fixture
def losses_of() -> Callable[..., list[float]]:
    """Learn from one batch again and again: `losses_of(task, net, batch, step, rate, count)`."""

    def learn(task: Any, net: nn.Module, batch: Any, step: int, rate: float, count: int) -> list[float]:
        optimiser = torch.optim.AdamW(net.parameters(), rate)
        losses = []
        for _ in range(count):
            loss, _ = task.loss(net, batch, step)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        return losses

    return learn


@pytest.fixture
def without_gradient() -> Callable[..., list[str]]:
    """Names of what did not learn in some steps; last layers start at 0, what lies before them learns after them."""

    def learn(task: Any, net: nn.Module, steps: range) -> list[str]:
        for step in steps:
            loss, _ = task.loss(net, task.batch(step), step)
            loss.backward()
            torch.optim.SGD(net.parameters(), 0.1).step()
        return [name for name, value in net.named_parameters() if value.grad is None or not value.grad.abs().sum()]

    return learn


@pytest.fixture
def train_in_parts(tmp_path: Path, folders: list[str]) -> Callable[..., tuple[dict[str, Any], Path]]:
    """Train 2 steps with a command and go on to the third; its checkpoint and its file of weights."""

    def train(main: Callable[[list[str]], None], *small: str) -> tuple[dict[str, Any], Path]:
        options = [*folders, "--batch", "1", "--size", "64", "--device", "cpu", *small]
        main([*options, "--steps", "2"])
        main([*options, "--steps", "3", "--resume"])
        out = tmp_path / "out"
        return torch.load(out / "checkpoint.pt", weights_only=True), out / "weights.safetensors"

    return train
