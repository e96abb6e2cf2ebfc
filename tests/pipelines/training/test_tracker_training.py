"""The task of training the propagation network, on drawn pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.trackers.propagation_net import PropagationNet
from pipelines.training import tracker
from pipelines.training.clips import Clip, ClipConfig
from pipelines.training.datasets import PictureSets
from pipelines.training.tracker import TrackerTask
from pipelines.training.tracker_batches import BatchMaker, TrackerTaskConfig, ridge_scores
from pipelines.training.tracker_frames import follow, share_logits

CPU = torch.device("cpu")
CONFIG = TrackerTaskConfig(clips=2, clip=ClipConfig(num_frames=3, size_px=96), num_validation=4)


@pytest.fixture(scope="module")
def task(picture_sets: PictureSets) -> TrackerTask:
    return TrackerTask(picture_sets, None, CONFIG, 0, CPU)


def fresh(task: TrackerTask) -> PropagationNet:
    torch.manual_seed(0)
    net = PropagationNet()
    net.set_statistics(*task.statistics(2))
    return net


def test_batches_depend_on_the_step_alone(task: TrackerTask) -> None:
    again = task.batch(3)
    assert all(np.array_equal(one.frames, two.frames) for one, two in zip(task.batch(3), again, strict=True))
    assert not np.array_equal(task.batch(4)[0].frames, again[0].frames)


def test_a_batch_may_be_learned_from_twice(picture_sets: PictureSets) -> None:
    config = replace(CONFIG, repeats=2, cycle=2)
    losses = []
    for start in (0, 2):  # from the beginning, and as after an interruption in the middle of a cycle
        task = TrackerTask(PictureSets(picture_sets.learned, {}), None, config, 0, CPU)
        net = fresh(task)
        losses.append([float(task.loss(net, task.batch(step), step)[0].detach()) for step in range(start, 6)])
        assert task.batch(4) == [] and len(task.batch(8)) == 2
    assert losses[0][2:] == losses[1]
    assert len(set(losses[0])) == 6  # the same clips, other faults


def test_logits_for_every_frame_but_the_first(task: TrackerTask) -> None:
    batch = BatchMaker(CONFIG, CPU).make(task.batch(0), None)
    logits = follow(fresh(task), batch, CONFIG, None)
    assert len(logits) == 2 and logits[0].shape == batch.masks[:, 0].shape == (len(batch.group), 24, 24)


def test_the_loss_of_one_clip_falls(task: TrackerTask, losses_of: Callable[..., list[float]]) -> None:
    losses = losses_of(task, fresh(task), task.batch(0), 2000, 1e-3, 30)
    assert losses[-1] < 0.6 * losses[0], losses


def test_every_trained_part_has_a_gradient(task: TrackerTask, without_gradient: Callable[..., list[str]]) -> None:
    assert without_gradient(task, fresh(task), range(2000, 2004)) == []


def test_the_log_says_overlap_and_number_of_objects(task: TrackerTask) -> None:
    _, figures = task.loss(fresh(task), task.batch(0), 0)
    assert set(figures) == {"J", "objects"} and 0 <= figures["J"] <= 1 and figures["objects"] >= 2


def test_validation_says_how_well_held_out_clips_go(task: TrackerTask) -> None:
    figures = task.validate(fresh(task).eval())
    assert set(figures) == {"J held_out layers", "J held_out encounter", "J held_out degraded"}
    assert all(0.0 < value <= 1.0 for value in figures.values())


def test_cells_of_which_nobody_knows_the_truth_do_not_count(task: TrackerTask) -> None:
    clip = task.batch(0)[0]
    void = np.zeros((3, 96, 96), np.uint8)
    void[1, 32:64] = 1
    batch = BatchMaker(CONFIG, CPU).make([replace(clip, void=void), replace(clip, void=None)], None)
    assert batch.known.shape == (2, 3, 24, 24) and (batch.known[0, 1, 8:16] == 0).all()
    assert batch.known.sum() == 6 * 24 * 24 - 8 * 24


def test_the_ridge_score_is_high_inside_and_its_quality_is_drawn() -> None:
    rng = np.random.default_rng(0)
    target = torch.zeros(2, 8, 8)
    target[:, 2:6, 2:6] = 1.0
    pixels = [torch.from_numpy(rng.normal(0, 1, (20, 64)).astype(np.float32)) for _ in range(2)]
    for one in pixels:
        one[0] = target[0].flatten()
    best = ridge_scores(pixels, target, None)
    assert float(best[1][target[1] > 0].mean()) > 0.8 and float(best[1][target[1] == 0].mean()) < 0.2
    drawn = [ridge_scores(pixels, target, np.random.default_rng(seed)) for seed in range(6)]
    assert len({float(one[1].sum()) for one in drawn}) > 3


def test_the_command_trains_and_resumes(train_in_parts: Callable[..., Any]) -> None:
    state, weights = train_in_parts(tracker.main, "--frames", "3")
    net = PropagationNet.from_file(weights, CPU)
    assert state["step"] == 3
    assert all(torch.equal(value, state["average"][name]) for name, value in net.state_dict().items())


def test_a_clip_of_several_objects_shares_its_pixels(task: TrackerTask) -> None:
    frames = task.batch(0)[0].frames
    masks = np.zeros((3, 2, 96, 96), np.uint8)
    masks[:, 0, 10:50, 10:50], masks[:, 1, 50:90, 50:90] = 1, 1
    batch = BatchMaker(CONFIG, CPU).make([Clip(frames, masks)], None)
    assert batch.group.tolist() == [0, 0] and batch.ridge.shape == (2, 3, 12, 12)
    logits = follow(fresh(task), batch, replace(CONFIG, carry_lost=0.0), None)
    assert all(row.detach().sigmoid().sum(dim=0).max() <= 1.0 + 1e-5 for row in logits)


def test_sharing_leaves_a_lone_object_and_divides_a_contested_pixel() -> None:
    logits = torch.tensor([3.0, 2.0, 2.0]).view(3, 1, 1)
    group = torch.tensor([0, 1, 1])
    shared = share_logits(logits, group).flatten()
    odds = torch.tensor(2.0).exp()
    assert float(shared[0]) == 3.0
    torch.testing.assert_close(shared[1:].sigmoid(), (odds / (1 + 2 * odds)).repeat(2))
