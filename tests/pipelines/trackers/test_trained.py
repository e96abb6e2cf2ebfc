"""The trained tracker on coloured squares, with an untrained network: its first state is the mix of its cues."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from memory_bank.keyframes.config import KeyFrameConfig
from pipelines.trackers.propagation_net import PropagationNet
from pipelines.trackers.protocol import Propagation, TrackerSetup
from pipelines.trackers.trained import TrainedTracker, TrainedTrackerConfig
from pipelines.training.loop import export
from streamvos.errors import InputError
from streamvos.snapshot import load_snapshot, save_snapshot

Draw = Callable[..., tuple[np.ndarray, dict[int, np.ndarray]]]
SIZE = 112
CONFIG = TrainedTrackerConfig()
SETUP = TrackerSetup(SIZE, torch.device("cpu"), budget_bytes=20 * 2**20, object_budget_bytes=12 * 2**20)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = PropagationNet()
    torch.nn.init.normal_(net.out.weight, std=0.01)  # so that the decoder has a say
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    export(net.state_dict(), path, {"step": "0"})
    return path


@pytest.fixture
def tracker(weights: Path) -> TrainedTracker:
    return TrainedTracker(CONFIG, SETUP, weights)


def squares(draw: Draw, index: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    return draw({1: (8 + index, 10 + 5 * index), 2: (64, 110 - 5 * index)})


def step(tracker: TrainedTracker, index: int, image: np.ndarray) -> Propagation:
    tracker.observe(image)
    found = tracker.propagate()
    tracker.memorize(index, found, dict.fromkeys(found.object_ids.tolist(), True))
    return found


def start(tracker: TrainedTracker, image: np.ndarray, truth: dict[int, np.ndarray]) -> None:
    tracker.observe(image)
    found = tracker.propagate()
    for object_id, mask in truth.items():
        tracker.add(0, object_id, mask)
    tracker.memorize(0, found, {})


def iou(found: Propagation, object_id: int, truth: np.ndarray) -> float:
    mask = found.probabilities[found.object_ids.tolist().index(object_id)] > 0.5
    return (mask & truth).sum() / (mask | truth).sum()


def test_two_objects_are_followed_and_share_the_picture(tracker: TrainedTracker, draw_squares: Draw) -> None:
    start(tracker, *squares(draw_squares, 0))
    for index in range(1, 10):
        image, truth = squares(draw_squares, index)
        found = step(tracker, index, image)
        assert found.object_ids.tolist() == [1, 2] and found.probabilities.shape == (2, 112, 160)
        assert found.probabilities.dtype == np.float32
        assert found.probabilities.min() >= 0 and found.probabilities.sum(axis=0).max() <= 1 + 1e-5
        assert iou(found, 1, truth[1]) > 0.6 and iou(found, 2, truth[2]) > 0.6, f"frame {index}"


def test_the_weights_that_come_with_it_follow_better_than_chance(draw_squares: Draw) -> None:
    tracker = TrainedTracker(CONFIG, SETUP)
    start(tracker, *squares(draw_squares, 0))
    for index in range(1, 8):
        image, truth = squares(draw_squares, index)
        found = step(tracker, index, image)
    assert iou(found, 1, truth[1]) > 0.7 and iou(found, 2, truth[2]) > 0.7


def test_removal_and_reset_leave_nothing(tracker: TrainedTracker, draw_squares: Draw) -> None:
    start(tracker, *squares(draw_squares, 0))
    step(tracker, 1, squares(draw_squares, 1)[0])
    before = tracker.state_bytes()
    tracker.remove(2)
    assert tracker.state_bytes() < before
    assert list(tracker.state_dict()["last_values"]) == [1] and tracker.memory.read(2) == {}
    tracker.reset()
    assert tracker.state_bytes() == 0


def test_without_objects_there_is_nothing_to_find(tracker: TrainedTracker, draw_squares: Draw) -> None:
    assert step(tracker, 0, squares(draw_squares, 0)[0]).probabilities.shape == (0, 112, 160)


def test_a_restored_tracker_goes_on_exactly(
    tracker: TrainedTracker, weights: Path, draw_squares: Draw, tmp_path: Path
) -> None:
    start(tracker, *squares(draw_squares, 0))
    for index in range(1, 5):
        step(tracker, index, squares(draw_squares, index)[0])
    save_snapshot(tmp_path / "state", tracker.state_dict())
    again = TrainedTracker(CONFIG, SETUP, weights)
    again.load_state_dict(load_snapshot(tmp_path / "state"))
    for index in range(5, 9):
        image, _ = squares(draw_squares, index)
        one, two = step(tracker, index, image), step(again, index, image)
        assert np.array_equal(one.probabilities, two.probabilities), f"frame {index}"


def test_a_shot_voids_the_frame_before_and_keeps_the_views(tracker: TrainedTracker, draw_squares: Draw) -> None:
    start(tracker, *squares(draw_squares, 0))
    step(tracker, 1, squares(draw_squares, 1)[0])
    kept = tracker.appearances(1)
    tracker.start_shot()
    assert tracker.state_dict()["last_key16"] is None and tracker.state_dict()["last_values"] == {}
    assert np.array_equal(tracker.appearances(1), kept) and len(kept)
    assert step(tracker, 2, squares(draw_squares, 2)[0]).object_ids.tolist() == [1, 2]


def test_the_key_frame_memory_stays_within_its_budget(weights: Path, draw_squares: Draw) -> None:
    budget = 3 * 2**20
    tracker = TrainedTracker(CONFIG, dataclasses.replace(SETUP, budget_bytes=budget), weights)
    start(tracker, *squares(draw_squares, 0))
    for index in range(1, 30):
        step(tracker, index, squares(draw_squares, index % 12)[0])
        assert tracker.stats().bytes <= budget


def test_a_mask_of_another_size_is_refused_and_changes_nothing(tracker: TrainedTracker, draw_squares: Draw) -> None:
    start(tracker, *squares(draw_squares, 0))
    before = tracker.state_bytes()
    with pytest.raises(InputError, match="mask of object 7"):
        tracker.add(0, 7, np.ones((5, 5), bool))
    assert tracker.state_bytes() == before


@pytest.mark.parametrize("chosen", ["latest", "similar"])
def test_attention_is_told_to_the_memory_that_wants_it(weights: Path, draw_squares: Draw, chosen: str) -> None:
    keyframes = KeyFrameConfig(policy="rmem", max_per_object=3)
    config = TrainedTrackerConfig(keyframes=keyframes, views_read=3, views_chosen=chosen, fit_every=2)
    tracker, plain = (
        TrainedTracker(one, SETUP, weights)
        for one in (
            config,
            dataclasses.replace(config, keyframes=dataclasses.replace(keyframes, policy="gap", rules=None)),
        )
    )
    start(tracker, *squares(draw_squares, 0))
    start(plain, *squares(draw_squares, 0))
    for index in range(1, 14):
        image, _ = squares(draw_squares, index)
        one, other = step(tracker, index, image), step(plain, index, image)
        if index == 6:  # as long as both hold the same views, being watched changes nothing
            assert np.allclose(one.probabilities, other.probabilities, atol=1e-5)
    state = tracker.memory.state_dict()
    assert (state["num_reads"] > 0).all() and len(state["num_reads"]) == 6
    mean = state["attention"] / state["num_reads"]
    assert (mean > 0).all() and mean[state["object_id"] == 1].sum() < 1
    assert not plain.memory.state_dict()["num_reads"].any()


@pytest.mark.parametrize(("together", "read"), [(20, 5), (6, 3), (1, 2)], ids=["enough for all", "shared", "the least"])
def test_several_objects_share_the_key_frames_that_are_read(
    weights: Path, draw_squares: Draw, monkeypatch: pytest.MonkeyPatch, together: int, read: int
) -> None:
    keyframes = KeyFrameConfig(policy="gap")
    config = dataclasses.replace(CONFIG, keyframes=keyframes, fit_every=1, views_read=5, views_read_together=together)
    tracker = TrainedTracker(config, SETUP, weights)
    start(tracker, *squares(draw_squares, 0))
    for index in range(1, 40):
        step(tracker, index, squares(draw_squares, index % 9)[0])
    asked: list[int] = []
    plain = tracker.memory.read

    def watched(object_id: int, names: tuple[str, ...] = (), chosen: np.ndarray | None = None) -> dict:
        if "near" in names:
            asked.append(len(chosen))
        return plain(object_id, names, chosen)

    monkeypatch.setattr(tracker.memory, "read", watched)
    step(tracker, 40, squares(draw_squares, 3)[0])
    assert asked == [read, read] and tracker.memory.count(1) >= 5
