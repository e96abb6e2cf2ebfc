import dataclasses
import time

import numpy as np
import pytest

from pipelines.graph.build import GraphConfig
from pipelines.segment import SegmentConfig
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.records import Prompt

SETTINGS = {"size": 96, "threads": 1, "device": "cpu"}
BOX = np.array([40, 20, 150, 130], np.float32)


def test_run_ask_and_what_is_left(images, list_source):
    with Session(**SETTINGS) as session:
        indices = [result.frame_index for result in session.run(list_source(images))]
        assert indices == list(range(len(images)))
        assert session.ask("how many shots were there?").outcome == "answered"
        memories = {"objects", "features", "expected_places", "keyframes", "appearance", "retired", "scene", "episodes"}
        assert set(session.stats()) == memories
        assert "static_xyz" in session.products()["reconstruct"]
        folder = session._memory_dir
        assert folder.is_dir()
        with pytest.raises(InputError, match="has ended; make a new Session"):
            session.step(images[0], 100.0)
    assert not folder.exists()
    with pytest.raises(InputError, match="give memory_dir"):
        session.ask("what was seen?")


def test_a_second_run_starts_anew(images, list_source, assert_same):
    prompts = [Prompt(0, 1, box=BOX)]
    with Session(stages=("segment", "remember"), prompts=prompts, **SETTINGS) as session:
        first = list(session.run(list_source(images[:6])))
        assert_same(first, list(session.run(list_source(images[:6]))))
        assert session.next_index == 6 and session.ask("what was seen?").outcome == "answered"
        mirrored = [image[:, ::-1] for image in images[:3]]
        assert [result.size for result in session.run([image[:90] for image in mirrored])] == [(90, 320)] * 3
    with pytest.raises(InputError, match="is closed; make a new Session"):
        next(session.run(list_source(images)))


def test_a_second_run_would_mix_a_memory_that_stays(images, list_source, tmp_path):
    with Session(memory_dir=tmp_path / "memory", stages=("detect", "remember"), **SETTINGS) as session:
        list(session.run(list_source(images[:2])))
        with pytest.raises(InputError, match="holds its memory; make a new Session with another memory_dir"):
            next(session.run(list_source(images)))


def test_a_run_that_was_left_goes_on(images):
    with Session(stages=("reconstruct",), rate=25, **SETTINGS) as session:
        for result in session.run(images):
            if result.frame_index == 2:
                break
        rest = list(session.run(images))
    assert [result.frame_index for result in rest] == list(range(3, len(images)))
    assert rest[0].time_s == 3 / 25


def test_pictures_of_a_program(images, list_source, assert_same):
    """A list, an array, a generator and frames give what a source gives."""
    config = {"stages": ("reconstruct",), "rate": 25, **SETTINGS}
    few = images[:5]
    with Session(**config) as session:
        want = [dataclasses.replace(result, stream_id="frames") for result in session.run(list_source(few))]
    for pictures in (few, np.stack(few), (image for image in few), list_source(few)):
        with Session(**config) as session:
            got = [dataclasses.replace(result, stream_id="frames") for result in session.run(pictures)]
        assert_same(want, got)


def test_times_without_a_rate(images):
    """A list is there already: as a folder of pictures. A generator's pictures come when they come."""
    with Session(stages=("reconstruct",), **SETTINGS) as session:
        assert [result.time_s for result in session.run(images[:3])] == [0, 1 / 24, 2 / 24]

    def slowly():
        for image in images[:3]:
            yield image
            time.sleep(0.05)

    with Session(stages=("reconstruct",), **SETTINGS) as session:
        times = [result.time_s for result in session.run(slowly())]
    assert times[0] == 0 and np.diff(times).min() >= 0.05


def test_a_step_without_a_time(images):
    with Session(stages=("reconstruct",), rate="30000/1001", **SETTINGS) as session:
        assert [session.step(image).time_s for image in images[:3]] == [0, 1001 / 30000, 2002 / 30000]
        assert session.step(images[3], 7.0).time_s == 7.0
        assert session.step(images[4]).time_s == pytest.approx(7 + 1001 / 30000)
    with Session(stages=("reconstruct",), **SETTINGS) as session:
        times = [session.step(image).time_s for image in images[:3]]
        assert times[0] == 0 < times[1] < times[2] < 60
        time.sleep(0.2)
        assert session.step(images[3]).time_s >= times[2] + 0.2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "expected at least one picture"),
        (np.zeros((8, 8, 3), np.uint8), "one picture alone goes into Session.step"),
        (["a.mp4", "b.mp4"], "got str .several videos need a Session each"),
        ([np.zeros((8, 8), np.uint8)], "Frame.image"),
    ],
    ids=["none", "one picture", "paths", "grey"],
)
def test_what_is_no_pictures(source, message):
    with Session(stages=("reconstruct",), **SETTINGS) as session, pytest.raises(InputError, match=message):
        next(session.run(source))


def test_a_camera_by_its_number(monkeypatch, images, list_source):
    opened = []
    monkeypatch.setattr(
        "pipelines.session.open_source", lambda spec, **_: opened.append(spec) or list_source(images[:2])
    )
    with Session(stages=("reconstruct",), **SETTINGS) as session:
        assert len(list(session.run(np.int64(0)))) == 2
    assert opened == [0] and type(opened[0]) is int


def test_the_class_score_is_the_detectors_and_the_score_the_masks(images):
    """An object that a detection confirmed has its score; in the frames after, the same one until the next."""
    with Session(stages=("detect", "segment"), **{**SETTINGS, "size": 128}, detect={"every": 4}) as session:
        last: dict[int, float] = {}
        for result in session.run(images):
            last |= {one.object_id: one.score for one in result.detections or () if one.object_id > 0}
            assert {one.object_id: one.class_score for one in result.masks} == {
                one.object_id: last[one.object_id] for one in result.masks
            }
    assert last


def test_questions_from_the_first_frame_on(images):
    with Session(stages=("segment", "remember"), prompts=[Prompt(0, 1, box=BOX, label="thing")], **SETTINGS) as session:
        for index, image in enumerate(images[:4]):
            session.step(image, index / 25)
            answer = session.ask("how many shots were there?")
            assert answer.outcome == "answered" and answer.confidence > 0
        assert session.ask("when did the thing appear?").outcome == "answered"


def test_memory_stays_where_it_was_asked_for(images, list_source, tmp_path):
    with Session(memory_dir=tmp_path / "memory", stages=("detect", "remember"), **SETTINGS) as session:
        list(session.run(list_source(images)))
    assert session.ask("how many shots were there?").outcome == "answered"


def test_questions_while_frames_come(images, list_source):
    with Session(stages=("detect", "remember"), remember={"episodes": {"commit_s": 0.1}}, **SETTINGS) as session:
        with pytest.raises(InputError, match="without a frame"):
            session.ask("what was seen?")
        for result in session.run(list_source(images)):
            if result.frame_index == 12:
                assert session.ask("how many shots were there?").outcome == "answered"


def test_pushing_frames_equals_running(images, list_source, prompts, assert_same):
    config = {"prompts": prompts, "stages": ("detect", "segment", "reconstruct"), **SETTINGS}
    with Session(**config) as session:
        run = list(session.run(list_source(images)))
    with Session(**config) as session:
        pushed = [session.step(image, index / 25) for index, image in enumerate(images)]
    assert_same(run, [dataclasses.replace(result, stream_id="clip") for result in pushed])


def test_a_name_is_known_to_masks_and_memory(images):
    with Session(stages=("segment", "remember"), remember={"episodes": {"commit_s": 0.01}}, **SETTINGS) as session:
        session.add(Prompt(0, 1, box=BOX, label="thing"))
        for index, image in enumerate(images[:12]):
            if index == 4:
                session.name(1, "Rex")
            result = session.step(image, index / 5)
        assert result.masks.class_names == ("Rex",)
        answer = session.ask("when did Rex appear?")
        assert answer.outcome == "answered" and answer.evidence[0].object_id == 1


def test_nothing_to_follow_is_fine_while_a_person_points(images, list_source):
    settings = {"stages": ("segment",), "discover": False, **SETTINGS}
    with Session(**settings) as session, pytest.raises(InputError, match="nothing to follow"):
        next(session.run(list_source(images)))
    with Session(segment={"interactive": True}, **settings) as session:
        assert [len(result.masks) for result in session.run(list_source(images[:3]))] == [0, 0, 0]


def test_prompts_and_removals_take_effect_at_their_frame(images):
    with Session(stages=("segment",), **SETTINGS) as session:
        assert len(session.step(images[0], 0.0).masks) == 0
        session.add(Prompt(session.next_index, 1, box=BOX))
        session.add(Prompt(3, 2, box=BOX + 60))
        ids = [session.step(images[index], index / 25).masks.object_ids.tolist() for index in (1, 2, 3)]
        assert ids == [[1], [1], [1, 2]]
        with pytest.raises(InputError, match="frame 2: that frame is past, the next one is 4"):
            session.add(Prompt(2, 3, box=BOX))
        with pytest.raises(InputError, match="object 9 is not followed"):
            session.remove(9)
        session.remove(1)
        result = session.step(images[4], 4 / 25)
        assert [removal.object_id for removal in result.removals] == [1]
        assert result.masks.object_ids.tolist() == [2]


def test_a_mask_of_another_size_is_refused(images, list_source):
    wrong = Prompt(0, 1, mask=np.ones((10, 10), bool))
    first = Session(stages=("segment",), prompts=[wrong], **SETTINGS)
    with first, pytest.raises(InputError, match="320x136; got 10x10"):
        next(first.run(list_source(images)))
    with Session(stages=("segment",), **SETTINGS) as session:
        session.step(images[0], 0.0)
        with pytest.raises(InputError, match="320x136; got 10x10"):
            session.add(Prompt(5, 1, mask=np.ones((10, 10), bool)))


@pytest.mark.parametrize(
    ("image", "time_s", "message"),
    [
        (np.zeros((136, 322, 3), np.uint8), 1.0, "320x136 pixels as the frames before, got 322x136"),
        (np.zeros((136, 320), np.uint8), 1.0, "Frame.image"),
        (np.zeros((136, 320, 3), np.float32), 1.0, "Frame.image"),
        (np.zeros((136, 320, 3), np.uint8), 0.0, "a time after 0.0 s"),
    ],
    ids=["size", "grey", "float", "time"],
)
def test_wrong_frames(images, image, time_s, message):
    with Session(stages=("reconstruct",), **SETTINGS) as session:
        session.step(images[0], 0.0)
        with pytest.raises(InputError, match=message):
            session.step(image, time_s)
        assert session.step(images[1], 2.0).frame_index == 1  # the session goes on


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": 3}, "did you mean 'size'"),
        ({"runner": "rey"}, "did you mean 'ray'"),
        ({"size": "big"}, "expected a whole number"),
        ({"detect": {"evry": 3}}, "did you mean 'detect.every'"),
        ({"detect": SegmentConfig()}, "got SegmentConfig"),
        ({"stages": ("detect",), "prompts": [Prompt(0, 1, box=BOX)]}, "need the segment stage"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message):
        Session(**settings)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, True),
        ({"prompts": [Prompt(0, 1, box=BOX)]}, False),
        ({"prompts": [Prompt(0, 1, box=BOX)], "discover": True}, True),
        ({"discover": False}, False),
        ({"config": GraphConfig(segment=SegmentConfig(discover=False))}, False),
    ],
)
def test_discovery(given, wanted):
    assert Session(**given).config.segment.discover is wanted


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"stages": ("segment",)}, "add the detect stage"), ({"discover": False}, "discover=True")],
)
def test_nothing_to_follow(images, list_source, settings, message):
    with Session(**settings, **SETTINGS) as session, pytest.raises(InputError, match=message):
        next(session.run(list_source(images)))


def test_no_frames(images, list_source):
    with Session(**SETTINGS) as session, pytest.raises(InputError, match="gave no frame"):
        next(session.run(list_source(images, start=len(images))))


def test_max_frames(images, list_source):
    source = list_source(images)
    with Session(stages=("reconstruct",), **SETTINGS) as session:
        assert len(list(session.run(source, max_frames=3))) == 3
    assert source.num_read == 3


def test_questions_need_a_memory():
    with Session(stages=("detect",)) as session, pytest.raises(InputError, match="need the remember stage"):
        session.ask("what was seen?")


def test_public_names():
    import streamvos

    for name in streamvos.__all__:
        assert getattr(streamvos, name) is not None
    assert streamvos.Session is Session
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        _ = streamvos.Sesion
