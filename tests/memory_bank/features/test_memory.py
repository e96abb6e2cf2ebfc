"""The feature memory as a whole: one budget for two banks, what their events tell, removal, cuts, snapshots."""

import re

import numpy as np
import pytest

from memory_bank.features.memory import FeatureMemory
from memory_bank.features.policy import FeatureMemoryConfig
from streamvos.errors import InputError
from streamvos.records import MemoryEvent
from streamvos.snapshot import load_snapshot, save_snapshot

LEVELS = {"fine": 32, "coarse": 64}
NAMES = {1: "dog", 2: "umbrella", 3: "person", 4: "bus"}
SIZE = (100, 200)
BUDGET_BYTES = 60_000
SMALL = FeatureMemoryConfig(keys=20, max_instances=8)


def new_memory(config: FeatureMemoryConfig = SMALL, budget_bytes: int = BUDGET_BYTES, seed: int = 0) -> FeatureMemory:
    return FeatureMemory(config, budget_bytes, LEVELS, NAMES, seed)


def maps(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"fine": rng.random((10, 12, 32), np.float32) * 6, "coarse": rng.random((5, 6, 64), np.float32) * 6}


def fill(memory: FeatureMemory, frames: range, degraded: str | None = None) -> None:
    """A dog that is object 7 and walks, and an umbrella that is no object and stands."""
    for frame in frames:
        x = float(frame % 50)
        found = np.array([[x, 10, x + 60, 70], [120, 20, 180, 90]], np.float32)
        scores, object_ids = np.array([0.9, 0.7], np.float32), np.array([7, -1])
        memory.write(frame, SIZE, maps(frame), found, np.array([1, 2]), scores, object_ids, degraded)


def same(first, second) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return np.array_equal(first, second)


def first_number(event: MemoryEvent, after: str = "") -> int:
    return int(re.search(after + r"(\d+)", event.reason).group(1))


def test_both_banks_fill_their_share_of_the_budget_and_never_exceed_it():
    memory = new_memory()
    rng = np.random.default_rng(0)
    told = {"features": 0, "expected_places": 0}
    for frame in range(1500):
        corner = rng.uniform(0, 150, (12, 2))
        found = np.concatenate([corner, corner + 20], axis=1).astype(np.float32)
        class_ids, scores = rng.integers(1, 5, 12), rng.random(12).astype(np.float32)
        memory.write(frame, SIZE, maps(frame), found, class_ids, scores, np.full(12, -1), None)
        for event in memory.drain_events():
            if event.bank == "expected_places":
                told[event.bank] += {"write": 1, "evict": -1}.get(event.action, 0)
            elif event.action == "write":
                told[event.bank] += first_number(event)
            else:
                assert event.action == "evict"
                told[event.bank] -= first_number(event, "taken: ")
        stats = memory.stats()
        for name, one in stats.items():
            assert one.bytes <= one.capacity_bytes
            assert one.entries == told[name]  # each write and each eviction was told
    assert sum(one.capacity_bytes for one in stats.values()) == BUDGET_BYTES
    places, vectors = stats["expected_places"], stats["features"]
    assert places.entries == SMALL.max_instances and places.bytes == places.capacity_bytes
    assert vectors.bytes > vectors.capacity_bytes - 2 * (2 * 64 + 8)  # less than a vector is left of each level's share


def test_a_degraded_frame_is_not_learned_from_and_says_so():
    memory = new_memory()
    fill(memory, range(3))
    memory.drain_events()
    vectors = memory.stats()["features"]
    fill(memory, range(3, 4), degraded="dark: brightness 22, usual in this shot 90")
    assert memory.stats()["features"] == vectors
    merge, skip = memory.drain_events()
    assert (merge.bank, merge.action, merge.entry) == (
        "expected_places",
        "merge",
        "expected places of 1 dog, 1 umbrella",
    )
    assert (skip.bank, skip.action, skip.entry) == ("features", "skip", "feature vectors")
    assert skip.reason == "nothing is learned from a degraded frame: dark: brightness 22, usual in this shot 90"


def test_a_cut_voids_every_expected_place_and_keeps_the_vectors():
    memory = new_memory()
    fill(memory, range(10))
    vectors = memory.stats()["features"]
    memory.drain_events()
    memory.instances.start_shot(10)
    assert memory.stats()["expected_places"].entries == 0 and memory.stats()["features"] == vectors
    (event,) = memory.drain_events()
    assert (event.action, event.entry) == ("evict", "expected places of 1 dog, 1 umbrella")
    assert event.reason == "a cut: all 2 are void"


def test_removal_leaves_nothing_of_the_object():
    memory = new_memory()
    fill(memory, range(20))
    state = memory.state_dict()["vectors"]
    assert all((level["object_ids"] == 7).any() for level in state.values())
    others = sum(int((level["object_ids"] != 7).sum()) for level in state.values())
    memory.drain_events()
    memory.remove(7, frame_index=20)
    state = memory.state_dict()
    assert not any((level["object_ids"] == 7).any() for level in state["vectors"].values())
    assert state["instances"]["object_id"].tolist() == [-1]
    assert memory.stats()["features"].entries == others
    events = {event.bank: event for event in memory.drain_events()}
    assert events["features"].entry == "object 7" and events["features"].reason.startswith("removed on request: ")
    assert events["expected_places"].entry == "expected place of a dog, object 7"
    assert {(event.action, event.frame_index) for event in events.values()} == {("remove", 20)}
    memory.remove(99)
    assert memory.drain_events() == ()


def test_same_seed_same_memory_and_another_seed_another():
    states = []
    for seed in (3, 3, 4):
        memory = new_memory(seed=seed)
        fill(memory, range(150))
        states.append((memory.state_dict(), memory.vectors.read(150, maps(150))))
    assert same(states[0][0], states[1][0]) and same(states[0][1], states[1][1])
    assert not same(states[0][0], states[2][0])


def test_snapshot_goes_on_as_if_nothing_had_happened(tmp_path):
    memory = new_memory(seed=5)
    fill(memory, range(120))
    save_snapshot(tmp_path / "features.npz", memory.state_dict())
    restored = new_memory(seed=5)
    restored.load_state_dict(load_snapshot(tmp_path / "features.npz"))
    assert restored.stats() == memory.stats()
    fill(memory, range(120, 180))
    fill(restored, range(120, 180))
    assert same(memory.state_dict(), restored.state_dict())
    assert same(memory.vectors.read(180, maps(1)), restored.vectors.read(180, maps(1)))


def test_snapshot_is_independent_of_later_writes():
    memory = new_memory()
    fill(memory, range(100))
    state = memory.state_dict()
    kept = {name: level["vectors"].copy() for name, level in state["vectors"].items()}
    fill(memory, range(100, 150))
    assert all(np.array_equal(state["vectors"][name]["vectors"], kept[name]) for name in LEVELS)


@pytest.mark.parametrize(
    ("config", "budget_bytes"),
    [(FeatureMemoryConfig(blend=0.0), BUDGET_BYTES), (SMALL, 20_000), (FeatureMemoryConfig(max_instances=1), 60_000)],
    ids=["without vectors", "smaller budget", "fewer instances"],
)
def test_a_snapshot_of_another_configuration_is_refused(config, budget_bytes):
    memory = new_memory()
    fill(memory, range(150))
    with pytest.raises(InputError, match="resume with the configuration that wrote it"):
        new_memory(config, budget_bytes).load_state_dict(memory.state_dict())


def test_reset_forgets_everything():
    memory = new_memory()
    fill(memory, range(20))
    memory.reset()
    assert all(one.entries == one.bytes == 0 for one in memory.stats().values())
    assert memory.drain_events() == ()
    probe = maps(0)
    assert all(memory.vectors.read(0, probe)[name] is probe[name] for name in LEVELS)


@pytest.mark.parametrize(
    ("budget_bytes", "message"), [(500, "8 expected instances"), (850, "one vector of level")], ids=["places", "vector"]
)
def test_a_budget_that_holds_nothing_is_refused(budget_bytes, message):
    with pytest.raises(InputError, match=f"{message}.*raise memory.features_mib"):
        new_memory(budget_bytes=budget_bytes)
