"""The embedded tracker on coloured squares that move over noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memory_bank.keyframes.config import KeyFrameConfig
from pipelines.trackers.embedded import EmbeddedTracker, EmbeddedTrackerConfig
from pipelines.trackers.protocol import Propagation, TrackerSetup
from pipelines.trackers.sharing import share_out
from streamvos.errors import InputError
from streamvos.snapshot import load_snapshot, save_snapshot

Draw = Callable[..., tuple[np.ndarray, dict[int, np.ndarray]]]
SIZE = 112
CONFIG = EmbeddedTrackerConfig()
SETUP = TrackerSetup(SIZE, torch.device("cpu"), budget_bytes=20 * 2**20, object_budget_bytes=12 * 2**20)


def build(config: EmbeddedTrackerConfig = CONFIG) -> EmbeddedTracker:
    return EmbeddedTracker(config, SETUP)


@pytest.fixture(scope="module")
def shared() -> EmbeddedTracker:
    return build()


@pytest.fixture
def tracker(shared: EmbeddedTracker) -> EmbeddedTracker:
    shared.reset()
    return shared


def one_square(draw: Draw, index: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    return draw({1: (20 + index, 10 + 5 * index)})


def two_squares(draw: Draw, index: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    return draw({1: (8 + index, 10 + 5 * index), 2: (64, 110 - 5 * index)})


def step(tracker: EmbeddedTracker, index: int, image: np.ndarray) -> Propagation:
    tracker.observe(image)
    found = tracker.propagate()
    tracker.memorize(index, found, dict.fromkeys(found.object_ids.tolist(), True))
    return found


def start(tracker: EmbeddedTracker, image: np.ndarray, truth: dict[int, np.ndarray]) -> None:
    tracker.observe(image)
    for object_id, mask in truth.items():
        tracker.add(0, object_id, mask)


def iou(found: Propagation, object_id: int, truth: np.ndarray) -> float:
    mask = found.probabilities[found.object_ids.tolist().index(object_id)] > 0.5
    return (mask & truth).sum() / (mask | truth).sum()


def same(one: Propagation, other: Propagation) -> bool:
    return np.array_equal(one.object_ids, other.object_ids) and np.array_equal(one.probabilities, other.probabilities)


def test_follows_a_moving_square(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    start(tracker, *one_square(draw_squares, 0))
    for index in range(1, 16):
        image, truth = one_square(draw_squares, index)
        found = step(tracker, index, image)
        assert found.probabilities.dtype == np.float32 and found.probabilities.shape == (1, 112, 160)
        assert iou(found, 1, truth[1]) > 0.7, f"frame {index}"


def test_two_objects_share_the_picture(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    start(tracker, *two_squares(draw_squares, 0))
    for index in range(1, 13):
        image, truth = two_squares(draw_squares, index)
        found = step(tracker, index, image)
        assert found.object_ids.tolist() == [1, 2]
        assert found.probabilities.min() >= 0 and found.probabilities.sum(axis=0).max() <= 1 + 1e-5
        assert iou(found, 1, truth[1]) > 0.7 and iou(found, 2, truth[2]) > 0.7, f"frame {index}"


def test_an_object_may_come_later_and_another_go(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    image, truth = two_squares(draw_squares, 0)
    start(tracker, image, {2: truth[2]})
    for index in range(1, 5):
        assert step(tracker, index, two_squares(draw_squares, index)[0]).object_ids.tolist() == [2]
    image, truth = two_squares(draw_squares, 5)
    tracker.observe(image)
    tracker.add(5, 1, truth[1])
    for index in range(6, 9):
        image, truth = two_squares(draw_squares, index)
        found = step(tracker, index, image)
        assert iou(found, 1, truth[1]) > 0.7 and iou(found, 2, truth[2]) > 0.7
    before = tracker.state_bytes()
    tracker.remove(2)
    tracker.remove(77)  # unknown: fine
    assert tracker.state_bytes() < before
    assert len(tracker.appearances(2)) == 0 and tracker.memory.read(2) == {}
    image, truth = two_squares(draw_squares, 9)
    found = step(tracker, 9, image)
    assert found.object_ids.tolist() == [1] and iou(found, 1, truth[1]) > 0.7


def test_without_objects_there_is_nothing_to_find(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    found = step(tracker, 0, one_square(draw_squares, 0)[0])
    assert len(found.object_ids) == 0 and found.probabilities.shape == (0, 112, 160)
    assert tracker.state_bytes() == 0


def test_found_again_after_being_hidden(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    start(tracker, *draw_squares({1: (30, 20)}))
    for index in range(1, 4):
        step(tracker, index, draw_squares({1: (30, 20)})[0])
    for index in range(4, 7):
        found = step(tracker, index, draw_squares({})[0])
        assert (found.probabilities > 0.5).mean() < 0.02
    image, truth = draw_squares({1: (50, 100)})
    found = step(tracker, 7, image)
    assert iou(found, 1, truth[1]) > 0.5


def test_a_new_shot_voids_places_and_keeps_looks(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    start(tracker, *draw_squares({1: (30, 10)}))
    for index in range(1, 4):
        step(tracker, index, draw_squares({1: (30, 10)})[0])
    kept = tracker.appearances(1)
    tracker.start_shot()
    assert np.array_equal(tracker.appearances(1), kept) and len(kept)
    image, truth = draw_squares({1: (50, 110)})
    assert iou(step(tracker, 4, image), 1, truth[1]) > 0.5


def test_same_input_same_output(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    runs = []
    for _ in range(2):
        tracker.reset()
        start(tracker, *two_squares(draw_squares, 0))
        runs.append([step(tracker, index, two_squares(draw_squares, index)[0]) for index in range(1, 7)])
    assert all(same(one, other) for one, other in zip(*runs, strict=True))


@pytest.mark.parametrize("when", [1, 2, 5], ids=lambda when: f"after frame {when}")
def test_restored_it_goes_on_bit_for_bit(
    tracker: EmbeddedTracker, draw_squares: Draw, tmp_path: Path, when: int
) -> None:
    start(tracker, *two_squares(draw_squares, 0))
    for index in range(1, when + 1):
        step(tracker, index, two_squares(draw_squares, index)[0])
    save_snapshot(tmp_path / "s.npz", tracker.state_dict())
    other = build()
    other.load_state_dict(load_snapshot(tmp_path / "s.npz"))
    assert other.state_bytes() == tracker.state_bytes() and other.stats() == tracker.stats()
    tracker.drain_events()
    for index in range(when + 1, when + 9):
        image = two_squares(draw_squares, index)[0]
        assert same(step(tracker, index, image), step(other, index, image)), f"frame {index}"
    assert tracker.drain_events() == other.drain_events() != ()


def test_a_snapshot_is_independent_of_what_comes_after(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    start(tracker, *two_squares(draw_squares, 0))
    step(tracker, 1, two_squares(draw_squares, 1)[0])
    state = tracker.state_dict()
    first = [step(tracker, index, two_squares(draw_squares, index)[0]) for index in range(2, 8)]
    tracker.load_state_dict(state)
    again = [step(tracker, index, two_squares(draw_squares, index)[0]) for index in range(2, 8)]
    assert all(same(one, other) for one, other in zip(first, again, strict=True))


def test_state_stays_bounded(draw_squares: Draw) -> None:
    """200 frames in which the square changes its place and the light; the smallest picture that can be followed."""
    views = 4
    config = dataclasses.replace(CONFIG, keyframes=KeyFrameConfig(max_per_object=views))
    tracker = EmbeddedTracker(config, dataclasses.replace(SETUP, size=64))
    start(tracker, *draw_squares({1: (10, 20)}, size=(64, 96), side=24))
    own = tracker.state_bytes() - tracker.stats().bytes
    view_bytes = tracker.stats().bytes
    sizes = []
    for index in range(1, 201):
        place = round(20 + 15 * np.sin(index / 9))
        image, _ = draw_squares({1: (place // 2, place + 10)}, size=(64, 96), side=24)
        light = 1 + 0.3 * np.sin(index / 20)
        step(tracker, index, np.clip(image * light, 0, 255).astype(np.uint8))
        sizes.append(tracker.state_bytes())
    assert tracker.stats().entries == views
    assert max(sizes) == own + views * view_bytes


def test_what_is_not_trusted_is_not_learned(draw_squares: Draw) -> None:
    tracker = build(dataclasses.replace(CONFIG, fit_every=1))
    start(tracker, *two_squares(draw_squares, 0))
    heads = []
    for index in (1, 2):
        heads.append(tracker.state_dict()["objects"][1]["head"].copy())
        tracker.observe(two_squares(draw_squares, index)[0])
        found = tracker.propagate()
        if index == 2:  # the mask of object 1 has slid onto object 2
            found = Propagation(found.object_ids, found.probabilities[[1, 1]])
        tracker.memorize(index, found, {1: True, 2: True})
    heads.append(tracker.state_dict()["objects"][1]["head"])
    changed = [bool((one != other).any()) for one, other in zip(heads, heads[1:], strict=False)]
    assert changed == [True, False]
    skips = [event for event in tracker.drain_events() if event.action == "skip" and event.frame_index == 2]
    assert skips and skips[0].entry == "object 1"


def test_appearance_tells_objects_apart(tracker: EmbeddedTracker, draw_squares: Draw) -> None:
    image, truth = two_squares(draw_squares, 0)
    start(tracker, image, truth)
    image, truth = two_squares(draw_squares, 4)
    tracker.observe(image)
    for object_id, other in ((1, 2), (2, 1)):
        look = tracker.appearance(truth[object_id])
        assert look.dtype == np.float32 and np.linalg.norm(look) == pytest.approx(1, abs=1e-5)
        assert (tracker.appearances(object_id) @ look).max() > (tracker.appearances(other) @ look).max() + 0.1


def test_a_line_of_a_mask_can_be_added(draw_squares: Draw, recwarn: pytest.WarningsRecorder) -> None:
    """A mask that is nowhere more than half a working pixel thick has no area of its own to keep near to."""
    tracker = build()
    image, _ = draw_squares({1: (30, 20)}, size=(448, 640))
    line = np.zeros((448, 640), bool)
    line[200:202, 100:400] = True
    tracker.observe(image)
    tracker.add(0, 1, line)
    found = step(tracker, 1, image)
    assert np.isfinite(found.probabilities).all()
    assert not [one for one in recwarn if issubclass(one.category, RuntimeWarning)]


@pytest.mark.parametrize("size", [(16, 16), (9, 40), (1, 1)], ids=["one cell", "a strip", "one pixel"])
def test_tiny_pictures_give_finite_numbers(tracker: EmbeddedTracker, draw_squares: Draw, size: tuple[int, int]) -> None:
    image, _ = draw_squares({}, size=size)
    start(tracker, image, {1: np.ones(size, bool)})
    found = step(tracker, 1, image)
    assert found.probabilities.shape == (1, *size) and np.isfinite(found.probabilities).all()


REFUSED: dict[str, tuple[Callable[[EmbeddedTracker], Any], str]] = {
    "another frame size": (
        lambda tracker: tracker.observe(np.zeros((112, 162, 3), np.uint8)),
        r"frame size changed from \(112, 160\) to \(112, 162\).*start a new session",
    ),
    "mask of another size": (
        lambda tracker: tracker.add(0, 1, np.ones((56, 80), bool)),
        r"mask of object 1: expected size \(112, 160\), got \(56, 80\)",
    ),
    "empty mask": (
        lambda tracker: tracker.add(0, 1, np.zeros((112, 160), bool)),
        "mask of object 1: 0 pixels are too few to follow at a working size of 112; give a larger mask",
    ),
    "one pixel": (
        lambda tracker: tracker.add(0, 1, np.eye(112, 160, dtype=bool) * np.eye(112, 1, dtype=bool)),
        "1 pixels",
    ),
}


@pytest.mark.parametrize(("act", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(
    tracker: EmbeddedTracker, draw_squares: Draw, act: Callable[[EmbeddedTracker], Any], message: str
) -> None:
    tracker.observe(draw_squares({})[0])
    with pytest.raises(InputError, match=message):
        act(tracker)
    assert tracker.stats().entries == 0 and not len(tracker.propagate().object_ids)


def test_a_working_size_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="at least 32 pixels, got 31"):
        dataclasses.replace(SETUP, size=31)


def test_shares_sum_to_at_most_one() -> None:
    drawn = np.random.default_rng(0).random((3, 20, 30)).astype(np.float32)
    shared = share_out(drawn)
    assert shared.dtype == np.float32 and shared.sum(axis=0).max() <= 1 + 1e-6
    assert np.array_equal(shared.argmax(axis=0), drawn.argmax(axis=0))  # who is ahead stays ahead
    assert np.array_equal(share_out(drawn[:1]), drawn[:1])
    certain = share_out(np.array([[[1.0]], [[0.0]]], np.float32))
    assert certain[0, 0, 0] > 0.999 and certain[1, 0, 0] < 1e-3
    equal = share_out(np.array([[[1.0]], [[1.0]]], np.float32))
    assert equal[:, 0, 0].tolist() == pytest.approx([0.5, 0.5], abs=1e-3)
