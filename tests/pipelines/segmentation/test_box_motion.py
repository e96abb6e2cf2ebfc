"""Boxes that move, against truth made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.segmentation.box_motion import BoxMotion

BOX = np.array([100.0, 50, 140, 150])


def walk(speed: float, fps: float, seconds: float, every: int = 1) -> BoxMotion:
    motion = BoxMotion.of(BOX, 0.0)
    for frame in range(every, round(seconds * fps) + 1, every):
        motion.update(BOX + np.array([1, 0, 1, 0]) * speed * frame / fps, frame / fps, detected=True)
    return motion


def test_at_rest_nothing_moves() -> None:
    motion = BoxMotion.of(BOX, 0.0)
    assert np.allclose(motion.box(0.0), BOX) and np.allclose(motion.box(2.0), BOX)


@pytest.mark.parametrize(("fps", "every"), [(30, 1), (30, 5), (6, 1)])
def test_a_walk_is_foreseen_whatever_the_frame_rate(fps: float, every: int) -> None:
    motion = walk(60.0, fps, 2.0, every)
    expected = BOX + np.array([1, 0, 1, 0]) * 60 * 2.2
    assert np.allclose(motion.box(2.2), expected, atol=5)
    assert np.allclose(motion.box(2.0), BOX + np.array([1, 0, 1, 0]) * 120, atol=2.5)


def test_looking_ahead_changes_nothing_and_advancing_does() -> None:
    motion = walk(60.0, 30, 1.0)
    before = motion.state_dict()
    ahead = motion.box(1.5)
    assert motion.state_dict() is not before and np.array_equal(motion.mean, before["mean"])
    motion.advance(1.5)
    assert motion.time_s == 1.5 and np.allclose(motion.box(1.5), ahead)


def test_a_velocity_that_nothing_confirms_fades() -> None:
    motion = walk(60.0, 30, 1.0)
    steps = [motion.box(time_s)[0] for time_s in (1.0, 2.0, 3.0, 60.0)]
    assert 35 < steps[1] - steps[0] < 50 and steps[2] - steps[1] < steps[1] - steps[0]
    assert steps[3] - steps[0] < 120


def test_uncertainty_grows_until_something_is_seen() -> None:
    motion = walk(0.0, 30, 1.0)
    sure = motion.covariance[0, 0, 0]
    motion.advance(2.0)
    unsure = motion.covariance[0, 0, 0]
    motion.update(BOX, 2.0, detected=True)
    assert unsure > 4 * sure and motion.covariance[0, 0, 0] < unsure / 4


def test_a_detection_counts_more_than_a_mask() -> None:
    shifted = BOX + 10
    moved = []
    for detected in (True, False):
        motion = walk(0.0, 30, 1.0)
        motion.update(shifted, 1.1, detected)
        moved.append(motion.box(1.1)[0] - BOX[0])
    assert moved[0] > moved[1] > 1


def test_it_comes_back_from_its_snapshot() -> None:
    motion = walk(60.0, 30, 1.0)
    again = BoxMotion(**motion.state_dict())
    motion.update(BOX, 2.0, detected=True)
    assert again.time_s == 1.0 and np.allclose(again.box(1.0), BOX + np.array([1, 0, 1, 0]) * 60, atol=2.5)
