"""The controls of the key-frame memory on two small made-up videos."""

import dataclasses

import numpy as np
import pytest

from eval.running.controls import CONTROLS, Lender, OtherVideo, controlled, lender_of
from eval.running.trackers import SessionTracker, TimedRun
from pipelines.graph.build import GraphConfig
from streamvos import config as configuration
from streamvos.errors import InputError

SIZE = (96, 128)
CONFIG = GraphConfig(stages=("segment",), size=96)


def scene(seed: int, left: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured square at `left` before a texture, both of a seed: picture and labels."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 120, (*SIZE, 3)).astype(np.uint8)
    square = rng.integers(0, 2, (36, 36, 3)).astype(np.uint8) * rng.integers(120, 255, 3).astype(np.uint8)
    labels = np.zeros(SIZE, np.uint8)
    image[30:66, left : left + 36], labels[30:66, left : left + 36] = square, 1
    return image, labels


def video(seed: int, num_frames: int = 12) -> list[tuple[np.ndarray, np.ndarray]]:
    return [scene(seed, 10 + 3 * index) for index in range(num_frames)]


def follow(make_tracker, frames: list[tuple[np.ndarray, np.ndarray]]) -> tuple[list[np.ndarray], TimedRun]:
    run = TimedRun(make_tracker)
    shown = ((image, labels if index == 0 else None) for index, (image, labels) in enumerate(frames))
    return list(run(shown)), run


@pytest.mark.parametrize("base", ["embedded", "trained"])
def test_without_a_memory_one_view_is_all_there_is(base: str) -> None:
    config = configuration.merge(CONFIG, {"segment": {"base": base}})
    _, ordinary = follow(SessionTracker(config), video(1))
    _, control = follow(SessionTracker(controlled(config, "no-memory")), video(1))
    assert ordinary.key_frame_bytes > control.key_frame_bytes > 0
    assert ordinary.key_frame_bytes % control.key_frame_bytes == 0


@pytest.mark.parametrize("base", ["embedded", "trained"])
def test_another_videos_view_is_held_and_stays(base: str) -> None:
    config = configuration.merge(CONFIG, {"segment": {"base": base}})
    frames, (image, labels) = video(1), scene(7, 60)
    ordinary, _ = follow(SessionTracker(config), frames)
    foreign, run = follow(OtherVideo(SessionTracker(config), Lender(image, labels)), frames)
    again, _ = follow(OtherVideo(SessionTracker(config), Lender(image, labels)), frames)
    one_view = follow(SessionTracker(controlled(config, "no-memory")), frames)[1].key_frame_bytes
    assert run.key_frame_bytes == one_view
    assert all(np.array_equal(one, other) for one, other in zip(foreign, again, strict=True))
    assert any((one != other).any() for one, other in zip(foreign[1:], ordinary[1:], strict=True))


def test_a_video_that_lends_to_itself_changes_little() -> None:
    """The view that is lent is the one that the tracker would have written itself, to the bit."""
    config = configuration.merge(
        CONFIG, {"segment": {"base": "embedded", "embedded": {"keyframes": {"max_per_object": 1}}}}
    )
    frames = video(1)
    ordinary, _ = follow(SessionTracker(config), frames)
    own, _ = follow(OtherVideo(SessionTracker(config), Lender(*frames[0])), frames)
    assert all(np.array_equal(one, other) for one, other in zip(ordinary, own, strict=True))


def test_a_lender_of_another_size_and_with_several_objects() -> None:
    labels = np.zeros((40, 50), np.uint8)
    labels[5:15, 5:15], labels[20:35, 20:40], labels[0, 0] = 1, 4, 9  # the last is too small to be followed
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    results, _ = follow(OtherVideo(SessionTracker(CONFIG), Lender(image, labels)), video(1, 4))
    assert len(results) == 4
    with pytest.raises(InputError, match="no object that can be followed"):
        follow(OtherVideo(SessionTracker(CONFIG), Lender(image, np.zeros_like(labels))), video(1, 2))


def test_who_lends_to_whom() -> None:
    assert [lender_of(name, ("a", "b", "c")) for name in "abc"] == ["b", "c", "a"]
    with pytest.raises(InputError, match="at least two sequences"):
        lender_of("a", ("a",))


@pytest.mark.parametrize("control", CONTROLS[1:])
def test_memories_inside_packages_are_out_of_reach(control) -> None:
    config = configuration.merge(CONFIG, {"segment": {"base": "cutie"}})
    with pytest.raises(InputError, match="choose one of embedded, trained"):
        controlled(config, control)
    assert controlled(config, "none") is config
    assert dataclasses.asdict(controlled(CONFIG, "other-video")) == dataclasses.asdict(CONFIG)
