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
from pipelines.training.datasets import Picture, PictureSets, Region
from pipelines.training.refiner import RefinerTask, RefinerTaskConfig, edge_weighted_entropy
from pipelines.training.refiner_samples import Crop, SampleConfig, clicks, corrections, make_crop, make_prompt, spoil

CONFIG = RefinerTaskConfig(crops=2, sample=SampleConfig(size_px=96), num_validation=2)

NAMES = ("box", "click", "coarse", "click_best", "click_first", "before", "iou_error")


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
        crop = make_crop(np.random.default_rng(seed), pictures, CONFIG.sample)
        assert crop.image.shape == (96, 96, 3) and crop.mask.shape == (96, 96) and crop.mask.any()
        prompt = make_prompt(np.random.default_rng(seed), crop, CONFIG.sample)
        given = [prompt.box, prompt.points, prompt.coarse]
        assert any(one is not None for one in given)
        assert not crop.wide or prompt.box is None or prompt.coarse is not None


def test_crops_around_a_click_show_it_where_it_was_made(pictures: list[Picture]) -> None:
    always = SampleConfig(size_px=96, wide_share=0.0, clicked_share=1.0)
    cut = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        crop = make_crop(rng, pictures, always)
        x, y = crop.click
        assert crop.mask[min(95, int(y)), min(95, int(x))] == 1
        prompt = make_prompt(rng, crop, always)
        assert prompt.box is None and prompt.coarse is None and np.array_equal(prompt.points[0], crop.click)
        edge = np.concatenate([crop.mask[0], crop.mask[-1], crop.mask[:, 0], crop.mask[:, -1]])
        cut += bool(edge.any())
    assert 3 < cut < 27  # some objects are cut by the window, as where a near look is taken at a large thing


def test_touching_things_of_a_class_can_be_meant_together(pictures: list[Picture]) -> None:
    left, right = np.zeros((120, 160), bool), np.zeros((120, 160), bool)
    left[30:90, 40:80], right[30:90, 82:120] = True, True
    regions = (Region("cup", left), Region("cup", right), Region("table", ~(left | right)))
    two = Picture(pictures[0].image, regions, regions[:2])
    shares = {"wide_share": 0.0, "clicked_share": 1.0, "composite_share": 0.0, "part_share": 0.0}
    sizes = {
        share: np.mean(
            [
                make_crop(np.random.default_rng(seed), [two], SampleConfig(96, group_share=share, **shares)).mask.mean()
                for seed in range(25)
            ]
        )
        for share in (0.0, 1.0)
    }
    assert sizes[1.0] > sizes[0.0] + 0.02


def test_what_nobody_knows_does_not_count(task: RefinerTask, pictures: list[Picture]) -> None:
    void = np.zeros((120, 160), bool)
    void[:, 140:] = True
    plain = SampleConfig(96, composite_share=0.0, wide_share=1.0, clicked_share=0.0)
    unknown = [replace(picture, void=void) for picture in pictures]
    crops = [make_crop(np.random.default_rng(seed), unknown, plain) for seed in range(10)]
    assert any(not crop.known.all() for crop in crops) and all(crop.known[crop.mask > 0].all() for crop in crops)
    batch = task.batch(1)
    nothing = replace(batch, known=np.zeros_like(batch.known))
    without, with_all = (float(task.loss(fresh(task), one, 1)[0].detach()) for one in (nothing, batch))
    assert without < 0.5 * with_all


def test_the_best_of_the_choices_learns_most(task: RefinerTask) -> None:
    net, batch = fresh(task), task.batch(0)
    batch = replace(batch, single=np.ones_like(batch.single))
    task.loss(net, batch, 0)[0].backward()
    strength = net.middle_out.weight.grad.flatten(1).norm(dim=1)
    assert strength[1:].max() > 3 * strength[1:].min() > 0


def test_all_kinds_of_prompts_come() -> None:
    seen = set()
    for seed in range(120):
        crop = Crop(np.zeros((96, 128, 3), np.uint8), disc(), np.ones((96, 128), bool), False)
        one = make_prompt(np.random.default_rng(seed), crop, CONFIG.sample)
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
    known = torch.ones_like(truth)
    at_the_edge, far_away = (10 * (truth - 0.5)).clone(), (10 * (truth - 0.5)).clone()
    at_the_edge[:, :, 16] *= -1
    far_away[:, :, 31] *= -1
    assert edge_weighted_entropy(at_the_edge, truth, known, 4.0) > 2 * edge_weighted_entropy(
        far_away, truth, known, 4.0
    )
    without = [float(edge_weighted_entropy(one, truth, known, 0.0)) for one in (at_the_edge, far_away)]
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
    assert set(figures) == {f"held_out {one}" for one in NAMES}
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
