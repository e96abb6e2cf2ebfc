"""The segment stage on coloured squares: prompts, discovery, hiding, cuts, refinement, snapshots, bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memory_bank.keyframes import KeyFrameConfig
from pipelines.lives import LifeConfig
from pipelines.mask_maps import drop_islands, enlarge, shrink
from pipelines.refine_policy import RefineConfig
from pipelines.segment import SegmentConfig, SegmentStage
from pipelines.trackers.embedded import EmbeddedTrackerConfig
from streamvos import masks
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, Prompt, Removal, StepResult
from streamvos.snapshot import load_snapshot, save_snapshot

Draw = Callable[..., tuple[np.ndarray, dict[int, np.ndarray]]]
SIDE, WORKING = 40, 112
CONFIG = SegmentConfig(tracker=EmbeddedTrackerConfig(keyframes=KeyFrameConfig(budget_bytes=24 * 2**20)))


def build(config: SegmentConfig = CONFIG, size: int = WORKING) -> SegmentStage:
    return SegmentStage(config, size, torch.device("cpu"))


@pytest.fixture(scope="module")
def shared() -> SegmentStage:
    return build()


@pytest.fixture
def stage(shared: SegmentStage) -> SegmentStage:
    shared.reset()
    return shared


def step(stage: SegmentStage, index: int, image: np.ndarray, **given: Any) -> StepResult:
    """One frame at 10 frames a second."""
    frame = Frame("s", index, index / 10, image)
    result = stage.step(frame, dataclasses.replace(StepResult.of(frame), **given))
    assert result.masks is not None and result.masks.size == frame.size
    shown = [masks.decode(rle) for rle in result.masks.rles]
    assert not shown or np.sum(shown, axis=0).max() <= 1, "masks overlap"
    for mask, box, state in zip(shown, result.masks.boxes_xyxy, result.masks.states, strict=True):
        assert np.array_equal(masks.tight_box(mask), box)
        assert state == "tracked" or not mask.any()
    assert all(event.reason and event.bytes >= 0 for event in result.events)
    return result


def box_of(mask: np.ndarray, margin: float = 0) -> np.ndarray:
    return masks.tight_box(mask) + np.array([-margin, -margin, margin, margin], np.float32)


def given(index: int, truth: dict[int, np.ndarray]) -> tuple[Prompt, ...]:
    return tuple(Prompt(index, object_id, mask=mask) for object_id, mask in truth.items())


def found(*items: tuple[str, float, np.ndarray]) -> Detections:
    count = len(items)
    return Detections(
        np.array([box_of(mask) for _, _, mask in items], np.float32).reshape(count, 4),
        np.array([score for _, score, _ in items], np.float32),
        np.ones(count, np.int64),
        tuple(name for name, _, _ in items),
        np.full(count, -1, np.int64),
    )


def state_of(result: StepResult, object_id: int) -> str:
    return result.masks.states[result.masks.object_ids.tolist().index(object_id)]


def iou(result: StepResult, object_id: int, truth: np.ndarray) -> float:
    mask = masks.decode(result.masks.rles[result.masks.object_ids.tolist().index(object_id)])
    return (mask & truth).sum() / (mask | truth).sum()


def two(draw: Draw, index: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    return draw({1: (8 + index, 10 + 4 * index), 2: (64, 110 - 4 * index)})


PROMPTS: dict[str, Callable[[np.ndarray], dict[str, Any]]] = {
    "mask": lambda mask: {"mask": mask},
    "box": lambda mask: {"box": box_of(mask, 1)},
    "points": lambda mask: {
        "points": np.array([box_of(mask).reshape(2, 2).mean(axis=0), [4, 4]], np.float32),
        "labels": np.array([True, False]),
    },
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
def test_a_prompt_starts_an_object_and_it_is_followed(
    stage: SegmentStage, draw_squares: Draw, prompt: Callable[[np.ndarray], dict[str, Any]]
) -> None:
    image, truth = draw_squares({1: (30, 20)})
    result = step(stage, 0, image, prompts=(Prompt(0, 1, **prompt(truth[1]), label="red"),))
    assert result.masks.object_ids.tolist() == [1] and result.masks.scores.tolist() == [1.0]
    assert result.masks.class_names == ("red",) and iou(result, 1, truth[1]) > 0.6
    for index in range(1, 9):
        image, truth = draw_squares({1: (30, 20 + 4 * index)})
        result = step(stage, index, image)
        assert iou(result, 1, truth[1]) > 0.6 and state_of(result, 1) == "tracked"


def test_objects_come_and_go_in_mid_stream_and_ids_stay(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = two(draw_squares, 0)
    step(stage, 0, image, prompts=(Prompt(0, 5, mask=truth[1]),))
    for index in range(1, 4):
        assert step(stage, index, two(draw_squares, index)[0]).masks.object_ids.tolist() == [5]
    image, truth = two(draw_squares, 4)
    result = step(stage, 4, image, prompts=(Prompt(4, 2, mask=truth[2]),))
    assert result.masks.object_ids.tolist() == [2, 5]
    image, truth = two(draw_squares, 5)
    result = step(stage, 5, image)
    assert iou(result, 5, truth[1]) > 0.7 and iou(result, 2, truth[2]) > 0.7
    image, truth = two(draw_squares, 6)
    result = step(stage, 6, image, removals=(Removal(6, 5), Removal(6, 99)))
    assert result.masks.object_ids.tolist() == [2] and iou(result, 2, truth[2]) > 0.7
    image, truth = two(draw_squares, 7)
    result = step(stage, 7, image, detections=found(("dog", 0.9, truth[1])))  # discovered: gets a new id
    assert result.masks.object_ids.tolist() == [2, 6] and result.detections.object_ids.tolist() == [6]
    result = step(stage, 8, two(draw_squares, 8)[0], removals=(Removal(8, 6),))
    image, truth = two(draw_squares, 9)
    result = step(stage, 9, image, detections=found(("dog", 0.9, truth[1])))
    assert result.masks.object_ids.tolist() == [2, 7]  # 6 was removed: it is neither recognised nor used again
    assert stage.products()["num_objects"] == 7


def test_overlapping_prompts_are_shown_apart(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (30, 20), 2: (40, 45)})
    whole = truth[1] | truth[2]
    result = step(stage, 0, image, prompts=(Prompt(0, 2, mask=truth[2]), Prompt(0, 1, mask=whole)))
    assert iou(result, 2, truth[2]) == 1.0 and iou(result, 1, truth[1]) == 1.0


def test_a_prompt_for_a_known_id_corrects_it(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (8, 10), 2: (64, 110)})
    for index in range(4):
        step(stage, index, image, prompts=(Prompt(0, 1, mask=truth[1], label="it"),) if index == 0 else ())
    result = step(stage, 4, image, prompts=(Prompt(4, 1, mask=truth[2]),))
    assert iou(result, 1, truth[2]) == 1.0 and result.masks.class_names == ("it",)
    for index in range(5, 8):
        result = step(stage, index, image)
        assert iou(result, 1, truth[2]) > 0.7


def test_hidden_is_occluded_and_back_again_under_its_id(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (30, 40)})
    for index in range(5):
        step(stage, index, image, prompts=given(0, truth) if index == 0 else ())
    for index in range(5, 12):
        result = step(stage, index, draw_squares({})[0])
        assert state_of(result, 1) == "occluded" and result.masks.scores.tolist() == [0.0]
        if index == 5:
            assert any("occluded: " in event.reason for event in result.events)
    image, truth = draw_squares({1: (30, 70)})
    result = [step(stage, index, image) for index in range(12, 15)][-1]
    assert state_of(result, 1) == "tracked" and iou(result, 1, truth[1]) > 0.6


def test_hidden_for_long_is_lost_and_comes_back_where_it_convinces(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (30, 40)})
    for index in range(5):
        step(stage, index, image, prompts=given(0, truth) if index == 0 else ())
    states = [state_of(step(stage, index, draw_squares({})[0]), 1) for index in range(5, 28)]
    assert states == ["occluded"] * 20 + ["lost"] * 3  # seen last at 0.4 s, given up after 2.0 s
    result = [step(stage, index, image) for index in range(28, 31)][-1]
    assert state_of(result, 1) == "tracked" and iou(result, 1, truth[1]) > 0.6


@pytest.mark.parametrize("num_before", [1, 5], ids=["right after the prompt", "later"])
def test_a_cut_makes_prompted_objects_lost_and_they_may_return(
    stage: SegmentStage, draw_squares: Draw, num_before: int
) -> None:
    image, truth = draw_squares({1: (30, 20)})
    for index in range(num_before):
        step(stage, index, image, prompts=given(0, truth) if index == 0 else ())
    other = draw_squares({}, background=102)[0]
    result = step(stage, num_before, other, is_cut=True)
    assert state_of(result, 1) == "lost" and result.masks.object_ids.tolist() == [1]
    for index in range(num_before + 1, num_before + 4):
        assert state_of(step(stage, index, other), 1) == "lost"
    image, truth = draw_squares({1: (50, 100)})
    result = [
        step(stage, index, image, is_cut=index == num_before + 4) for index in range(num_before + 4, num_before + 8)
    ][-1]
    assert state_of(result, 1) == "tracked" and iou(result, 1, truth[1]) > 0.6


def test_discovered_objects_keep_their_ids(stage: SegmentStage, draw_squares: Draw) -> None:
    for index in range(12):
        image, truth = two(draw_squares, index)
        looks = index % 3 == 0
        seen = found(("car", 0.9, truth[2]), ("dog", 0.95, truth[1])) if looks else None
        result = step(stage, index, image, detections=seen)
        assert result.masks.object_ids.tolist() == [1, 2]
        assert result.masks.class_names == ("dog", "car")  # the better one came first
        assert iou(result, 1, truth[1]) > 0.55 and iou(result, 2, truth[2]) > 0.55
        assert result.detections is None if not looks else result.detections.object_ids.tolist() == [2, 1]


def test_a_weak_detection_is_believed_when_seen_twice(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (30, 40)})
    result = step(stage, 0, image, detections=found(("dog", 0.6, truth[1])))
    assert len(result.masks) == 0 and result.detections.object_ids.tolist() == [-1]
    result = step(stage, 1, image, detections=found(("dog", 0.6, truth[1])))
    assert result.masks.object_ids.tolist() == [1] and result.detections.object_ids.tolist() == [1]
    (event,) = [event for event in result.events if "new object" in event.reason]
    assert event.entry == "object 1" and event.reason.startswith("dog 0.60")


def test_without_discovery_detections_start_nothing_and_confirm(draw_squares: Draw) -> None:
    stage = build(dataclasses.replace(CONFIG, discover=False))
    image, truth = draw_squares({1: (8, 10), 2: (64, 110)})
    seen = found(("dog", 0.9, truth[1]), ("car", 0.9, truth[2]))
    result = step(stage, 0, image, prompts=(Prompt(0, 3, mask=truth[1]),), detections=seen)
    assert result.masks.object_ids.tolist() == [3] and result.masks.class_names == ("dog",)
    assert result.detections.object_ids.tolist() == [3, -1]


def test_what_the_detector_stops_confirming_is_given_up(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (30, 40)})
    states = []
    for index in range(20):
        seen = found(("dog", 0.9, truth[1])) if index == 0 else found()
        states.append(state_of(step(stage, index, image, detections=seen), 1))
    limit = round(10 * LifeConfig().min_unconfirmed_s)
    assert set(states[: limit + 1]) == {"tracked"} and set(states[limit + 1 :]) == {"lost"}


def test_a_cut_ends_discovered_objects_and_may_recognise_them(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (30, 20)})
    for index in range(4):
        step(stage, index, image, detections=found(("dog", 0.9, truth[1])))
    result = step(stage, 4, draw_squares({}, background=102)[0], is_cut=True)
    assert len(result.masks) == 0
    assert stage.stats()["keyframes"].entries == 0  # its views went from the key frames to the retired
    other, places = draw_squares({2: (40, 90)}, background=103)
    result = step(stage, 5, other, is_cut=True, detections=found(("car", 0.9, places[2])))
    assert result.masks.object_ids.tolist() == [2]  # something else is someone new
    result = step(stage, 6, image, is_cut=True, detections=found(("dog", 0.9, truth[1])))
    assert result.masks.object_ids.tolist() == [1]
    assert any(event.entry == "object 1" and "returned, likeness" in event.reason for event in result.events)


def test_long_lost_discovered_objects_are_retired(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (30, 20)})
    step(stage, 0, image, detections=found(("dog", 0.9, truth[1])))
    blank = draw_squares({})[0]
    counts = [len(step(stage, index, blank, detections=found()).masks) for index in range(1, 60)]
    assert counts == [1] * 50 + [0] * 9  # seen last at 0.0 s, retired after 5.0 s
    assert stage.tracker.state_bytes() == 0


def test_a_user_may_take_the_id_of_one_that_left(stage: SegmentStage, draw_squares: Draw) -> None:
    """From then on the id is the user's object, and never given to what looks like the one that had it."""
    image, truth = draw_squares({1: (30, 20)})
    for index in range(4):
        step(stage, index, image, detections=found(("dog", 0.9, truth[1])))
    other, places = draw_squares({2: (40, 90)})
    result = step(stage, 4, other, is_cut=True, prompts=(Prompt(4, 1, mask=places[2]),))
    assert result.masks.object_ids.tolist() == [1]
    both, places = draw_squares({1: (30, 20), 2: (40, 90)})
    result = step(stage, 5, both, detections=found(("dog", 0.9, places[1])))
    assert iou(result, 1, places[2]) > 0.6
    assert result.masks.object_ids.tolist() == [1, 2] and result.detections.object_ids.tolist() == [2]


def test_too_many_prompts_are_refused_and_detections_wait(draw_squares: Draw) -> None:
    stage = build(dataclasses.replace(CONFIG, max_objects=2))
    image, truth = draw_squares({1: (8, 10), 2: (64, 110), 3: (10, 100)})
    seen = found(*(("dog", 0.9, truth[key]) for key in (1, 2, 3)))
    result = step(stage, 0, image, detections=seen)
    assert result.masks.object_ids.tolist() == [1, 2] and result.detections.object_ids.tolist() == [1, 2, -1]
    assert any(event.action == "skip" and "2 objects are followed already" in event.reason for event in result.events)
    result = step(stage, 1, image, prompts=(Prompt(1, 7, mask=truth[3]),))  # the user's word weighs more
    assert 7 in result.masks.object_ids and len(result.masks) == 2
    result = step(stage, 2, image, prompts=(Prompt(2, 8, mask=truth[1]),))
    assert result.masks.object_ids.tolist() == [7, 8]
    with pytest.raises(InputError, match=r"object 9: 2 objects are followed already \(segment.max_objects\); remove"):
        step(stage, 3, image, prompts=(Prompt(3, 9, mask=truth[2]),))
    assert (
        step(stage, 3, image, prompts=(Prompt(3, 9, mask=truth[2]),), removals=(Removal(3, 8),)).masks.object_ids[-1]
        == 9
    )


def test_refinement_leaves_its_reasons(draw_squares: Draw) -> None:
    stage = build(dataclasses.replace(CONFIG, refiner="grabcut", refine=RefineConfig(every=3)))
    events = []
    for index in range(8):
        image, truth = two(draw_squares, index)
        result = step(stage, index, image, prompts=given(0, truth) if index == 0 else ())
        decisions = [event for event in result.events if event.action in ("refine", "reject")]
        assert [event.entry for event in decisions] == [
            f"object {key}" for key in (1, 2) if index and (index + key) % 3 == 0
        ]
        events += decisions
        assert iou(result, 1, truth[1]) > 0.6 and iou(result, 2, truth[2]) > 0.6
    assert len(events) == 5 and all("IoU with the coarse mask" in event.reason for event in events)


def test_the_embedded_refiner_makes_first_masks_and_refines(draw_squares: Draw) -> None:
    stage = build(dataclasses.replace(CONFIG, first_masks="embedded", refiner="embedded", refine=RefineConfig(every=3)))
    image, truth = two(draw_squares, 0)
    boxes = tuple(Prompt(0, key, box=box_of(truth[key])) for key in (1, 2))
    result = step(stage, 0, image, prompts=boxes)
    assert iou(result, 1, truth[1]) > 0.7 and iou(result, 2, truth[2]) > 0.7
    events = []
    for index in range(1, 5):
        image, truth = two(draw_squares, index)
        events += [one for one in step(stage, index, image).events if one.action in ("refine", "reject")]
    assert [event.entry for event in events] == ["object 2", "object 1", "object 2"]
    assert all("predicted IoU" in event.reason for event in events if event.action == "refine")
    assert any(event.action == "refine" for event in events)


REFUSED: dict[str, tuple[Callable[[], Prompt], str]] = {
    "empty mask": (lambda: Prompt(0, 1, mask=np.zeros((112, 160), bool)), "0 pixels are too few to follow"),
    "mask of another size": (lambda: Prompt(0, 1, mask=np.ones((56, 80), bool)), r"expected \(112, 160\)"),
    "box outside": (lambda: Prompt(0, 1, box=np.array([200, 5, 220, 20], np.float32)), "outside the 160x112 frame"),
    "points outside": (
        lambda: Prompt(0, 1, points=np.full((1, 2), 300, np.float32), labels=np.ones(1, bool)),
        "no point on the object lies inside",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_prompts_are_refused(
    stage: SegmentStage, draw_squares: Draw, make: Callable[[], Prompt], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        step(stage, 0, draw_squares({})[0], prompts=(make(),))


def test_a_refused_correction_loses_nothing(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = draw_squares({1: (30, 40)})
    step(stage, 0, image, prompts=given(0, truth))
    entries = stage.stats()["keyframes"].entries
    with pytest.raises(InputError, match="too few to follow"):
        step(stage, 1, image, prompts=(Prompt(1, 1, mask=np.zeros(image.shape[:2], bool)),))
    assert stage.stats()["keyframes"].entries == entries
    assert iou(step(stage, 2, image), 1, truth[1]) > 0.7


def test_a_correction_forgets_the_views_before_it(stage: SegmentStage, draw_squares: Draw) -> None:
    image, truth = two(draw_squares, 0)
    step(stage, 0, image, prompts=(Prompt(0, 1, mask=truth[1]),))
    result = step(stage, 1, image, prompts=(Prompt(1, 1, mask=truth[2]),))
    assert stage.stats()["keyframes"].entries == 1 and iou(result, 1, truth[2]) == 1
    assert iou(step(stage, 2, image), 1, truth[2]) > 0.7


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dataclasses.replace(CONFIG, max_objects=0), "segment.max_objects: expected at least 1, got 0"),
        (
            SegmentConfig(tracker=EmbeddedTrackerConfig(keyframes=KeyFrameConfig(policy="smrt"))),
            "unknown key-frame policy 'smrt'; did you mean 'smart'",
        ),
    ],
    ids=["no objects", "unknown policy"],
)
def test_settings_out_of_range_are_refused(config: SegmentConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(config)


def story(draw: Draw, index: int) -> tuple[np.ndarray, dict[str, Any]]:
    """12 frames with everything: a prompt, detections, one that hides, a removal, a cut."""
    image, truth = two(draw, index) if index not in (5, 8) else draw({2: (64, 90)})
    what: dict[str, Any] = {"is_cut": index == 8}
    if index == 0:
        what["prompts"] = (Prompt(0, 4, mask=truth[1], label="red"),)
    if index % 2 == 1:
        what["detections"] = found(("car", 0.7, truth[2]))
    if index == 10:
        what["removals"] = (Removal(10, 4),)
    return image, what


@pytest.mark.parametrize("when", [1, 2, 6, 8, 9], ids=lambda when: f"before frame {when}")
def test_restored_it_goes_on_bit_for_bit(
    stage: SegmentStage,
    draw_squares: Draw,
    tmp_path: Path,
    assert_same: Callable[[list[StepResult], list[StepResult]], None],
    when: int,
) -> None:
    whole = []
    for index in range(12):
        if index == when:
            save_snapshot(tmp_path / "s.npz", stage.state_dict())
        image, what = story(draw_squares, index)
        whole.append(step(stage, index, image, **what))
    assert {state for result in whole for state in result.masks.states} == {"tracked", "occluded", "lost"}
    stage.reset()
    stage.load_state_dict(load_snapshot(tmp_path / "s.npz"))
    rest = []
    for index in range(when, 12):
        image, what = story(draw_squares, index)
        rest.append(step(stage, index, image, **what))
    assert_same(whole[when:], rest)


def test_bytes_stay_bounded_while_objects_come_and_go(draw_squares: Draw) -> None:
    """300 frames, a budget of ten views; objects are added, removed, discovered and given up, shots end."""
    config = SegmentConfig(
        max_objects=3, tracker=EmbeddedTrackerConfig(keyframes=KeyFrameConfig(budget_bytes=10 * 670_000))
    )
    stage = build(config, size=64)
    rng = np.random.default_rng(0)
    sizes, entries, ids = [], [], set()
    for index in range(300):
        places = {1: (5 + index % 30, 4 + index % 11), 2: (38 - index % 20, 60)}
        image, truth = draw_squares(places, size=(64, 96), side=22, background=100 + index // 60)
        what: dict[str, Any] = {"is_cut": index > 0 and index % 60 == 0}
        if index % 25 == 0:
            what["prompts"] = (Prompt(index, 500 + index // 25, mask=truth[1]),)
            what["removals"] = (Removal(index, 499 + index // 25),)
        if index % 4 == 0 and rng.random() < 0.7:
            what["detections"] = found(("car", 0.9, truth[2]), ("dog", 0.85, truth[1]))
        result = step(stage, index, image, **what)
        stats = stage.stats()["keyframes"]
        assert stats.bytes <= stats.capacity_bytes and len(result.masks) <= 3
        sizes.append(stage.tracker.state_bytes())
        entries.append(stats.entries)
        ids |= set(result.masks.object_ids.tolist())
    assert max(entries) == 10  # the budget was reached
    assert {500 + number for number in range(12)} < ids and len(ids) > 12
    assert max(sizes[150:]) <= max(sizes[:150]) * 1.01
    assert max(sizes) <= 10 * 670_000 + 3 * 1_350_000


def test_islands_small_beside_the_largest_part_go() -> None:
    probability = np.zeros((20, 30), np.float32)
    probability[2:12, 2:12], probability[15, 20], probability[2:6, 20:25] = 0.9, 0.8, 0.7
    drop_islands(probability, 0.05)
    assert probability[15, 20] == 0 and (probability[2:6, 20:25] > 0).all() and (probability[2:12, 2:12] > 0).all()
    before = probability.copy()
    drop_islands(probability, 0.0)
    assert np.array_equal(probability, before)


def test_masks_change_size_and_keep_their_place() -> None:
    small = np.zeros((10, 20), np.float32)
    small[2:8, 4:16] = 0.9
    large = enlarge(small, (40, 80))
    assert large.dtype == bool and abs(int(large.sum()) - 24 * 48) < 100
    assert np.array_equal(shrink(large, (10, 20)), small > 0.5)
    assert not enlarge(np.full((10, 20), 0.4, np.float32), (40, 80)).any()
    dot = np.zeros((40, 80), bool)
    dot[3, 3] = True
    assert shrink(dot, (40, 80)).sum() == 1
