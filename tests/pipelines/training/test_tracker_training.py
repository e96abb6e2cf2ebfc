"""The task of training the propagation network, on drawn pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipelines.trackers.propagation_net import PropagationNet
from pipelines.training import tracker
from pipelines.training.clips import Clip, ClipConfig
from pipelines.training.datasets import Picture
from pipelines.training.tracker import TrackerTask, TrackerTaskConfig, follow

CONFIG = TrackerTaskConfig(clips=2, clip=ClipConfig(num_frames=3, size_px=96))


@pytest.fixture(scope="module")
def task(pictures: list[Picture]) -> TrackerTask:
    return TrackerTask(pictures, pictures[:1], [], None, CONFIG, 0, torch.device("cpu"))


def fresh(task: TrackerTask) -> PropagationNet:
    torch.manual_seed(0)
    net = PropagationNet()
    net.set_statistics(*task.statistics(2))
    return net


def test_batches_depend_on_the_step_alone(task: TrackerTask) -> None:
    again = task.batch(3)
    assert all(np.array_equal(one.frames, two.frames) for one, two in zip(task.batch(3), again, strict=True))
    assert not np.array_equal(task.batch(4)[0].frames, again[0].frames)


def test_a_batch_may_be_learned_from_twice(pictures: list[Picture]) -> None:
    config = replace(CONFIG, repeats=2, cycle=2)
    losses = []
    for start in (0, 2):  # from the beginning, and as after an interruption in the middle of a cycle
        task = TrackerTask(pictures, [], [], None, config, 0, torch.device("cpu"))
        net = fresh(task)
        losses.append([float(task.loss(net, task.batch(step), step)[0].detach()) for step in range(start, 6)])
        assert task.batch(4) == [] and len(task.batch(8)) == 2
    assert losses[0][2:] == losses[1]
    assert len(set(losses[0])) == 6  # the same clips, other faults


def test_logits_for_every_frame_but_the_first(task: TrackerTask) -> None:
    batch = task.prepare(task.batch(0), None)
    logits = follow(fresh(task), batch, CONFIG, None)
    assert len(logits) == 2 and logits[0].shape == batch.masks[:, 0].shape == (len(batch.group), 24, 24)


def test_the_loss_of_one_clip_falls(task: TrackerTask) -> None:
    net, clips = fresh(task), task.batch(0)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    losses = []
    for _ in range(30):
        loss, figures = task.loss(net, clips, 2000)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert set(figures) == {"J", "objects"}
    assert losses[-1] < 0.6 * losses[0], losses


def test_every_trained_part_has_a_gradient(task: TrackerTask) -> None:
    net = fresh(task)
    for step in range(2000, 2004):  # last layers start at 0: what lies before them learns from later steps on
        loss, _ = task.loss(net, task.batch(step), step)
        loss.backward()
        torch.optim.SGD(net.parameters(), 0.1).step()
    missing = [name for name, value in net.named_parameters() if value.grad is None or not value.grad.abs().sum()]
    assert missing == []


def test_validation_says_how_well_held_out_clips_go(task: TrackerTask) -> None:
    figures = task.validate(fresh(task).eval())
    assert set(figures) == {"J held_out"} and 0.0 < figures["J held_out"] <= 1.0


def test_a_spoilt_mask_differs_and_stays_a_mask() -> None:
    box = torch.zeros(24, 24)
    box[6:16, 6:16] = 1.0
    key = torch.nn.functional.normalize(torch.randn(8, 12, 12, generator=torch.Generator().manual_seed(0)), dim=0)
    changed = 0
    for seed in range(30):
        mask = box.clone()
        tracker._spoil(mask, key, np.random.default_rng(seed))
        assert mask.min() >= 0 and mask.max() <= 1
        changed += not torch.equal(mask, box)
    assert changed > 20
    empty = torch.zeros(24, 24)
    for seed in range(10):
        tracker._spoil(empty.clone(), key, np.random.default_rng(seed))


def test_the_ridge_score_is_high_inside_and_its_quality_is_drawn() -> None:
    rng = np.random.default_rng(0)
    target = torch.zeros(2, 8, 8)
    target[:, 2:6, 2:6] = 1.0
    pixels = [torch.from_numpy(rng.normal(0, 1, (20, 64)).astype(np.float32)) for _ in range(2)]
    for one in pixels:
        one[0] = target[0].flatten()
    best = tracker.ridge_scores(pixels, target, None)
    assert float(best[1][target[1] > 0].mean()) > 0.8 and float(best[1][target[1] == 0].mean()) < 0.2
    drawn = [tracker.ridge_scores(pixels, target, np.random.default_rng(seed)) for seed in range(6)]
    assert len({float(one[1].sum()) for one in drawn}) > 3


def test_the_command_trains_resumes_and_refuses(tmp_path: Path, pictures: list[Picture]) -> None:
    for index, picture in enumerate(pictures * 4):
        labels = np.zeros(picture.image.shape[:2], np.uint8)
        for value, region in enumerate(picture.regions, 1):
            labels[region.mask] = value
        for folder, name, content in (
            ("ccp/photos", f"{index}.jpg", picture.image),
            ("ccp/labels", f"{index}.png", labels),
            ("coco/images", f"{index}.jpg", picture.image),
        ):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(tmp_path / folder / name), content)
        (tmp_path / "coco/labels").mkdir(exist_ok=True)
        (tmp_path / "coco/labels" / f"{index}.txt").write_text("0 0.2 0.2 0.7 0.2 0.7 0.8\n")
    common = ["--ccp", str(tmp_path / "ccp"), "--coco", str(tmp_path / "coco"), "--out", str(tmp_path / "out")]
    small = ["--batch", "1", "--size", "64", "--frames", "3", "--device", "cpu"]
    tracker.main([*common, *small, "--steps", "2"])
    tracker.main([*common, *small, "--steps", "3", "--resume"])
    state = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 3
    net = PropagationNet.from_file(tmp_path / "out" / "weights.safetensors", torch.device("cpu"))
    assert all(torch.equal(value, state["average"][name]) for name, value in net.state_dict().items())


def test_a_clip_of_several_objects_shares_its_pixels(task: TrackerTask) -> None:
    frames = task.batch(0)[0].frames
    masks = np.zeros((3, 2, 96, 96), np.uint8)
    masks[:, 0, 10:50, 10:50], masks[:, 1, 50:90, 50:90] = 1, 1
    batch = task.prepare([Clip(frames, masks)], None)
    assert batch.group.tolist() == [0, 0] and batch.ridge.shape == (2, 3, 12, 12)
    logits = follow(fresh(task), batch, replace(CONFIG, carry_lost=0.0), None)
    assert all(row.detach().sigmoid().sum(dim=0).max() <= 1.0 + 1e-5 for row in logits)
