import re

import numpy as np
import pytest

from memory_bank.protocol import Memory
from memory_bank.scene import policy
from memory_bank.scene.dynamic import TransientDynamics
from memory_bank.scene.memory import SceneMemory
from memory_bank.scene.places import Place, Places
from memory_bank.scene.policy import SceneMemoryConfig
from memory_bank.scene.static import POINT_BYTES, PersistentStructure
from streamvos.errors import InputError
from streamvos.snapshot import load_snapshot, save_snapshot

BUDGET_BYTES = 1 << 20


def new_memory() -> SceneMemory:
    return SceneMemory(SceneMemoryConfig(), BUDGET_BYTES)


def grey(count: int) -> np.ndarray:
    return np.full((count, 3), 128, np.uint8)


def place(frame_index: int, map_id: int = 0, x: float = 0.0, points: int = 20) -> Place:
    rng = np.random.default_rng(frame_index)
    return Place(
        frame_index,
        map_id,
        rng.integers(0, 256, (points, 32)).astype(np.uint8),
        rng.normal(size=(points, 3)).astype(np.float32),
        rng.integers(0, 256, (12, 16)).astype(np.uint8),
        np.array([x, 0.0, 0.0]),
    )


def test_points_in_one_voxel_become_one_weighted_by_confidence():
    store = PersistentStructure(1000 * POINT_BYTES)
    first = store.write(np.array([[0.01, 0.01, 0.01]]), grey(1), np.array([0.2]), 0, 0.1)
    again = store.write(np.array([[0.05, 0.01, 0.01]]), grey(1) + 40, np.array([0.6]), 0, 0.1)
    assert (first.new, first.merged) == (1, 0) and (again.new, again.merged) == (0, 1)
    read = store.read()
    assert read["xyz"][0] == pytest.approx([0.01 * 0.25 + 0.05 * 0.75, 0.01, 0.01], abs=1e-6)
    assert read["rgb"][0].tolist() == [158, 158, 158]
    assert read["confidence"][0] == pytest.approx(1 - 0.8 * 0.4)
    assert read["count"].tolist() == [2]


def test_maps_share_no_voxels_and_negative_coordinates_are_apart():
    store = PersistentStructure(1000 * POINT_BYTES)
    xyz = np.array([[0.05, 0.05, 0.05], [-0.05, 0.05, 0.05]])
    store.write(xyz, grey(2), np.full(2, 0.5), 0, 0.1)
    store.write(xyz, grey(2), np.full(2, 0.5), 1, 0.1)
    assert len(store) == 4
    assert sorted(store.read()["map_id"].tolist()) == [0, 0, 1, 1]


def test_points_far_out_or_not_finite_are_not_stored():
    store = PersistentStructure(1000 * POINT_BYTES)
    counts = store.write(np.array([[1e9, 0, 0], [np.nan, 0, 0], [0, 0, 1.0]]), grey(3), np.full(3, 0.5), 0, 0.1)
    assert (counts.new, counts.refused) == (1, 2)
    assert store.read()["xyz"].tolist() == [[0, 0, 1]]


def test_a_full_store_gives_up_the_least_confident():
    store = PersistentStructure(100 * POINT_BYTES)
    xyz = np.stack([np.arange(100) + 0.5, np.zeros(100), np.zeros(100)], axis=1)
    confidence = np.linspace(0.1, 0.9, 100)
    store.write(xyz, grey(100), confidence, 0, 1.0)
    counts = store.write(xyz[:5] + [0, 0, 50], grey(5), np.full(5, 0.5), 0, 1.0)
    assert (counts.new, counts.evicted, counts.refused) == (5, 10, 0) and len(store) == 95
    kept = store.read()
    assert kept["confidence"].min() == pytest.approx(confidence[10], abs=1e-6)
    assert (kept["xyz"][:, 2] == 50).sum() == 5


def test_a_batch_larger_than_the_store_fits():
    store = PersistentStructure(50 * POINT_BYTES)
    xyz = np.random.default_rng(0).uniform(-50, 50, (500, 3))
    confidence = np.random.default_rng(1).uniform(0.1, 1, 500)
    counts = store.write(xyz, grey(500), confidence, 0, 0.01)
    assert (counts.new, counts.refused) == (50, 450) and len(store) == 50
    assert store.read()["confidence"].min() >= np.sort(confidence)[-50] - 1e-6


def test_points_looked_through_are_dropped_in_the_end():
    store = PersistentStructure(100 * POINT_BYTES)
    store.write(np.array([[0, 0, 1.0], [0, 0, 2.0]]), grey(2), np.array([0.5, 0.5]), 0, 0.1)
    rows = np.flatnonzero(store.read()["xyz"][:, 2] == 1)
    assert store.weaken(rows) == 0
    assert store.weaken(rows) == 1
    assert store.read()["xyz"].tolist() == [[0, 0, 2]]


def test_key_frames_are_found_by_similarity_within_their_map():
    places = Places(10_000_000, 50)
    for index in range(6):
        places.write(place(index, map_id=index % 2))
    wanted = place(4)
    assert [found.frame_index for found in places.nearest(wanted.thumbnail, 0, 2)][0] == 4
    assert all(found.map_id == 1 for found in places.nearest(wanted.thumbnail, 1, 5))
    np.testing.assert_array_equal(places.nearest(wanted.thumbnail, 0, 1)[0].descriptors, wanted.descriptors)


@pytest.mark.parametrize(
    ("maps", "x", "dropped"),
    [([0, 0, 1, 1], [0, 1, 2, 3], 0), ([1, 1, 1, 1], [0, 1, 1.1, 5], 1), ([1, 1, 1, 1], [0, 4, 4.5, 5], 2)],
    ids=["other-map", "crowded", "between"],
)
def test_which_key_frame_goes(maps, x, dropped):
    centres = np.stack([x, np.zeros(4), np.zeros(4)], axis=1)
    assert policy.key_frame_to_drop(np.array(maps), centres, 1) == dropped


def test_moving_points_are_carried_to_the_time_asked_for():
    memory = TransientDynamics(1 << 20, window=4, max_points=16, max_carry_s=1.0)
    for step in range(6):
        xyz = np.array([[step * 0.2, 0, 3.0], [step * 0.2 + 0.1, 0, 3.0]])
        memory.write(5, step * 0.1, xyz, grey(2))
    assert memory.velocity(5) == pytest.approx([2, 0, 0], abs=1e-5)
    carried = memory.at_time(0.7)
    assert len(carried.xyz) == 8  # four frames of the ring
    assert np.sort(np.unique(carried.xyz[:, 0].round(4))) == pytest.approx([1.4, 1.5], abs=1e-4)
    assert set(carried.object_id.tolist()) == {5}
    stale = memory.at_time(0.7, carry=False)
    assert stale.xyz[:, 0].max() == pytest.approx(1.1, abs=1e-5)


def test_one_sighting_has_no_velocity():
    memory = TransientDynamics(1 << 20, 4, 16, 1.0)
    memory.write(1, 0.0, np.array([[1.0, 0, 0]]), grey(1))
    assert memory.at_time(0.5).xyz.tolist() == [[1, 0, 0]]


def test_objects_unseen_for_too_long_expire():
    memory = TransientDynamics(1 << 20, 4, 16, max_carry_s=1.0)
    memory.write(1, 0.0, np.zeros((1, 3)), grey(1))
    memory.write(2, 0.9, np.zeros((1, 3)), grey(1))
    assert memory.expire(1.0) == ()
    assert memory.expire(1.5) == (1,)
    assert memory.object_ids == (2,)


def test_all_stores_fill_their_share_of_the_budget_and_tell_what_comes_and_goes():
    memory = new_memory()
    rng = np.random.default_rng(0)
    points, key_frames, objects = 0, set(), set()
    for index in range(3000):
        xyz = rng.normal(size=(60, 3)) * 20
        memory.write(index, xyz, grey(60), rng.uniform(0.1, 1, 60), index // 1000, 0.05)
        if index and not index % 1000:
            memory.start_map(index, index // 1000, "scene cut")
        memory.write_moving(index, index / 30, 1 + index % 90, xyz, grey(60), "depth")
        memory.expire(index, index / 30)
        if index % 10 == 0:
            memory.write_place(place(index, index // 1000, x=index * 0.1, points=300))
        if index % 7 == 0:
            memory.look_through(index, np.arange(0, len(memory.static), 50), index // 1000)
        for event in memory.drain_events():
            numbers = [int(number) for number in re.findall(r"\d+", event.reason)]
            if event.entry.startswith("static points"):
                # "60 points measured in 59 voxels: 58 new, …",
                # "all 20000 points are taken: the 2000 least confident made room",
                # "the camera looked through 40 points: 3 are dropped as doubtful"
                points += {"write": numbers[2:3], "merge": [0], "evict": [-numbers[1]]}[event.action][0]
            elif event.entry.startswith("key frame"):
                (key_frames.add if event.action == "write" else key_frames.remove)(event.entry)
            elif event.entry.startswith("moving object"):
                (objects.add if event.action == "write" else objects.remove)(event.entry)
            else:
                assert event.action == "reset" and f"{len(objects)} moving objects forgotten" in event.reason
                objects.clear()
        stats = memory.stats()
        assert stats.bytes <= stats.capacity_bytes == BUDGET_BYTES
        assert len(memory.static) == points and len(memory.places) == len(key_frames)
        assert {f"moving object {one}" for one in memory.dynamic.object_ids} == objects
    assert len(memory.static) > 0.85 * memory.static.capacity  # a tenth is freed at once
    assert len(memory.places) == memory.places.capacity
    assert len(memory.dynamic.object_ids) == memory.dynamic.capacity
    assert stats.entries == len(memory.static) + len(memory.places) + len(memory.dynamic)


def test_what_is_counted_is_what_is_allocated():
    memory = new_memory()
    parts = (memory.static, memory.places, memory.dynamic)
    held = sum(value.nbytes for part in parts for value in vars(part).values() if isinstance(value, np.ndarray))
    held += memory.places.capacity * 8  # the order of the key frames, which is empty still
    assert 0.9 * BUDGET_BYTES < held <= BUDGET_BYTES


def test_each_decision_leaves_one_readable_event():
    memory = new_memory()
    memory.write(3, np.random.default_rng(0).normal(size=(50, 3)), grey(50), np.full(50, 0.5), 0, 1e-3)
    memory.write_moving(3, 0.1, 4, np.zeros((2, 3)), grey(2), "the depth camera")
    memory.remove(4, frame_index=5)
    memory.write(6, np.zeros((0, 3)), grey(0), np.zeros(0), 0, 0.1)
    memory.write_place(place(6))
    memory.write_moving(7, 0.2, 4, np.zeros((2, 3)), grey(2), "the depth camera")
    memory.expire(70, 1.5)
    told = [(event.frame_index, event.action, event.entry, event.reason) for event in memory.drain_events()]
    assert told == [
        (3, "write", "static points of map 0", "50 points measured in 50 voxels: 50 new, 0 merged with known ones"),
        (3, "write", "moving object 4", "enters with 2 points, whose depth comes from the depth camera"),
        (5, "remove", "moving object 4", "removed on request: 2 points"),
        (6, "skip", "static points of map 0", "the key frame measured no point that can be trusted"),
        (6, "write", "key frame 6 of map 0", "20 points to relocalise by"),
        (7, "write", "moving object 4", "enters with 2 points, whose depth comes from the depth camera"),
        (70, "evict", "moving object 4", "not placed for more than 1 s: its motion is no longer known"),
    ]
    assert memory.drain_events() == ()


def test_points_without_room_are_told():
    memory = new_memory()
    memory.write(0, np.array([[1e9, 0, 0], [0, 0, 1.0]]), grey(2), np.full(2, 0.5), 0, 0.1)
    write, reject = memory.drain_events()
    assert write.reason.startswith("2 points measured in 1 voxel: 1 new")
    assert (reject.action, reject.reason) == ("reject", "1 found no room, or are too far away to be kept")


def test_removal_clears_one_object_and_nothing_else():
    memory = new_memory()
    for object_id in (1, 2):
        memory.write_moving(0, 0.0, object_id, np.ones((3, 3)), grey(3), "depth")
    memory.write(0, np.ones((1, 3)), grey(1), np.ones(1), 0, 0.1)
    memory.remove(1)
    memory.remove(99)  # unknown: nothing to forget
    static, moving = memory.read(0.0)
    assert set(moving.object_id.tolist()) == {2} and len(static["xyz"]) == 1


def test_snapshot_round_trip_through_a_file(tmp_path):
    memory = new_memory()
    rng = np.random.default_rng(0)
    memory.write(0, rng.normal(size=(200, 3)), grey(200), rng.uniform(0.1, 1, 200), 0, 0.05)
    memory.write_place(place(0))
    memory.write_moving(0, 0.0, 3, rng.normal(size=(9, 3)), grey(9), "depth")
    save_snapshot(tmp_path / "scene.npz", memory.state_dict())
    other = new_memory()
    other.load_state_dict(load_snapshot(tmp_path / "scene.npz"))
    for one in (memory, other):  # both go on alike
        one.write(1, np.ones((5, 3)), grey(5), np.full(5, 0.4), 0, 0.05)
        one.write_moving(1, 0.1, 3, np.ones((4, 3)), grey(4), "depth")
    for name, values in memory.static.read().items():
        np.testing.assert_array_equal(values, other.static.read()[name])
    np.testing.assert_array_equal(memory.dynamic.at_time(0.2).xyz, other.dynamic.at_time(0.2).xyz)
    assert other.places.nearest(place(0).thumbnail, 0, 1)[0].frame_index == 0
    assert memory.stats() == other.stats()


def test_reset_forgets_everything_and_the_protocol_is_met():
    memory = new_memory()
    assert isinstance(memory, Memory) and memory.name == "scene"
    memory.write(0, np.ones((1, 3)), grey(1), np.ones(1), 0, 0.1)
    memory.write_place(place(0))
    memory.reset()
    assert memory.stats().entries == memory.stats().bytes == 0 and memory.drain_events() == ()


@pytest.mark.parametrize(
    ("config", "budget_bytes", "message"),
    [
        (SceneMemoryConfig(), 100_000, "do not hold 2 key frames.*raise memory.scene_mib"),
        (SceneMemoryConfig(transient_share=0.01), BUDGET_BYTES, "do not hold one moving object"),
        (SceneMemoryConfig(transient_share=0.5, places_share=0.4999999), BUDGET_BYTES, "do not hold one static point"),
    ],
    ids=["no two key frames", "no moving object", "no static point"],
)
def test_a_budget_too_small_for_a_store_is_refused(config, budget_bytes, message):
    with pytest.raises(InputError, match=message):
        SceneMemory(config, budget_bytes)


@pytest.mark.parametrize(
    "wrong",
    [{"transient_share": 0.0}, {"places_share": 1.0}, {"transient_share": 0.6, "places_share": 0.5}],
    ids=["none", "all", "more than all"],
)
def test_impossible_shares_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        SceneMemoryConfig(**wrong)
