"""SAM 2.1 and EdgeTAM beside the library's own session, which keeps everything; input, loading and budgets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from pipelines.trackers.edgetam import EdgeTamConfig, EdgeTamTracker
from pipelines.trackers.protocol import Propagation, TrackerSetup
from pipelines.trackers.sam2 import Sam2Config, Sam2Tracker
from pipelines.trackers.video_model import VideoModelTracker
from pipelines.trackers.video_session import EncodedFrame, ObjectSession, PositionCode
from streamvos.errors import InputError, IntegrityError
from streamvos.models.sam2_video import load_edgetam, load_sam2, square_pixels

CPU = torch.device("cpu")
SIZE = 64
Film = Callable[[int], tuple[np.ndarray, dict[int, np.ndarray]]]
TRACKERS = {"sam2": (Sam2Tracker, Sam2Config), "edgetam": (EdgeTamTracker, EdgeTamConfig)}


@pytest.fixture(params=TRACKERS)
def make(request: pytest.FixtureRequest, weights: Path) -> Callable[..., VideoModelTracker]:
    kind, config = TRACKERS[request.param]

    def made(budget_bytes: int = 256 * 2**20, **changed: int) -> VideoModelTracker:
        return kind(config(**changed), TrackerSetup(SIZE, CPU, budget_bytes, object_budget_bytes=12 * 2**20))

    return made


def run(tracker: VideoModelTracker, film: Film, first: int, last: int) -> None:
    for index in range(first, last):
        image, truth = film(index)
        tracker.observe(image)
        ids = tracker.propagate().object_ids
        masks = np.array([truth[1 if key % 2 else 2] for key in ids], np.float32)
        tracker.memorize(index, Propagation(ids, masks), dict.fromkeys(ids.tolist(), True))


@torch.inference_mode()
def test_pruned_it_sees_what_the_library_sees_with_everything_kept(
    make: Callable[..., VideoModelTracker], film: Film
) -> None:
    """More frames than there are memories and pointers; where the library's memory encoder sees its own masks."""
    model = make()._model
    side, mask = model.config.image_size, torch.from_numpy(film(0)[1][1]).float()
    mask = functional.interpolate(mask[None, None], (side, side))[0, 0]
    ours = ObjectSession(model, PositionCode(), CPU, 4)
    theirs = ours._new_session()
    changes, last = [], None
    for index in range(24):
        pixels = square_pixels(film(index)[0], side, CPU)
        encoded = model.get_image_features(pixels, return_dict=True)
        frame = EncodedFrame(pixels, list(encoded.fpn_hidden_states), list(encoded.fpn_position_encoding))
        if index == 0:
            ours.condition(frame, mask, 0)
            theirs.add_mask_inputs(0, 0, mask[None, None])
            theirs.obj_with_new_inputs = [1]
            model(inference_session=theirs, frame=pixels, frame_idx=0)
            continue
        expected = model(inference_session=theirs, frame=pixels, frame_idx=index).pred_masks
        found = ours.find(frame)
        assert torch.equal(found["pred_masks"], expected), f"frame {index}"
        logits = functional.interpolate(expected, (side, side), mode="bilinear", align_corners=False)
        ours.remember(frame, found, logits, index)
        changes.append(last is None or float((expected - last).abs().max()))
        last = expected
    assert all(changes), "masks that never change would show nothing"
    assert ours.num_memories == model.config.num_maskmem < 24


@torch.inference_mode()
def test_the_position_code_is_the_same_for_all_frames(make: Callable[..., VideoModelTracker], film: Film) -> None:
    tracker = make()
    codes = []
    for index in (0, 9):
        tracker.observe(film(index)[0])
        logits = torch.from_numpy(film(index)[1][1]).float()[None, None].logit(1e-6)
        side = tracker._side
        logits = functional.interpolate(logits, (side, side))
        score = torch.ones(1, 1, 1) if "edgetam" not in tracker._model.config.model_type else torch.ones(1, 1)
        codes.append(tracker._model._encode_new_memory(tracker._frame.features[-1], logits, score, False))
    assert torch.equal(codes[0][1], codes[1][1]) and not torch.equal(codes[0][0], codes[1][0])


def test_input_is_that_of_the_library() -> None:
    from transformers import Sam2VideoVideoProcessor

    image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    image = np.repeat(np.repeat(image, 4, 0), 4, 1)
    processor = Sam2VideoVideoProcessor(size={"height": 128, "width": 128})
    expected = processor(videos=[image[None]], return_tensors="pt").pixel_values_videos[0]
    assert float((square_pixels(image, 128, CPU) - expected).abs().max()) < 1.01 / 255 / 0.224  # one grey level


def test_a_given_mask_is_seen_again_at_once(make: Callable[..., VideoModelTracker], film: Film) -> None:
    """Objects in one frame get their own masks, whatever the order in which they came."""
    tracker = make()
    image, truth = film(0)
    tracker.observe(image)
    alone = {}
    for object_id in (1, 2):
        tracker.add(0, object_id, truth[object_id])
        tracker.observe(film(1)[0])
        alone[object_id] = tracker._sessions[object_id].find(tracker._frame)["pred_masks"]
        tracker.reset()
        tracker.observe(image)
    for object_id in (2, 1):
        tracker.add(0, object_id, truth[object_id])
    tracker.observe(film(1)[0])
    for object_id in (1, 2):
        assert torch.equal(tracker._sessions[object_id].find(tracker._frame)["pred_masks"], alone[object_id])


def test_given_masks_are_bounded_and_the_first_stays(make: Callable[..., VideoModelTracker], film: Film) -> None:
    tracker = make(max_conditioning=3)
    for index in range(6):
        image, truth = film(index)
        tracker.observe(image)
        tracker.add(index, 1, truth[1])
    held = tracker._sessions[1]._outputs["cond_frame_outputs"]
    assert [output["frame"] for output in held.values()] == [0, 4, 5]
    gone = [event for event in tracker.drain_events() if event.action == "evict"]
    assert [event.numbers for event in gone] == [{"of_frame": index} for index in (1, 2, 3)]
    assert {event.reason for event in gone} == {"dropped a given mask of object 1: there are more than are kept"}


def test_bytes_stay_within_the_budget(make: Callable[..., VideoModelTracker], film: Film) -> None:
    free = make()
    free.observe(film(0)[0])
    for object_id in (1, 2):
        free.add(0, object_id, film(0)[1][object_id])
    first_views = free.stats().bytes
    run(free, film, 1, 20)
    budget = (first_views + free.stats().bytes) // 2
    tracker = make(budget_bytes=budget)
    tracker.observe(film(0)[0])
    for object_id in (1, 2):
        tracker.add(0, object_id, film(0)[1][object_id])
    for index in range(1, 20):
        run(tracker, film, index, index + 1)
        assert tracker.stats().bytes <= budget < free.stats().bytes
    dropped = [event for event in tracker.drain_events() if event.action == "evict"]
    assert any(event.numbers.get("budget_bytes") == budget < event.numbers["bytes"] for event in dropped)
    assert tracker.propagate().object_ids.tolist() == [1, 2]


def test_a_budget_without_room_for_another_is_refused(make: Callable[..., VideoModelTracker], film: Film) -> None:
    probe = make()
    probe.observe(film(0)[0])
    probe.add(0, 1, film(0)[1][1])
    tracker = make(budget_bytes=probe.stats().bytes + 100)
    tracker.observe(film(0)[0])
    tracker.add(0, 1, film(0)[1][1])
    with pytest.raises(InputError, match="hold no first view of 2 objects"):
        tracker.add(0, 2, film(0)[1][2])
    assert tracker.propagate().object_ids.tolist() == [1]
    with pytest.raises(InputError, match="do not hold the given masks of 1 objects"):
        other = make(budget_bytes=100)
        other.observe(film(0)[0])
        other.add(0, 1, film(0)[1][1])


def test_after_a_cut_only_given_masks_and_pointers_are_read(make: Callable[..., VideoModelTracker], film: Film) -> None:
    tracker = make()
    tracker.observe(film(0)[0])
    tracker.add(0, 1, film(0)[1][1])
    run(tracker, film, 1, 5)
    assert tracker.stats().entries == 5
    tracker.start_shot()
    assert tracker.stats().entries == 1
    pointers = tracker._sessions[1]._outputs["non_cond_frame_outputs"]
    assert [output["frame"] for output in pointers.values()] == [1, 2, 3, 4]
    run(tracker, film, 5, 8)
    assert tracker.stats().entries == 4


@pytest.mark.parametrize("load", [load_sam2, load_edgetam], ids=["sam2", "edgetam"])
def test_files_of_another_model_are_refused(load: Callable, hub: Path, tmp_path: Path) -> None:
    own, other = ("sam2.1-hiera-tiny", "edgetam") if load is load_sam2 else ("edgetam", "sam2.1-hiera-tiny")
    first = ("tiny",) if load is load_sam2 else ()
    with pytest.raises(IntegrityError, match="expected a model of type"):
        load(*first, hub / other, CPU)
    mixed = tmp_path / "mixed"
    shutil.copytree(hub / own, mixed)
    shutil.copy(hub / other / "model.safetensors", mixed)
    with pytest.raises(IntegrityError, match="do not fit|cannot be read"):
        load(*first, mixed, CPU)
    (mixed / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(IntegrityError, match="cannot be read"):
        load(*first, mixed, CPU)
    (mixed / "config.json").write_text("{")
    with pytest.raises(IntegrityError, match="config.json cannot be read"):
        load(*first, mixed, CPU)
    shutil.copy(hub / own / "config.json", mixed)
    assert json.loads((mixed / "config.json").read_text())["model_type"] in ("sam2_video", "edgetam_video")
