"""Expected instances: where they are expected, what that is worth, when they are no longer expected."""

import numpy as np
import pytest

from memory_bank.features.instances import ExpectedInstances
from memory_bank.features.policy import MAX_MISSED, MAX_MISSED_DEGRADED, FeatureMemoryConfig
from memory_bank.protocol import Memory

NAMES = {1: "dog", 2: "umbrella", 3: "person", 4: "bus"}
CLASSES = 5
NOTHING = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64)


def new_instances(max_instances: int = 8) -> ExpectedInstances:
    return ExpectedInstances(FeatureMemoryConfig(max_instances=max_instances), 10_000, NAMES)


def boxes(*rows) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def see(instances: ExpectedInstances, frame: int, box, score: float = 0.9, degraded: bool = False) -> np.ndarray:
    """One dog in a frame."""
    return instances.write(frame, boxes(box), np.array([1]), np.array([score], np.float32), np.array([-1]), degraded)


def test_is_a_memory():
    assert isinstance(new_instances(), Memory)


def test_an_instance_is_expected_where_its_motion_takes_it():
    instances = new_instances()
    for frame in range(0, 40, 5):
        see(instances, frame, [frame, 0, frame + 40, 40])
    np.testing.assert_allclose(instances.places(40)[0], [40, 0, 80, 40], atol=0.1)


def test_reading_raises_only_the_anchor_at_the_expected_place():
    instances = new_instances()
    see(instances, 0, [0, 0, 40, 40])
    anchors = boxes([0, 0, 40, 38], [0, 0, 40, 20], [100, 0, 140, 40])
    scores = np.full((3, CLASSES), 0.05, np.float32)
    raised = instances.read(1, anchors, scores)
    assert raised[0, 1] > 0.7
    raised[0, 1] = scores[0, 1]
    np.testing.assert_array_equal(raised, scores)


def test_reading_never_lowers_and_fades_over_degraded_frames():
    instances = new_instances()
    see(instances, 0, [0, 0, 40, 40], score=0.8)
    anchor, sure = boxes([0, 0, 40, 40]), np.full((1, CLASSES), 0.95, np.float32)
    np.testing.assert_array_equal(instances.read(1, anchor, sure), sure)
    weak, seen = np.full((1, CLASSES), 0.02, np.float32), []
    for frame in range(1, 5):
        seen.append(float(instances.read(frame, anchor, weak)[0, 1]))
        instances.write(frame, *NOTHING, degraded=True)
    assert seen == sorted(seen, reverse=True) and seen[0] > seen[-1]


def test_events_tell_what_came_what_stayed_and_what_went():
    instances = new_instances()
    see(instances, 0, [0, 0, 40, 40], score=0.83)
    see(instances, 5, [2, 0, 42, 40])
    for frame in range(6, 6 + MAX_MISSED + 1):
        instances.write(frame, *NOTHING, degraded=False)
    write, merge, evict = instances.drain_events()
    assert (write.action, write.entry) == ("write", "expected place of a dog")
    assert write.reason == "found at class score 0.83 on a clean frame; 1 of 8 places are taken"
    assert (merge.action, merge.entry) == ("merge", "expected places of 1 dog")
    assert merge.reason == "1 of 1 found where they were expected, and followed"
    assert (evict.action, evict.entry, evict.frame_index) == ("evict", "expected place of a dog", 8)
    assert evict.reason == "missed by more than 2 detector runs in a row, the limit on clean frames"
    assert write.bytes == merge.bytes > evict.bytes == 0
    assert {event.bank for event in (write, merge, evict)} == {"expected_places"}


@pytest.mark.parametrize(
    ("degraded", "limit"), [(False, MAX_MISSED), (True, MAX_MISSED_DEGRADED)], ids=["clean", "degraded"]
)
def test_an_instance_that_stays_away_is_no_longer_expected(degraded, limit):
    instances = new_instances()
    see(instances, 0, [0, 0, 40, 40])
    for frame in range(1, limit + 2):
        assert instances.count == 1
        instances.write(frame, *NOTHING, degraded)
    assert instances.count == 0


def test_a_degraded_frame_brings_in_nothing_new():
    instances = new_instances()
    see(instances, 0, [0, 0, 40, 40], degraded=True)
    assert instances.count == 0


def test_objects_come_from_prompts_and_stay_with_the_instance():
    instances = new_instances()
    see(instances, 0, [0, 0, 40, 40])
    instances.assign(0, 3)
    found, scores = boxes([2, 0, 42, 40], [90, 0, 120, 40]), np.ones(2, np.float32)
    object_ids = instances.write(5, found, np.array([1, 1]), scores, np.array([-1, -1]), False)
    assert object_ids.tolist() == [3, -1]


def test_the_instances_unseen_for_longest_make_room():
    instances = new_instances(max_instances=2)
    see(instances, 0, [0, 0, 40, 40])
    see(instances, 5, [100, 0, 140, 40])
    instances.drain_events()
    see(instances, 6, [0, 100, 40, 140])
    evict, write = instances.drain_events()
    assert (evict.action, evict.reason) == ("evict", "all 2 places are taken: it was unseen for longest")
    assert write.action == "write" and instances.count == 2
    assert instances.state_dict()["seen"].tolist() == [5, 6]


def test_more_instances_than_places_are_refused_and_told():
    instances = new_instances(max_instances=2)
    found = boxes([0, 0, 40, 40], [50, 0, 90, 40], [100, 0, 140, 40], [150, 0, 190, 40])
    instances.write(0, found, np.array([1, 2, 4, 4]), np.linspace(0.9, 0.6, 4, dtype=np.float32), np.full(4, -1), False)
    assert instances.state_dict()["class_id"].tolist() == [1, 2]
    *writes, reject = instances.drain_events()
    assert [event.entry for event in writes] == ["expected place of a dog", "expected place of an umbrella"]
    assert (reject.action, reject.entry) == ("reject", "expected places of 2 buses")


def test_a_recall_of_nothing_expects_nothing():
    instances = ExpectedInstances(FeatureMemoryConfig(recall=0.0), 0, NAMES)
    assert see(instances, 0, [0, 0, 40, 40]).tolist() == [-1]
    assert instances.count == instances.stats().capacity_bytes == 0 and instances.drain_events() == ()
