"""Detectors of the hub, and the user's own, through whole sessions: small random weights, a few frames."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.graph.build import GraphConfig
from pipelines.session import Session
from streamvos.errors import InputError, MissingWeightsError
from streamvos.export.formats import coco as coco_format
from streamvos.models import coco
from streamvos.records import Detections
from streamvos.snapshot import load_snapshot, save_snapshot
from tests.streamvos.models.conftest import detector_cache, fetched  # noqa: F401  (fixtures)

HUB = ("rtdetr-v2", "dfine", "rf-detr", "owlv2")
STAGES = ["detect", "remember"]


def film(num_frames: int = 4, size: tuple[int, int] = (64, 80)) -> list[np.ndarray]:
    """A bright square that moves over noise."""
    frames = []
    for index in range(num_frames):
        image = np.random.default_rng(5).integers(0, 60, (*size, 3), np.uint8)
        image[20:44, 10 + 4 * index : 34 + 4 * index] = (200, 40, 40)
        frames.append(image)
    return frames


def square_in(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Where a film shows its square, and what stands on the whole of the picture's left."""
    rows, columns = np.nonzero(image[..., 0] > 150)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return np.array([box, [0, 0, 8, 60]]), np.array([0.9, 0.7]), ["red square", "dog"]


def detections(results) -> list[Detections]:
    return [result.detections for result in results]


def same(one: Detections, two: Detections) -> bool:
    arrays = ("boxes_xyxy", "scores", "class_ids")
    return one.class_names == two.class_names and all(
        np.array_equal(getattr(one, name), getattr(two, name)) for name in arrays
    )


@pytest.mark.parametrize("name", HUB)
def test_hub_detectors_run_in_a_session(fetched: Path, name: str):  # noqa: F811
    classes = ["red backpack", "kettle"] if name == "owlv2" else []
    settings = {"detector": name, "every": 1, "classes": classes, "looks": 1}
    with Session(stages=STAGES, detect=settings, scores={"detect": 0.05}) as session:
        found = detections(session.run(film(), max_frames=3))
        assert {"expected_places", "looks"} <= set(session.stats())
    assert all(len(one) for one in found)
    known = set(classes) or set(coco.NAMES)
    assert {class_name for one in found for class_name in one.class_names} <= known
    for one in found:
        assert (one.boxes_xyxy >= 0).all() and (one.boxes_xyxy[:, 2] <= 80).all() and (one.boxes_xyxy[:, 3] <= 64).all()


@pytest.mark.parametrize("name", ("rtdetr-v2", "rf-detr"))
def test_memory_helps_where_it_can(fetched: Path, name: str):  # noqa: F811
    """A dark frame is read with vectors where the detector has levels, and with expected places in any case."""
    frames = [*film(4), film(5)[4] // 8]
    with Session(stages=["detect"], detect={"detector": name, "every": 1}, scores={"detect": 0.05}) as session:
        results = list(session.run(frames))
        stats = session.stats()
    assert any("dark" in event.reason for event in results[-1].events if event.action == "skip")
    assert stats["expected_places"].entries
    assert bool(stats["features"].entries) == (name == "rtdetr-v2")


def test_weights_that_are_not_here_are_said_before_anything_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="streamvos models fetch owlv2-base"):
        Session(detect={"detector": "owlv2", "classes": ["red backpack"]})


def test_a_word_that_a_detector_does_not_know_names_the_way_out():
    with pytest.raises(InputError, match="unknown value of detect.classes 'kettel'.*detect.detector='owlv2'"):
        Session(detect={"classes": ["kettel"]})
    with pytest.raises(InputError, match="detect.detector is 'function'"):
        next(Session(stages=["detect"], detect={"detector": "function"}).run(film()))


def test_a_function_is_a_detector(tmp_path: Path):
    with Session(
        detector=square_in, detect={"every": 1}, stages=["detect", "segment", "reconstruct", "remember"]
    ) as session:
        results = list(session.run(film(6)))
        answer = session.ask("how many dogs were there?")
    first = results[0].detections
    assert first.class_names == ("red square", "dog") and first.class_ids.tolist() == [91, coco.ID_OF["dog"]]
    assert first.boxes_xyxy[0].tolist() == [10, 20, 34, 44]
    assert "red square" in results[-1].masks.class_names
    assert answer.outcome != "not_understood"


@pytest.mark.parametrize(
    "question, outcome, words",
    [
        ("was there a red backpack?", "answered", "Yes"),
        ("how many red backpacks were there?", "answered", "1 red backpack"),
        ("when did the red backpack appear?", "answered", "0:00.0"),
        ("was there a backpack?", "not_observed", "did not see a backpack"),
        ("was there a dog?", "not_observed", "did not see a dog"),
    ],
)
def test_what_coco_does_not_name_can_be_asked_for(backpack: Session, question: str, outcome: str, words: str):
    answer = backpack.ask(question)
    assert answer.outcome == outcome and words in answer.text


@pytest.fixture(scope="module")
def backpack() -> Iterator[Session]:
    """A session in which a red backpack was seen."""
    with Session(detector=lambda image: (square_in(image)[0][:1], [0.9], ["red backpack"])) as session:
        for _ in session.run(film(8)):
            pass
        yield session


def test_a_function_may_give_detections_and_only_classes_asked_for_count():
    def whole(image: np.ndarray) -> Detections:
        boxes, scores, names = square_in(image)
        return Detections(
            boxes.astype(np.float32), scores.astype(np.float32), np.array([1, 2]), tuple(names), np.full(2, -1)
        )

    config = dataclasses.replace(GraphConfig(), stages=("detect",))
    with Session(config, detector=whole, detect={"classes": ["red square", "kettle"]}) as session:
        found = next(session.run(film(1))).detections
    assert found.class_names == ("red square",)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="nothing"),
        pytest.param((np.zeros((2, 5)), np.zeros(2), ["a", "b"]), id="five-sides"),
        pytest.param((np.zeros((2, 4)), np.zeros(2), ["a"]), id="a-name-too-few"),
        pytest.param((np.zeros((1, 4)), np.array([2.0]), ["a"]), id="score-above-1"),
        pytest.param((np.zeros((1, 4)), np.array([0.5]), [7]), id="a-number-for-a-name"),
    ],
)
def test_what_a_function_must_give_is_said(given: object):
    with pytest.raises(InputError, match="detector function gave"):
        next(Session(stages=["detect"], detector=lambda image: given).run(film()))


def test_a_function_that_finds_nothing():
    with Session(stages=["detect"], detector=lambda image: ([], [], [])) as session:
        assert len(next(session.run(film())).detections) == 0


def test_a_snapshot_keeps_the_ids_of_own_classes(tmp_path: Path):
    """A class seen before the snapshot and not after it keeps its id for those that come."""

    def by_place(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
        boxes, scores, _ = square_in(image)
        return boxes[:1], scores[:1], ["early" if boxes[0, 0] < 16 else "late"]

    settings = {"stages": ["detect"], "detector": by_place, "detect": {"every": 1}}
    with Session(**settings) as session:
        through = detections(session.run(film(4)))
    with Session(**settings) as session:
        for index in range(2):
            session.step(film(4)[index], index / 24)
        save_snapshot(tmp_path / "state.npz", session.state_dict())
    with Session(**settings) as session:
        session.restore(load_snapshot(tmp_path / "state.npz"), 2, 1 / 24)
        rest = [session.step(film(4)[index], index / 24).detections for index in (2, 3)]
    assert [one.class_ids.tolist() for one in through] == [[91], [91], [92], [92]]
    assert all(same(one, two) for one, two in zip(through[2:], rest, strict=True))


def test_a_function_on_ray_gives_the_same():
    shift = 3  # a closure travels, too
    settings = {"stages": ["detect"], "detect": {"every": 1}}

    def shifted(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
        rows, columns = np.nonzero(image[..., 0] > 150)
        return [[columns.min() + shift, rows.min(), columns.max(), rows.max()]], [0.8], ["red square"]

    with Session(detector=shifted, **settings) as session:
        local = detections(session.run(film()))
    with Session(detector=shifted, runner="ray", placement="fused", **settings) as session:
        on_ray = detections(session.run(film()))
    assert all(same(one, two) for one, two in zip(local, on_ray, strict=True)) and len(on_ray) == 4


def test_what_cannot_travel_is_refused_on_ray():
    lock = threading.Lock()

    def locked(image: np.ndarray) -> tuple[list, list, list]:
        with lock:
            return [], [], []

    with pytest.raises(InputError, match="runner='local'"):
        next(Session(stages=["detect"], detector=locked, runner="ray").run(film()))


def test_own_classes_are_exported_with_ids_of_their_own():
    assert coco_format._categories(["dog", "red square"]) == {"dog": 18, "red square": 91}


def test_what_coco_does_not_name_may_move():
    assert "red square" in coco.MAY_MOVE and "dog" in coco.MAY_MOVE and "couch" not in coco.MAY_MOVE
