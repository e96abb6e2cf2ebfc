"""What every strong tracker must do, with random weights of its own architecture out of the catalogue's cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from memory_bank.budgets import MemoryBudgets
from pipelines.segment import SegmentConfig, SegmentStage
from pipelines.trackers.cutie import CutieConfig
from pipelines.trackers.edgetam import EdgeTamConfig
from pipelines.trackers.protocol import TRACKERS, BaseTracker, Propagation
from pipelines.trackers.registry import make_tracker, tracker_settings, with_keyframes
from pipelines.trackers.sam2 import Sam2Config
from streamvos import masks
from streamvos.errors import InputError, MissingWeightsError
from streamvos.records import Frame, Prompt, Removal, StepResult
from streamvos.snapshot import load_snapshot, save_snapshot

CPU = torch.device("cpu")
SIZE = 64
STRONG = ("cutie", "sam2", "edgetam")
CONFIGS = {
    "cutie": CutieConfig(memorize_every=1, max_long_term_tokens=512),
    "sam2": Sam2Config(),
    "edgetam": EdgeTamConfig(),
}
Film = Callable[[int], tuple[np.ndarray, dict[int, np.ndarray]]]


@pytest.fixture(params=STRONG)
def base(request: pytest.FixtureRequest) -> str:
    if request.param == "cutie":
        request.getfixturevalue("cutie_installed")
    return request.param


@pytest.fixture
def tracker(base: str, weights: Path) -> BaseTracker:
    return make_tracker(base, CONFIGS[base], SIZE, CPU)


def start(tracker: BaseTracker, film: Film, ids: tuple[int, ...] = (1, 2)) -> None:
    image, truth = film(0)
    tracker.observe(image)
    for object_id in ids:
        tracker.add(0, object_id, truth[1 if object_id % 2 else 2])
    tracker.memorize(0, Propagation(np.zeros(0, np.int64), np.zeros((0, 64, 96), np.float32)), {})


def step(tracker: BaseTracker, film: Film, index: int, doubtful: tuple[int, ...] = ()) -> Propagation:
    """One frame as a stage drives it; the truth is handed back, for random weights find nothing."""
    image, truth = film(index)
    tracker.observe(image)
    found = tracker.propagate()
    ids = found.object_ids.tolist()
    decided = np.array([truth[1 if key % 2 else 2] for key in ids], np.float32).reshape(-1, 64, 96)
    tracker.memorize(index, Propagation(found.object_ids, decided), {key: key not in doubtful for key in ids})
    return found


def same(one: Propagation, other: Propagation) -> bool:
    return np.array_equal(one.object_ids, other.object_ids) and np.array_equal(one.probabilities, other.probabilities)


def test_each_tracker_has_settings_of_its_own_and_a_budget() -> None:
    assert set(tracker_settings()) == {"embedded", "trained", *STRONG} == set(TRACKERS.names())
    assert SegmentConfig().base == "trained"
    for name, kind in tracker_settings().items():
        assert type(SegmentConfig(base=name).tracker) is kind
    budgets = {name: with_keyframes(MemoryBudgets(), name).keyframes_mib for name in TRACKERS.names()}
    assert budgets == {"embedded": 96, "trained": 96, "cutie": 768, "sam2": 256, "edgetam": 256}
    assert with_keyframes(MemoryBudgets(keyframes_mib=3), "cutie").keyframes_mib == 3


def test_an_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(InputError, match=r"unknown base tracker 'sam3'; did you mean 'sam2'\? \(valid: .*cutie"):
        make_tracker("sam3", Sam2Config(), SIZE, CPU)


@pytest.mark.parametrize(
    ("config", "command"),
    [
        (SegmentConfig(base="cutie"), "cutie-small"),
        (SegmentConfig(base="cutie", tracker=CutieConfig(model="base")), "cutie-base"),
        (SegmentConfig(base="sam2"), "sam2.1-hiera-tiny"),
        (SegmentConfig(base="sam2", tracker=Sam2Config(model="base-plus")), "sam2.1-hiera-base-plus"),
        (SegmentConfig(base="edgetam"), "edgetam"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_without_weights_the_stage_says_the_command(
    config: SegmentConfig,
    command: str,
    tmp_path: Path,
    no_network: None,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if config.base == "cutie":
        request.getfixturevalue("cutie_installed")
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=f"streamvos models fetch {command}$"):
        SegmentStage(config, SIZE, CPU)
    assert not list(tmp_path.iterdir())


def test_objects_come_and_go_at_any_frame(tracker: BaseTracker, film: Film) -> None:
    image, truth = film(0)
    tracker.observe(image)
    assert tracker.propagate().probabilities.shape == (0, 64, 96)
    start(tracker, film, (7,))
    assert step(tracker, film, 1).object_ids.tolist() == [7]
    tracker.add(1, 2, film(1)[1][2])
    found = step(tracker, film, 2)
    assert found.object_ids.tolist() == [2, 7] and found.probabilities.shape == (2, 64, 96)
    assert found.probabilities.dtype == np.float32 and np.isfinite(found.probabilities).all()
    assert found.probabilities.min() >= 0 and found.probabilities.sum(axis=0).max() <= 1 + 1e-5
    tracker.remove(7)
    tracker.remove(99)
    assert step(tracker, film, 3).object_ids.tolist() == [2]
    assert not len(tracker.appearances(7)) and len(tracker.appearances(2))
    tracker.remove(2)
    assert not len(step(tracker, film, 4).object_ids)


def test_looking_changes_nothing(tracker: BaseTracker, film: Film) -> None:
    start(tracker, film)
    step(tracker, film, 1)
    tracker.observe(film(2)[0])
    before = tracker.stats()
    assert same(tracker.propagate(), tracker.propagate())
    assert tracker.stats() == before


def test_the_masks_that_the_stage_hands_back_are_what_is_remembered(tracker: BaseTracker, film: Film) -> None:
    start(tracker, film, (1,))
    state = tracker.state_dict()
    seen = []
    for shift in (0, 30):
        tracker.load_state_dict(state)
        tracker.observe(film(1)[0])
        mask = np.roll(film(1)[1][1], shift, axis=1).astype(np.float32)
        tracker.memorize(1, dataclasses.replace(tracker.propagate(), probabilities=mask[None]), {1: True})
        tracker.observe(film(2)[0])
        seen.append(tracker.propagate().probabilities)
    assert np.abs(seen[0] - seen[1]).max() > 1e-4


def test_what_is_doubtful_is_not_remembered(tracker: BaseTracker, film: Film) -> None:
    start(tracker, film)
    entries, looks = tracker.stats().entries, len(tracker.appearances(2))
    for index in range(1, 4):
        step(tracker, film, index, doubtful=(1, 2))
    assert tracker.stats().entries == entries and len(tracker.appearances(2)) == looks
    step(tracker, film, 4, doubtful=(2,))
    assert tracker.stats().entries > entries
    written = [event for event in tracker.drain_events() if event.action == "write" and event.frame_index == 4]
    assert [event.entry for event in written] == ["object 1"]


def test_bytes_do_not_grow_with_the_video(base: str, tracker: BaseTracker, film: Film) -> None:
    frames = {"cutie": 170, "sam2": 200, "edgetam": 60}[base]  # EdgeTAM's memory is SAM 2's
    start(tracker, film)
    sizes = []
    for index in range(1, frames + 1):
        step(tracker, film, index)
        if index == 20:
            tracker.add(index, 3, film(index)[1][1])
        if index == 30:
            tracker.remove(3)
        tracker.drain_events()
        sizes.append(tracker.state_bytes())
        assert tracker.stats().bytes <= min(sizes[-1], tracker.stats().capacity_bytes)
    assert max(sizes[4 * frames // 5 :]) <= 1.02 * max(sizes[: 4 * frames // 5])  # a saw-tooth, for Cutie
    for object_id in (1, 2):
        tracker.remove(object_id)
    assert tracker.stats().entries == 0 and tracker.state_bytes() <= 40_000  # a position code is of the model
    tracker.reset()
    assert tracker.state_bytes() == 0


@pytest.mark.parametrize("when", [1, 7], ids=lambda when: f"before frame {when}")
def test_restored_it_goes_on_bit_for_bit(tracker: BaseTracker, film: Film, tmp_path: Path, when: int) -> None:
    def run(first: int, last: int) -> list[Propagation]:
        found = []
        for index in range(first, last):
            found.append(step(tracker, film, index, doubtful=(2,) if index == 3 else ()))
            if index == 5:
                tracker.add(index, 3, film(index)[1][2])
        return found

    start(tracker, film)
    run(1, when)
    save_snapshot(tmp_path / "s.npz", tracker.state_dict())
    whole, looks, size = run(when, 12), tracker.appearances(2), tracker.state_bytes()
    tracker.reset()
    tracker.load_state_dict(load_snapshot(tmp_path / "s.npz"))
    again = run(when, 12)
    assert all(same(one, other) for one, other in zip(whole, again, strict=True))
    assert np.array_equal(looks, tracker.appearances(2)) and size == tracker.state_bytes()


def test_appearance_tells_objects_apart(tracker: BaseTracker, film: Film) -> None:
    start(tracker, film)
    image, truth = film(4)
    tracker.observe(image)
    for object_id, other in ((1, 2), (2, 1)):
        look = tracker.appearance(truth[object_id])
        assert look.dtype == np.float32 and np.linalg.norm(look) == pytest.approx(1, abs=1e-5)
        assert (tracker.appearances(object_id) @ look).max() > (tracker.appearances(other) @ look).max()


def test_a_correction_may_forget_the_views_before(tracker: BaseTracker, film: Film) -> None:
    start(tracker, film)
    for index in range(1, 4):
        step(tracker, film, index)
    image, truth = film(4)
    tracker.observe(image)
    tracker.add(4, 1, truth[2])
    kept = len(tracker.appearances(1))
    tracker.add(4, 1, truth[2], replace=True)
    assert kept > 1 and len(tracker.appearances(1)) == 1
    assert step(tracker, film, 5).object_ids.tolist() == [1, 2]


def test_a_cut_leaves_the_appearance(tracker: BaseTracker, film: Film) -> None:
    start(tracker, film)
    for index in range(1, 4):
        step(tracker, film, index)
    looks, before = tracker.appearances(1), tracker.state_bytes()
    tracker.start_shot()
    assert np.array_equal(looks, tracker.appearances(1)) and 0 < tracker.state_bytes() <= before
    assert step(tracker, film, 4).object_ids.tolist() == [1, 2]


@pytest.mark.parametrize("size", [(16, 16), (9, 40), (1, 1)], ids=["one cell", "a strip", "one pixel"])
def test_tiny_pictures_give_finite_numbers(tracker: BaseTracker, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    tracker.observe(image)
    tracker.add(0, 1, np.ones(size, bool))
    for index in range(1, 4):
        tracker.observe(image)
        found = tracker.propagate()
        assert found.probabilities.shape == (1, *size) and np.isfinite(found.probabilities).all()
        tracker.memorize(index, Propagation(found.object_ids, np.ones((1, *size), np.float32)), {1: True})


def test_frames_are_scaled_to_the_working_size(base: str, weights: Path) -> None:
    tracker = make_tracker(base, CONFIGS[base], 48, CPU)
    image = np.random.default_rng(0).integers(0, 255, (100, 150, 3), dtype=np.uint8)
    tracker.observe(image)
    mask = np.zeros((100, 150), bool)
    mask[20:70, 30:90] = True
    tracker.add(0, 4, mask)
    tracker.observe(image)
    assert tracker.propagate().probabilities.shape == (1, 48, 72)


REFUSED: dict[str, tuple[Callable[[BaseTracker], Any], str]] = {
    "another frame size": (lambda one: one.observe(np.zeros((64, 97, 3), np.uint8)), "start a new session"),
    "mask of another size": (lambda one: one.add(0, 1, np.ones((32, 48), bool)), r"expected size \(64, 96\), got"),
    "empty mask": (lambda one: one.add(0, 1, np.zeros((64, 96), bool)), "0 pixels are too few to follow"),
}


@pytest.mark.parametrize(("act", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused_and_changes_nothing(
    tracker: BaseTracker, film: Film, act: Callable[[BaseTracker], Any], message: str
) -> None:
    tracker.observe(film(0)[0])
    with pytest.raises(InputError, match=message):
        act(tracker)
    assert tracker.stats().entries == 0 and not len(tracker.propagate().object_ids)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (CutieConfig, {"memorize_every": 0}),
        (CutieConfig, {"max_long_term_tokens": 100}),
        (CutieConfig, {"model": "huge"}),
        (Sam2Config, {"max_conditioning": 0}),
        (Sam2Config, {"model": "huge"}),
        (EdgeTamConfig, {"max_descriptors": 0}),
    ],
    ids=["never", "few tokens", "cutie huge", "no first view", "sam2 huge", "no looks"],
)
def test_settings_out_of_range_are_refused(kind: type, changed: dict[str, Any]) -> None:
    (name,) = changed
    with pytest.raises(InputError, match=rf"segment\.(cutie|sam2|edgetam)\.{name}"):
        kind(**changed)


def test_a_working_size_too_small_is_refused(base: str, weights: Path) -> None:
    with pytest.raises(InputError, match="at least 32 pixels, got 31"):
        make_tracker(base, CONFIGS[base], 31, CPU)


def test_the_picture_is_the_frame_at_the_working_size(base: str, weights: Path, film: Film) -> None:
    tracker = make_tracker(base, CONFIGS[base], 48, CPU)
    image = film(0)[0]
    tracker.observe(image)
    assert np.array_equal(tracker.picture(), cv2.resize(image, (72, 48), interpolation=cv2.INTER_AREA))


def test_the_segment_stage_runs_on_it(base: str, weights: Path, film: Film) -> None:
    stage = SegmentStage(SegmentConfig(base=base, tracker=CONFIGS[base], discover=False), SIZE, CPU)
    for index in range(8):
        image, truth = film(index)
        frame = Frame("s", index, index / 10, image)
        given: dict[str, Any] = {"is_cut": index == 5}
        if index in (0, 3):
            object_id = 1 if index == 0 else 2
            given["prompts"] = (Prompt(index, object_id, mask=truth[object_id]),)
        if index == 6:
            given["removals"] = (Removal(6, 1),)
        result = stage.step(frame, dataclasses.replace(StepResult.of(frame), **given))
        expected = [1] if index < 3 else [1, 2] if index < 6 else [2]
        assert result.masks.object_ids.tolist() == expected
        if index in (0, 3):
            shown = masks.decode(result.masks.rles[expected.index(object_id)])
            assert np.array_equal(shown, truth[object_id])
        assert all(event.bank in stage.stats() and event.reason for event in result.events)
    assert stage.stats()["keyframes"].entries >= 1
