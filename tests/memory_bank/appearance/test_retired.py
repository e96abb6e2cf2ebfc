"""Objects that left: what is kept of them, how many, and in how many bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memory_bank.appearance import RetiredObjects, retired
from streamvos.snapshot import load_snapshot, save_snapshot


def views(count: int, value: float = 1.0) -> np.ndarray:
    return np.full((count, 2), value, np.float32)


def test_the_oldest_are_forgotten() -> None:
    memory, most = RetiredObjects(2**20), retired._MAX_OBJECTS
    for object_id in range(1, most + 11):
        memory.write(object_id, object_id, f"kind {object_id}", views(50))
    kept = memory.read()
    assert list(kept) == list(range(11, most + 11)) and kept[11].class_name == "kind 11"
    assert max(len(one.views) for one in kept.values()) == retired._MAX_VIEWS
    told = memory.drain_events()
    assert sum(event.action == "evict" for event in told) == 10 and {event.bank for event in told} == {"retired"}


def test_the_budget_is_never_exceeded() -> None:
    one = views(8).nbytes
    memory = RetiredObjects(3 * one)
    for object_id in range(1, 9):
        memory.write(0, object_id, "dog", views(8))
        stats = memory.stats()
        assert stats.bytes <= stats.capacity_bytes == 3 * one and stats.entries == min(object_id, 3)
    small = RetiredObjects(one - 1)
    small.write(0, 1, "dog", views(8))
    assert small.stats().entries == 0
    assert [event.action for event in small.drain_events()] == ["evict"]


def test_removed_restored_and_in_another_shot(tmp_path: Path) -> None:
    memory, other = RetiredObjects(2**20), RetiredObjects(2**20)
    memory.write(0, 3, "dog", views(2))
    memory.start_shot()
    memory.write(5, 4, "cat", views(1, 0.5))
    memory.remove(99)
    save_snapshot(tmp_path / "s.npz", memory.state_dict())
    other.load_state_dict(load_snapshot(tmp_path / "s.npz"))
    kept = other.read()
    assert [(key, one.class_name, one.of_this_shot) for key, one in kept.items()] == [
        (3, "dog", False),
        (4, "cat", True),
    ]
    assert np.array_equal(kept[4].views, views(1, 0.5))
    other.remove(3)
    assert list(other.read()) == [4]
    other.reset()
    assert other.stats().bytes == 0
