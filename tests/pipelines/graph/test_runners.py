"""The local runner is the reference; Ray must agree with it to the last bit, whatever the placement."""

import time

import numpy as np
import psutil
import pytest
import ray

from pipelines.graph.build import GraphConfig, StreamSetup, resolve
from pipelines.graph.chain import ActorLostError, Step
from pipelines.graph.local_runner import LocalRunner, is_due
from pipelines.graph.ray_cluster import Cluster
from pipelines.graph.ray_runner import RayRunner
from pipelines.segment import SegmentConfig
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.records import Frame, Prompt, StepResult

SETTINGS = {"size": 96, "threads": 1, "device": "cpu"}
QUESTIONS = ("what was seen?", "how many cars were there?", "how many shots were there?")
PLACEMENTS = ("fused", "split")


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster()
    cluster.start()
    yield cluster
    cluster.close()


def steps_of(session: Session, source) -> list[Step]:
    """All steps, with snapshots at frames 4 and 9, and removal of an object at frame 11."""
    session.remove(1, frame_index=11)
    return list(session.steps(source, snapshot_every=5))


def answers_of(session: Session) -> list[tuple]:
    found = [session.ask(question) for question in QUESTIONS]
    return [
        (a.text, a.confidence, [(e.claim, e.frame_index, e.thumbnail and e.thumbnail.name) for e in a.evidence])
        for a in found
    ]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_ray_equals_local(cluster, images, list_source, prompts, assert_same, placement):
    outcomes = []
    for runner in ("local", "ray"):
        wanted = {"prompts": prompts, "discover": True, **SETTINGS}
        with Session(runner=runner, placement=placement, cluster=cluster, **wanted) as session:
            steps = steps_of(session, list_source(images))
            session.finish()
            outcomes.append((steps, session.products(), session.stats(), answers_of(session)))
    (local, local_products, local_stats, local_answers), (ray, ray_products, ray_stats, ray_answers) = outcomes
    assert_same([step.result for step in local], [step.result for step in ray])
    assert [step.frame.index for step in ray] == list(range(len(images)))
    assert [step.snapshot is not None for step in ray] == [is_due(step.frame.index, 5) for step in ray]
    assert any(step.result.is_cut for step in local), "the clip must show a cut"
    assert any(len(step.result.masks) for step in local), "the clip must show objects"
    assert any(step.result.detections is not None and len(step.result.detections) for step in local)
    assert local_stats == ray_stats and local_answers == ray_answers
    for name, array in local_products["reconstruct"].items():
        np.testing.assert_array_equal(array, ray_products["reconstruct"][name])


@pytest.mark.parametrize(("first", "second"), [("local", "fused"), ("split", "local")])
def test_a_snapshot_goes_on_elsewhere(cluster, images, list_source, prompts, assert_same, tmp_path, first, second):
    def session(runner: str, folder: str) -> Session:
        where = {"runner": "local"} if runner == "local" else {"runner": "ray", "placement": runner, "cluster": cluster}
        wanted = {"prompts": prompts, "discover": True, "memory_dir": tmp_path / folder, **SETTINGS}
        return Session(**where, **wanted)

    with session("local", "whole") as whole:
        expected = steps_of(whole, list_source(images))
        whole.finish()
        expected_answers = answers_of(whole)
    with session(first, "broken") as begun:
        snapshot = next(step.snapshot for step in steps_of(begun, list_source(images)) if step.frame.index == 9)
    with session(second, "broken") as resumed:  # what the first one remembered after frame 9 is taken back
        resumed.remove(1, frame_index=11)
        resumed.restore(snapshot, 10, 9 / 25)
        rest = list(resumed.run(list_source(images, start=10)))
        assert_same([step.result for step in expected[10:]], rest)
        assert answers_of(resumed) == expected_answers


def test_errors_of_a_stage_come_out_as_they_are(cluster, images, prompts):
    config = resolve(GraphConfig(stages=("segment",), segment=_few_objects(), **SETTINGS))
    runner = RayRunner(config, StreamSetup("clip", "clip"), cluster)
    with pytest.raises(InputError, match="segment.max_objects"):
        list(runner.run(_items(images[:2], {0: prompts[:1], 1: [Prompt(1, 2, box=prompts[0].box)]})))
    runner.close()
    runner.close()


def test_errors_of_building_come_out_as_they_are(cluster):
    with pytest.raises(InputError, match="memory_dir"):
        RayRunner(resolve(GraphConfig(stages=("remember",), **SETTINGS)), StreamSetup("clip", "clip"), cluster)


def test_a_source_that_breaks_loses_nothing_that_was_read(cluster, images, list_source):
    config = {"stages": ("reconstruct",), **SETTINGS}
    for where in ({"runner": "local"}, {"runner": "ray", "cluster": cluster}):
        seen = []
        with Session(**where, **config) as session, pytest.raises(OSError, match="unplugged"):
            for result in session.run(list_source(images[:6], error=OSError("unplugged"))):
                seen.append(result.frame_index)
        assert seen == [0, 1, 2, 3, 4, 5]


def test_a_dead_process_is_a_clear_error(cluster, images):
    runner = RayRunner(resolve(GraphConfig(stages=("reconstruct",), **SETTINGS)), StreamSetup("clip", "c"), cluster)
    for frame, envelope in _items(images[:1]):
        runner.step(frame, envelope)
    ray.kill(runner._actors[0])
    with pytest.raises(ActorLostError, match="resume=True"):
        list(runner.run(_items(images[1:3], first=1)))
    began = time.monotonic()
    with pytest.raises(ActorLostError):
        runner.close()
    assert time.monotonic() - began < 10


def test_at_most_so_many_frames_are_on_their_way(cluster, images, list_source):
    runner = RayRunner(
        resolve(GraphConfig(stages=("reconstruct",), **SETTINGS)), StreamSetup("clip", "c"), cluster, max_in_flight=2
    )
    num_read = 0

    def items():
        nonlocal num_read
        for item in _items(images):
            num_read += 1
            yield item

    for num_done, _ in enumerate(runner.run(items())):
        assert num_read - num_done <= 2
    runner.close()
    assert num_read == len(images)


def test_results_are_free_of_the_object_store(cluster, images, list_source):
    with Session(runner="ray", cluster=cluster, stages=("reconstruct",), **SETTINGS) as session:
        result = next(session.run(list_source(images)))
    assert result.scene.dynamic.flags.writeable


def test_stages_take_read_only_frames(images, prompts, tmp_path):
    for image in images[:3]:
        image.flags.writeable = False
    config = resolve(GraphConfig(**SETTINGS))
    runner = LocalRunner(config, StreamSetup("clip", "clip", tmp_path))
    results = [step.result for step in runner.run(_items(images[:3], {0: prompts[:1]}))]
    runner.close()
    assert len(results[-1].masks) == 1


def test_no_port_can_be_reached_from_another_machine(cluster):
    runner = RayRunner(resolve(GraphConfig(stages=("reconstruct",), **SETTINGS)), StreamSetup("clip", "c"), cluster)
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [
        connection.laddr.ip
        for process in family
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    runner.close()
    assert listening, "Ray must be listening somewhere"
    assert {address.removeprefix("::ffff:") for address in listening} <= {"127.0.0.1", "::1"}


def test_unknown_placement(cluster):
    with pytest.raises(InputError, match="did you mean 'split'"):
        RayRunner(resolve(GraphConfig(**SETTINGS)), StreamSetup("clip", "clip"), cluster, "splitt")


def _few_objects():
    return SegmentConfig(max_objects=1)


def _items(images, prompts=None, first: int = 0):
    for index, image in enumerate(images, start=first):
        frame = Frame("clip", index, index / 25, image)
        yield frame, StepResult.of(frame, tuple((prompts or {}).get(index, ())))
