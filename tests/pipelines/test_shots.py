"""Cuts are found on their frame; pans, flashes and noise are no cuts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipelines.shots import ShotsConfig, ShotStage, histogram_distance, lost_blocks
from streamvos.errors import InputError
from streamvos.records import Frame, StepResult
from streamvos.sample import sample_path
from streamvos.snapshot import load_snapshot, save_snapshot

H, W = 96, 144


def scenery(number: int, height: int = H, width: int = W) -> np.ndarray:
    """A picture of fine patches around a few colours of its own, another for each number."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(40, 216, (3, 4, 3)).astype(np.float32)
    fine = rng.normal(0, 35, (max(1, height // 3), max(1, width // 3), 1)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height)) + cv2.resize(fine, (width, height))[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def cuts_of(images: Iterable[np.ndarray], stage: ShotStage | None = None) -> list[int]:
    stage = stage or ShotStage(ShotsConfig())
    cuts, shot = [], 0
    for index, image in enumerate(images):
        frame = Frame("s", index, index / 25, image)
        result = stage.step(frame, StepResult.of(frame))
        shot += result.is_cut
        assert result.shot_index == shot and isinstance(result.is_cut, bool)
        if result.is_cut:
            cuts.append(index)
    return cuts


def noisy(image: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 12, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


STILL = [scenery(1)] * 12
WIDE = scenery(3, H, 400)
QUIET: dict[str, list[np.ndarray]] = {
    "a still picture": STILL,
    "a slow pan": [WIDE[:, 2 * index : 2 * index + W] for index in range(40)],
    "a fast pan": [WIDE[:, 10 * index : 10 * index + W] for index in range(25)],
    "noise": [noisy(scenery(1), seed) for seed in range(20)],
    "one bright frame": [
        np.minimum(image.astype(int) + 90 * (i == 6), 255).astype(np.uint8) for i, image in enumerate(STILL)
    ],
    "light that goes down": [(scenery(1) * (1 - index / 30)).astype(np.uint8) for index in range(25)],
    "a black picture": [np.zeros((H, W, 3), np.uint8)] * 5,
    "one frame": [scenery(1)],
    "one pixel": [np.zeros((1, 1, 3), np.uint8)] * 3,
}


@pytest.mark.parametrize("images", QUIET.values(), ids=QUIET.keys())
def test_no_cut(images: list[np.ndarray]) -> None:
    assert cuts_of(images) == []


@pytest.mark.parametrize("number", range(5, 10))
def test_a_cut_is_found_on_its_frame(number: int) -> None:
    images = [scenery(1)] * 7 + [scenery(number)] * 5 + [scenery(1)] * 3
    assert cuts_of(images) == [7, 12]


def test_cuts_are_found_in_noise_and_pans() -> None:
    images = [noisy(WIDE[:, 3 * index : 3 * index + W], index) for index in range(15)]
    images += [noisy(scenery(6), 50 + index) for index in range(10)]
    assert cuts_of(images) == [15]


def test_switched_off_there_are_none() -> None:
    assert cuts_of([scenery(1)] * 3 + [scenery(5)] * 3, ShotStage(ShotsConfig(enabled=False))) == []


@pytest.mark.parametrize("when", [1, 6, 7, 8], ids=lambda when: f"before frame {when}")
def test_restored_it_goes_on_the_same_way(tmp_path: Path, when: int) -> None:
    images = [WIDE[:, 3 * index : 3 * index + W] for index in range(7)] + [scenery(5)] * 3
    stage, other = ShotStage(ShotsConfig()), ShotStage(ShotsConfig())
    cuts_of(images[:when], stage)
    save_snapshot(tmp_path / "s.npz", stage.state_dict())
    other.load_state_dict(load_snapshot(tmp_path / "s.npz"))
    for index, image in enumerate(images[when:], when):
        frame = Frame("s", index, index / 25, image)
        one, two = (each.step(frame, StepResult.of(frame)) for each in (stage, other))
        assert (one.is_cut, one.shot_index) == (two.is_cut, two.shot_index)
    assert one.shot_index == 1


def test_reset_starts_again() -> None:
    stage = ShotStage(ShotsConfig())
    assert cuts_of([scenery(1), scenery(5)], stage) == [1]
    stage.reset()
    assert cuts_of([scenery(6), scenery(6)], stage) == []  # no comparison with the frame before the reset


def test_measures_at_their_ends() -> None:
    one, other = (cv2.resize(scenery(number), (96, 64), interpolation=cv2.INTER_AREA) for number in (1, 5))
    red, blue = np.zeros((64, 96, 3), np.uint8), np.zeros((64, 96, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 200
    assert histogram_distance(one, one) == pytest.approx(0, abs=1e-3)
    assert histogram_distance(red, blue) == pytest.approx(1, abs=1e-3)
    assert lost_blocks(one, one) == 0.0
    assert lost_blocks(one, np.roll(one, 4, axis=1)) < 0.2
    assert lost_blocks(one, other) > 0.6
    assert lost_blocks(red, blue) == 1.0  # nothing to find: no veto


def frames_of(name: str) -> Iterator[np.ndarray]:
    try:
        path = sample_path(name)
    except InputError as error:
        pytest.skip(str(error))
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


CUTS = {"bikes": [30, 76, 137, 187, 242], "carphone": []}


@pytest.mark.parametrize("name", CUTS)
def test_the_packaged_clips(name: str) -> None:
    assert cuts_of(frames_of(name)) == CUTS[name]


@pytest.mark.parametrize("name", CUTS)
def test_the_limits_lie_between_cuts_and_other_frames(name: str) -> None:
    """What `pipelines/shots.py` says of its limits."""
    thumbnails = [cv2.resize(image, (96, 64), interpolation=cv2.INTER_AREA) for image in frames_of(name)]
    for index, (before, after) in enumerate(itertools.pairwise(thumbnails), 1):
        distance, lost = histogram_distance(before, after), lost_blocks(before, after)
        if index in CUTS[name]:
            assert distance >= 0.38 and lost >= 0.29 and distance + lost >= 0.98
        else:
            assert distance <= 0.14 and lost <= 0.13 and distance + lost <= 0.22
