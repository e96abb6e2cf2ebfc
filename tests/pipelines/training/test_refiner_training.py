"""The task of training the refiner, on drawn pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipelines.refiners.refine_net import RefineNet
from pipelines.training import refiner
from pipelines.training.datasets import Picture, PictureSets
from pipelines.training.refiner import RefinerTask, RefinerTaskConfig, edge_weighted_entropy
from pipelines.training.refiner_samples import SampleConfig, clicks, corrections, make_crop, make_prompt, spoil

CONFIG = RefinerTaskConfig(crops=2, sample=SampleConfig(size_px=96), num_validation=2)


@pytest.fixture(scope="module")
def task(picture_sets: PictureSets) -> RefinerTask:
    return RefinerTask(picture_sets, CONFIG, 0, torch.device("cpu"))


def fresh(task: RefinerTask) -> RefineNet:
    torch.manual_seed(0)
    net = RefineNet()
    net.set_statistics(*task.statistics(2))
    return net


def disc() -> np.ndarray:
    mask = np.zeros((96, 128), np.uint8)
    cv2.circle(mask, (60, 50), 25, 1, -1)
    return mask


def test_batches_depend_on_the_step_alone(task: RefinerTask) -> None:
    again, other = task.batch(3), task.batch(4)
    same = task.batch(3)
    assert np.array_equal(same.images, again.images) and np.array_equal(same.prompts, again.prompts)
    assert not np.array_equal(other.images, again.images)
    assert again.images.shape == (2, 96, 96, 3) and again.prompts.shape == (4, 9, 48, 48)
    assert again.truths.shape == (4, 96, 96) and again.crop.tolist() == [0, 0, 1, 1]


def test_crops_show_their_object(pictures: list[Picture]) -> None:
    for seed in range(10):
        image, mask, wide = make_crop(np.random.default_rng(seed), pictures, CONFIG.sample)
        assert image.shape == (96, 96, 3) and mask.shape == (96, 96) and set(np.unique(mask)) == {0, 1}
        prompt = make_prompt(np.random.default_rng(seed), mask, wide, CONFIG.sample)
        given = [prompt.box, prompt.points, prompt.coarse]
        assert any(one is not None for one in given)
        assert not wide or prompt.box is None or prompt.coarse is not None


def test_all_kinds_of_prompts_come() -> None:
    seen = set()
    for seed in range(120):
        one = make_prompt(np.random.default_rng(seed), disc(), False, CONFIG.sample)
        seen.add((one.box is not None, one.points is not None, one.coarse is not None))
    assert seen == {(1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1)}


def test_clicks_lie_on_their_side() -> None:
    for seed in range(10):
        points, labels = clicks(np.random.default_rng(seed), disc(), 5)
        assert labels[0] and all(disc()[int(y), int(x)] == on for (x, y), on in zip(points, labels, strict=True))


def test_corrections_point_at_the_fault() -> None:
    coarse = disc().astype(np.float32)
    coarse[:, 60:] = 0
    points, labels = corrections(np.random.default_rng(0), disc(), coarse)
    assert labels.tolist() == [True, True] and points[1, 0] >= 60


def test_spoilt_masks_differ_and_still_mean_the_object() -> None:
    overlaps = []
    for seed in range(60):
        coarse = spoil(np.random.default_rng(seed), disc(), SampleConfig(soft_share=0.5))
        assert coarse.dtype == np.float32 and coarse.shape == disc().shape and 0 <= coarse.min() <= coarse.max() <= 1
        overlaps.append(np.sum((coarse > 0.5) & (disc() > 0)) / np.sum((coarse > 0.5) | (disc() > 0)))
    assert 0.6 < np.mean(overlaps) < 0.95 and np.min(overlaps) > 0.1 and np.max(overlaps) == 1.0


def test_edges_weigh_more() -> None:
    truth = torch.zeros(1, 32, 32)
    truth[:, :, 16:] = 1
    at_the_edge, far_away = (10 * (truth - 0.5)).clone(), (10 * (truth - 0.5)).clone()
    at_the_edge[:, :, 16] *= -1
    far_away[:, :, 31] *= -1
    assert edge_weighted_entropy(at_the_edge, truth, 4.0) > 2 * edge_weighted_entropy(far_away, truth, 4.0)
    without = [float(edge_weighted_entropy(one, truth, 0.0)) for one in (at_the_edge, far_away)]
    assert without[0] == pytest.approx(without[1])


def test_the_loss_of_one_batch_falls(task: RefinerTask, losses_of: Callable[..., list[float]]) -> None:
    losses = losses_of(task, fresh(task), task.batch(0), 0, 2e-3, 25)
    assert losses[-1] < 0.6 * losses[0], losses


def test_every_trained_part_has_a_gradient(task: RefinerTask, without_gradient: Callable[..., list[str]]) -> None:
    assert without_gradient(task, fresh(task), range(3)) == []


def test_the_log_says_overlap_and_how_well_it_is_guessed(task: RefinerTask) -> None:
    _, figures = task.loss(fresh(task), task.batch(0), 0)
    assert set(figures) == {"J", "iou_error"} and all(0 <= value <= 1 for value in figures.values())


def test_validation_says_how_well_each_prompt_goes(task: RefinerTask) -> None:
    figures = task.validate(fresh(task).eval())
    assert set(figures) == {f"held_out {one}" for one in ("box", "click", "coarse", "before", "iou_error")}
    assert all(0.0 <= value <= 1.0 for value in figures.values())


def test_sixteen_bits_change_little(task: RefinerTask, picture_sets: PictureSets) -> None:
    half = RefinerTask(picture_sets, replace(CONFIG, bfloat16=True), 0, torch.device("cpu"))
    net = fresh(task)
    losses = [float(one.loss(net, one.batch(0), 0)[0].detach()) for one in (task, half)]
    assert losses[0] == pytest.approx(losses[1], rel=0.03)


def test_the_command_trains_and_resumes(train_in_parts: Callable[..., Any]) -> None:
    state, weights = train_in_parts(refiner.main)
    net = RefineNet.from_file(weights, torch.device("cpu"))
    assert state["step"] == 3
    assert all(torch.equal(value, state["average"][name]) for name, value in net.state_dict().items())
