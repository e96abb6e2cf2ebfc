"""The feature memory: budget, erasing, attention, expected things, removal, snapshots."""

import dataclasses

import numpy as np
import pytest

from memory_bank.features import policy
from memory_bank.features.memory import FeatureMemory, attend
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.protocol import Memory
from streamvos.errors import InputError
from streamvos.snapshot import load_snapshot, save_snapshot

LEVELS = {"fine": 32, "coarse": 64}
SIZE = (100, 200)
SMALL = FeatureMemoryConfig(budget_bytes=60_000, keys=20, heads=4, cells_per_box=10, max_things=8)
CLASSES = 5


def maps(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "fine": rng.random((10, 12, 32), np.float32) * 6,
        "coarse": rng.random((5, 6, 64), np.float32) * 6,
    }


def boxes(*rows) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def ids(*values) -> np.ndarray:
    return np.array(values, np.int64)


def fill(memory: FeatureMemory, frames: range) -> None:
    for frame in frames:
        x = float(frame % 50)
        found = boxes([x, 10, x + 60, 70], [120, 20, 180, 90])
        names = memory.expect(frame, found, ids(1, 2), np.array([0.9, 0.7], np.float32), ids(7, -1), degraded=False)
        memory.write(frame, SIZE, maps(frame), found, names)


def same(first, second) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return np.array_equal(first, second)


def test_is_a_memory():
    assert isinstance(FeatureMemory(SMALL, LEVELS), Memory)


def test_budget_is_reached_and_never_exceeded_over_thousands_of_writes():
    memory = FeatureMemory(SMALL, LEVELS)
    for frame in range(3000):
        fill(memory, range(frame, frame + 1))
        stats = memory.stats()
        assert stats.bytes <= stats.capacity_bytes == SMALL.budget_bytes
        assert len(memory.drain_events()) <= len(LEVELS) + 2  # one for each level, not one for each vector
    held = sum(level.vectors.nbytes + level.object_ids.nbytes for level in memory._levels.values())
    assert held + memory.things.capacity_bytes <= SMALL.budget_bytes  # what is really allocated
    assert stats.bytes > 0.8 * SMALL.budget_bytes


def test_a_full_level_erases_as_many_random_vectors_as_arrive():
    memory = FeatureMemory(SMALL, LEVELS)
    fill(memory, range(200))
    level = memory._levels["coarse"]
    assert level.used == level.capacity
    before = level.vectors.copy()
    memory.drain_events()
    fill(memory, range(200, 201))
    changed = int((level.vectors != before).any(axis=1).sum())
    (event,) = [event for event in memory.drain_events() if event.entry.startswith("coarse")]
    assert event.action == "write"
    assert f"{changed} random cells inside 2 boxes; full, so {changed} random ones were erased" == event.reason
    assert event.bytes == memory.stats().bytes


def test_same_seed_same_memory_and_another_seed_another():
    states = []
    for seed in (3, 3, 4):
        memory = FeatureMemory(SMALL, LEVELS, seed)
        fill(memory, range(150))
        states.append((memory.state_dict(), memory.read(150, maps(150))))
    assert same(states[0][0], states[1][0]) and same(states[0][1], states[1][1])
    assert not same(states[0][0], states[2][0])


def test_snapshot_goes_on_as_if_nothing_had_happened(tmp_path):
    memory = FeatureMemory(SMALL, LEVELS, seed=5)
    fill(memory, range(120))
    save_snapshot(tmp_path / "features.npz", memory.state_dict())
    restored = FeatureMemory(SMALL, LEVELS, seed=5)
    restored.load_state_dict(load_snapshot(tmp_path / "features.npz"))
    assert restored.stats() == memory.stats()
    fill(memory, range(120, 180))
    fill(restored, range(120, 180))
    assert same(memory.state_dict(), restored.state_dict())
    assert same(memory.read(180, maps(1)), restored.read(180, maps(1)))


def test_snapshot_is_independent_of_later_writes():
    memory = FeatureMemory(SMALL, LEVELS)
    fill(memory, range(100))
    state = memory.state_dict()
    kept = {name: level["vectors"].copy() for name, level in state["levels"].items()}
    fill(memory, range(100, 150))
    assert all(np.array_equal(state["levels"][name]["vectors"], kept[name]) for name in LEVELS)


@pytest.mark.parametrize(
    ("config", "levels"),
    [(SMALL, {"fine": 32}), (dataclasses.replace(SMALL, budget_bytes=20_000), LEVELS)],
    ids=["other levels", "smaller budget"],
)
def test_a_snapshot_of_another_configuration_is_refused(config, levels):
    memory = FeatureMemory(SMALL, LEVELS)
    fill(memory, range(150))
    with pytest.raises(InputError, match="resume with the configuration that wrote it"):
        FeatureMemory(config, levels).load_state_dict(memory.state_dict())


def test_removal_leaves_nothing_of_the_object():
    memory = FeatureMemory(SMALL, LEVELS)
    fill(memory, range(50))
    assert all((level.object_ids == 7).any() for level in memory._levels.values())
    others = sum(int((level.object_ids[: level.used] != 7).sum()) for level in memory._levels.values())
    memory.drain_events()
    memory.remove(7)
    assert not any((level.object_ids == 7).any() for level in memory._levels.values())
    assert memory.stats().entries == others + 1  # and the thing without a name
    assert all(not level.vectors[level.used :].any() for level in memory._levels.values())
    (event,) = memory.drain_events()
    assert (event.action, event.entry, event.frame_index) == ("remove", "object 7", 49)
    memory.remove(99)
    assert memory.drain_events() == ()


def test_reset_forgets_everything():
    memory = FeatureMemory(SMALL, LEVELS)
    fill(memory, range(20))
    memory.reset()
    assert memory.stats().entries == memory.stats().bytes == 0
    assert memory.drain_events() == ()
    probe = maps(0)
    assert all(memory.read(0, probe)[name] is probe[name] for name in LEVELS)


def test_reading_pulls_towards_what_is_remembered():
    memory = FeatureMemory(dataclasses.replace(SMALL, blend=0.5), LEVELS)
    clean = {name: np.zeros_like(level) for name, level in maps(0).items()}
    for level in clean.values():
        level[..., ::2] = 4.0
    memory.write(0, SIZE, clean, boxes([0, 0, 200, 100]), ids(1))
    rng = np.random.default_rng(1)
    noisy = {
        name: np.clip(level + rng.normal(0, 1, level.shape), 0, 6).astype(np.float32) for name, level in clean.items()
    }
    enhanced = memory.read(1, noisy)
    for name in LEVELS:
        assert enhanced[name].dtype == np.float32 and enhanced[name].shape == noisy[name].shape
        np.testing.assert_allclose(enhanced[name] - clean[name], (noisy[name] - clean[name]) / 2, atol=1e-3)


def test_blend_of_nothing_keeps_no_vectors():
    memory = FeatureMemory(dataclasses.replace(SMALL, blend=0.0), LEVELS)
    fill(memory, range(10))
    assert memory.stats().entries == 2  # the two expected things
    probe = maps(0)
    assert all(memory.read(10, probe)[name] is probe[name] for name in LEVELS)


def test_attention_by_hand():
    keys = np.array([[1, 0, 0, 2], [0, 1, 3, 0]], np.float32)
    cells = np.array([[5, 0, 0, 7], [0, 2, 0, 9]], np.float32)
    sharp = attend(cells, keys, heads=2, sharpness=200.0)  # each head picks the key of its own direction
    np.testing.assert_allclose(sharp, [[1, 0, 0, 2], [0, 1, 0, 2]], atol=1e-5)
    flat = attend(cells, keys, heads=2, sharpness=0.0)
    np.testing.assert_allclose(flat, np.tile(keys.mean(axis=0), (2, 1)), atol=1e-6)


def test_cells_of_boxes_by_hand():
    rng = np.random.default_rng(0)
    cells, owner = policy.cells_of_boxes(rng, boxes([0, 0, 50, 50], [0, 0, 100, 50]), (100, 100), (4, 4), 99)
    assert dict(zip(cells.tolist(), owner.tolist(), strict=True)) == {
        **dict.fromkeys((0, 1, 4, 5), 0),
        **dict.fromkeys((2, 3, 6, 7), 1),
    }
    tiny, _ = policy.cells_of_boxes(rng, boxes([99, 99, 100, 100]), (100, 100), (4, 4), 99)
    assert tiny.tolist() == [15]
    few, _ = policy.cells_of_boxes(rng, boxes([0, 0, 100, 100]), (100, 100), (4, 4), 3)
    assert len(few) == 3
    none, _ = policy.cells_of_boxes(rng, boxes(), (100, 100), (4, 4), 3)
    assert len(none) == 0


def scene(memory: FeatureMemory, frame: int, box, score: float = 0.9, degraded: bool = False) -> None:
    memory.expect(frame, boxes(box), ids(1), np.array([score], np.float32), ids(-1), degraded)


def test_a_thing_is_expected_where_its_motion_takes_it():
    memory = FeatureMemory(SMALL, LEVELS)
    for frame in range(0, 40, 5):
        scene(memory, frame, [frame, 0, frame + 40, 40])
    np.testing.assert_allclose(memory.things.places(40)[0], [40, 0, 80, 40], atol=0.1)


def test_recall_raises_only_the_anchor_at_the_expected_place():
    memory = FeatureMemory(SMALL, LEVELS)
    scene(memory, 0, [0, 0, 40, 40])
    anchors = boxes([0, 0, 40, 38], [0, 0, 40, 20], [100, 0, 140, 40])
    scores = np.full((3, CLASSES), 0.05, np.float32)
    raised = memory.things.recall(1, anchors, scores)
    assert raised[0, 1] > 0.7
    raised[0, 1] = scores[0, 1]
    np.testing.assert_array_equal(raised, scores)


def test_recall_never_lowers_and_fades_over_degraded_frames():
    memory = FeatureMemory(SMALL, LEVELS)
    scene(memory, 0, [0, 0, 40, 40], score=0.8)
    anchor, sure = boxes([0, 0, 40, 40]), np.full((1, CLASSES), 0.95, np.float32)
    np.testing.assert_array_equal(memory.things.recall(1, anchor, sure), sure)
    weak, seen = np.full((1, CLASSES), 0.02, np.float32), []
    for frame in range(1, 5):
        seen.append(float(memory.things.recall(frame, anchor, weak)[0, 1]))
        memory.expect(frame, boxes(), ids(), np.zeros(0, np.float32), ids(), degraded=True)
    assert seen == sorted(seen, reverse=True) and seen[0] > seen[-1]


@pytest.mark.parametrize(
    ("degraded", "limit"),
    [(False, SMALL.max_missed), (True, SMALL.max_missed_degraded)],
    ids=["clean", "degraded"],
)
def test_a_thing_that_stays_away_is_no_longer_expected(degraded, limit):
    memory = FeatureMemory(SMALL, LEVELS)
    scene(memory, 0, [0, 0, 40, 40])
    for frame in range(1, limit + 2):
        assert memory.things.count == 1
        memory.expect(frame, boxes(), ids(), np.zeros(0, np.float32), ids(), degraded)
    assert memory.things.count == 0
    assert memory.drain_events()[-1].reason.startswith(f"1 not found for more than {limit} frames")


def test_a_degraded_frame_brings_in_nothing_new():
    memory = FeatureMemory(SMALL, LEVELS)
    scene(memory, 0, [0, 0, 40, 40], degraded=True)
    assert memory.things.count == 0


def test_a_cut_voids_every_expected_place_and_keeps_the_vectors():
    memory = FeatureMemory(SMALL, LEVELS)
    fill(memory, range(10))
    vectors = memory.stats().entries - memory.things.count
    memory.drain_events()
    memory.start_shot(10)
    assert memory.things.count == 0 and memory.stats().entries == vectors
    (event,) = memory.drain_events()
    assert event.reason == "a cut: 2 expected places are void"


def test_names_come_from_prompts_and_stay_with_the_thing():
    memory = FeatureMemory(SMALL, LEVELS)
    scene(memory, 0, [0, 0, 40, 40])
    memory.things.name(0, 3)
    names = memory.expect(
        5, boxes([2, 0, 42, 40], [90, 0, 120, 40]), ids(1, 1), np.ones(2, np.float32), ids(-1, -1), False
    )
    assert names.tolist() == [3, -1]


def test_things_never_outgrow_their_slots():
    memory = FeatureMemory(SMALL, LEVELS)
    rng = np.random.default_rng(0)
    for frame in range(300):
        corner = rng.uniform(0, 150, (12, 2))
        found = np.concatenate([corner, corner + 20], axis=1).astype(np.float32)
        memory.expect(frame, found, rng.integers(1, 5, 12), rng.random(12).astype(np.float32), np.full(12, -1), False)
        assert memory.things.count <= SMALL.max_things
    assert memory.things.count == SMALL.max_things


@pytest.mark.parametrize(
    "change", [{"budget_bytes": 500}, {"budget_bytes": 850}, {"heads": 5}], ids=["things", "vector", "heads"]
)
def test_impossible_configurations_are_refused(change):
    with pytest.raises(InputError, match="feature memory"):
        FeatureMemory(dataclasses.replace(SMALL, **change), LEVELS)


@pytest.mark.parametrize(
    ("now", "word"),
    [((10, 2, 100), None), ((5, 2, 100), "blurred"), ((30, 9, 100), "noisy"), ((4, 2, 30), "dark")],
    ids=["clean", "blurred", "noisy", "dark"],
)
def test_quality_is_judged_against_the_shot(now, word):
    reason = policy.judge_quality(np.array(now, float), np.array([10.0, 2, 100]), 0.6, 1.5, 0.5)
    assert (reason is None) if word is None else reason.startswith(word)


def test_quality_is_measured_in_the_right_direction():
    rng = np.random.default_rng(0)
    flat = np.full((60, 60), 120, np.uint8)
    checks = (np.indices((60, 60)).sum(axis=0) // 6 % 2 * 120 + 60).astype(np.uint8)
    noisy = np.clip(flat + rng.normal(0, 12, flat.shape), 0, 255).astype(np.uint8)
    assert policy.measure_quality(flat).tolist() == [0, 0, 120]
    assert policy.measure_quality(checks)[0] > 5 * policy.measure_quality(checks // 10)[0]
    assert policy.measure_quality(noisy)[1] == pytest.approx(12 * 0.84, rel=0.15)  # median of |n|, times sqrt(pi/2)
