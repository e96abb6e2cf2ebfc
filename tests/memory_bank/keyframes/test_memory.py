"""The key-frame memory: what stays, what goes, within how many bytes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memory_bank.keyframes.config import KeyFrameConfig
from memory_bank.keyframes.memory import KeyFrameMemory
from memory_bank.keyframes.policy import POLICIES, View
from memory_bank.keyframes.smart import SmartPolicy
from streamvos.errors import InputError
from streamvos.snapshot import load_snapshot, save_snapshot

SLOT = 8 * 4 + 6 * 2 + 4 * 4 + 34  # bytes of the payload below, its descriptor and its numbers
GOOD = View(area_px=50, confidence=0.95, area_ratio=1.0, gap_frames=100, novelty=1.0)
HIDDEN = View(area_px=0, confidence=0.0, area_ratio=0.0, gap_frames=100, novelty=1.0)


def make(slots: int = 10, object_budget_bytes: int = 12 * 2**20, **settings: Any) -> KeyFrameMemory:
    return KeyFrameMemory(KeyFrameConfig(**settings), slots * SLOT + 5, object_budget_bytes, torch.device("cpu"))


def payload(number: float) -> dict[str, torch.Tensor]:
    return {"gram": torch.full((8,), float(number)), "key": torch.full((2, 3), number % 100, dtype=torch.float16)}


def look(angle_deg: float) -> np.ndarray:
    angle = np.radians(angle_deg)
    return np.array([np.cos(angle), np.sin(angle), 0, 0], np.float32)


def put(
    memory: KeyFrameMemory, frame: int, object_id: int = 1, angle: float = 0, view: View = GOOD, confirmed: bool = False
) -> bool:
    return memory.write(frame, object_id, payload(frame), look(angle), view, confirmed)


def frames_of(memory: KeyFrameMemory, object_id: int = 1) -> list[float]:
    views = memory.read(object_id)
    return views["gram"][:, 0].tolist() if views else []


def test_what_was_written_is_read_in_order_of_frames() -> None:
    memory = make()
    for frame in (4, 9, 2):
        assert put(memory, frame, angle=frame)
    put(memory, 7, object_id=2)
    views = memory.read(1)
    assert views["gram"].shape == (3, 8) and views["key"].shape == (3, 2, 3)
    assert views["key"].dtype == torch.float16
    assert frames_of(memory) == [2, 4, 9] and frames_of(memory, 2) == [7]
    assert np.array_equal(memory.descriptors(1), np.stack([look(2), look(4), look(9)]))
    assert memory.last_written(1) == 9 and memory.last_written(3) is None
    assert memory.read(3) == {}


def test_looks_are_compared_with_own_and_others_views() -> None:
    memory = make()
    assert memory.compare(1, look(0)) == (1.0, 1.0, 0.0)
    put(memory, 3, angle=0, confirmed=True)
    put(memory, 9, angle=90)
    cosines = [float(np.cos(np.radians(angle))) for angle in (30, 60, 70)]
    assert memory.compare(1, look(60)) == pytest.approx((1 - cosines[0], cosines[1], 0.0), abs=1e-6)
    put(memory, 5, object_id=4, angle=-10, confirmed=True)
    put(memory, 6, object_id=4, angle=60)  # only first views are held against it
    put(memory, 6, object_id=2, angle=200, confirmed=True)
    assert memory.compare(1, look(60)) == pytest.approx((1 - cosines[0], cosines[1], cosines[2]), abs=1e-6)
    memory.remove(4)
    assert memory.compare(1, look(60)).nearest_other == 0.0


@pytest.mark.parametrize("policy", POLICIES.names())
def test_budget_is_reached_and_never_exceeded_while_objects_come_and_go(policy: str) -> None:
    memory = make(slots=20, policy=policy, max_per_object=6)
    rng = np.random.default_rng(3)
    first: dict[int, int] = {}
    fullest = 0
    for frame in range(1200):
        object_id = int(rng.integers(1, 9))
        if object_id in first and rng.random() < 0.01:
            memory.remove(object_id)
            del first[object_id]
        newly = object_id not in first
        view = dataclasses.replace(GOOD, distractor=float(rng.random()))
        put(memory, frame, object_id, float(rng.uniform(0, 360)), view, confirmed=newly or rng.random() < 0.02)
        memory.note_use(object_id, rng.dirichlet(np.ones(memory.count(object_id))))
        if newly:
            first[object_id] = frame
        stats = memory.stats()
        assert stats.bytes == stats.entries * SLOT <= stats.capacity_bytes
        fullest = max(fullest, stats.entries)
        assert len(frames_of(memory, object_id)) <= 6
        if frame % 50 == 0:
            assert all(frames_of(memory, one)[0] == seen for one, seen in first.items())
        memory.drain_events()
    assert fullest == 20
    assert {len(frames_of(memory, one)) for one in set(range(1, 9)) - set(first)} <= {0}


def test_the_first_confirmed_view_survives_everything() -> None:
    memory = make(slots=4, max_per_object=4, policy="fifo")
    put(memory, 0, confirmed=True)
    for frame in range(1, 30):
        put(memory, frame, confirmed=frame % 7 == 0)
    assert frames_of(memory) == [0, 27, 28, 29]


def test_policies_drop_different_views() -> None:
    kept = {}
    for policy in ("smart", "fifo", "dmaot"):
        memory = make(max_per_object=4, policy=policy)
        put(memory, 0, confirmed=True)
        for frame, angle in ((10, 90), (20, 45), (30, 46), (40, 130)):
            put(memory, frame, angle=angle)
        kept[policy] = frames_of(memory)
        evicted = [event for event in memory.drain_events() if event.action == "evict"]
        assert [event.frame_index for event in evicted] == [40]
    assert kept == {"smart": [0, 10, 30, 40], "fifo": [0, 20, 30, 40], "dmaot": [0, 10, 30, 40]}


def test_a_full_memory_makes_room_at_the_expense_of_the_object_with_most_views() -> None:
    memory = make(slots=5, policy="fifo")
    for frame in range(3):
        put(memory, frame, object_id=1, confirmed=frame == 0)
    for frame in range(3, 5):
        put(memory, frame, object_id=2, confirmed=frame == 3)
    put(memory, 9, object_id=3, confirmed=True)
    assert frames_of(memory, 1) == [0, 2] and frames_of(memory, 2) == [3, 4] and frames_of(memory, 3) == [9]


def test_every_decision_leaves_an_event_with_its_reason() -> None:
    memory = make(max_per_object=2)
    put(memory, 0, confirmed=True)
    put(memory, 5, angle=40)
    put(memory, 6, view=HIDDEN)
    put(memory, 9, angle=80)
    events = memory.drain_events()
    assert [(event.action, event.frame_index) for event in events] == [
        ("write", 0),
        ("write", 5),
        ("skip", 6),
        ("evict", 9),
        ("write", 9),
    ]
    assert all(event.bank == "keyframes" and event.reason and "object 1" in event.entry for event in events)
    assert events[0].reason == "kept the first view of object 1: it stays for good"
    assert events[1].reason == "kept a view of object 1: it shows something new"
    assert events[1].numbers == {"confidence": 0.95, "area_ratio": 1.0, "novelty": 1.0}
    assert events[2].reason == "no view of object 1: it is not visible" and not events[2].numbers
    assert "frame 5" in events[3].entry and set(events[3].numbers) == {"similarity"}
    assert [event.bytes // SLOT for event in events] == [1, 2, 2, 1, 2]
    assert memory.drain_events() == ()


def test_each_object_has_a_budget_of_its_own() -> None:
    memory = make(slots=20, object_budget_bytes=3 * SLOT + 1)
    for frame in range(9):
        put(memory, frame, object_id=1 + frame % 2, angle=10 * frame, confirmed=frame < 2)
    assert [memory.count(one) for one in (1, 2, 3)] == [3, 3, 0]


def test_without_a_first_view_that_stays_one_slot_holds_the_latest() -> None:
    memory = make(max_per_object=1, keeps_first=False, policy="fifo")
    for frame in range(4):
        assert put(memory, frame, confirmed=frame == 0)
    assert frames_of(memory) == [3] and memory.drain_events()[0].reason.endswith("it is confirmed")


def test_parts_of_chosen_views_are_read() -> None:
    memory = make()
    for frame in (4, 9, 2, 7):
        put(memory, frame, angle=9 * frame)
    views = memory.read(1, ("gram",), np.array([0, 3]))
    assert list(views) == ["gram"] and views["gram"][:, 0].tolist() == [2, 9]
    assert memory.read(1, chosen=np.array([1]))["key"].shape == (1, 2, 3)


def test_what_is_used_stays_under_rmem() -> None:
    memory = make(max_per_object=3, policy="rmem")
    assert memory.reads_attention and not make().reads_attention
    put(memory, 0, confirmed=True)
    for frame in (10, 20):
        put(memory, frame)
    for _ in range(5):
        memory.note_use(1, np.array([0.2, 0.1, 0.7]))
        memory.note_use(1, np.array([0.1]), np.array([1]))
    memory.note_use(9, np.zeros(0))  # an object without views
    put(memory, 30)
    assert frames_of(memory) == [0, 20, 30]
    (evicted,) = (event for event in memory.drain_events() if event.action == "evict")
    assert evicted.numbers["attention"] == pytest.approx(0.1) and evicted.numbers["reads"] == 10


def test_an_anchor_stays_beside_plain_views() -> None:
    memory = make(max_per_object=4)
    put(memory, 0, confirmed=True)
    put(memory, 10, angle=1, view=dataclasses.replace(GOOD, novelty=0.0, distractor=0.9))
    for frame in range(20, 90, 10):
        put(memory, frame, angle=frame)
    assert frames_of(memory)[:2] == [0, 10] and memory.count(1) == 4


def test_a_full_memory_takes_from_others_before_it_takes_the_last_of_its_own() -> None:
    memory = make(slots=6, policy="fifo")
    for frame in range(5):
        put(memory, frame, object_id=1, confirmed=frame == 0)
    put(memory, 5, object_id=2, confirmed=True)
    put(memory, 6, object_id=2)
    put(memory, 7, object_id=2)
    assert frames_of(memory, 1) == [0, 3, 4] and frames_of(memory, 2) == [5, 6, 7]
    put(memory, 8, object_id=2)
    assert frames_of(memory, 1) == [0, 3, 4] and frames_of(memory, 2) == [5, 7, 8]


def test_slots_of_permanent_views_alone_refuse_with_a_reason() -> None:
    memory = make(max_per_object=1)
    put(memory, 0, confirmed=True)
    assert not put(memory, 9)
    assert memory.drain_events()[-1].reason.endswith("its slots hold only views that stay")


def test_the_numbers_of_the_config_decide() -> None:
    memory = make(rules=SmartPolicy(min_confidence=0.99))
    assert not put(memory, 0)
    assert put(memory, 1, confirmed=True)


def test_removal_forgets_one_object_alone() -> None:
    memory = make()
    for frame in range(4):
        put(memory, frame, object_id=1 + frame % 2, confirmed=frame < 2)
    memory.remove(1)
    assert frames_of(memory, 1) == [] and frames_of(memory, 2) == [1, 3]
    assert len(memory.descriptors(1)) == 0 and memory.last_written(1) is None
    assert memory.stats().entries == 2
    put(memory, 9, object_id=1, confirmed=True)  # it comes anew, and its first view is permanent again
    assert "first view" in memory.drain_events()[-1].reason


def test_reset_forgets_all_and_takes_another_payload() -> None:
    memory = make()
    put(memory, 0, confirmed=True)
    memory.reset()
    assert memory.stats().entries == 0 and memory.drain_events() == () and memory.read(1) == {}
    assert memory.write(0, 1, {"other": torch.ones(3)}, look(0), GOOD)
    assert memory.read(1)["other"].tolist() == [[1, 1, 1]]


def offer(memory: KeyFrameMemory, frame: int) -> None:
    """A view of one of three objects, and what a tracker says of the views that it read."""
    rng = np.random.default_rng(frame)
    object_id, view = int(rng.integers(1, 4)), dataclasses.replace(GOOD, distractor=float(rng.random()))
    put(memory, frame, object_id, float(rng.uniform(0, 360)), view, confirmed=frame % 11 == 0)
    memory.note_use(object_id, rng.dirichlet(np.ones(memory.count(object_id))))


@pytest.mark.parametrize("policy", POLICIES.names())
@pytest.mark.parametrize("on_disk", [False, True], ids=["in memory", "through a file"])
def test_a_restored_memory_goes_on_the_same_way(tmp_path: Path, on_disk: bool, policy: str) -> None:
    memory, other = (make(slots=9, max_per_object=4, policy=policy) for _ in range(2))
    for frame in range(40):
        offer(memory, frame)
    memory.remove(2)
    state = memory.state_dict()
    if on_disk:
        save_snapshot(tmp_path / "m.npz", state)
        state = load_snapshot(tmp_path / "m.npz")
    put(memory, 40, 3)  # a snapshot does not see what comes after it
    other.load_state_dict(state)
    put(other, 40, 3)
    memory.drain_events(), other.drain_events()
    for frame in range(41, 80):
        for one in (memory, other):
            offer(one, frame)
    assert memory.drain_events() == other.drain_events()
    for object_id in (1, 2, 3):
        assert frames_of(memory, object_id) == frames_of(other, object_id) != []
        assert np.array_equal(memory.descriptors(object_id), other.descriptors(object_id))
        assert torch.equal(memory.read(object_id)["key"], other.read(object_id)["key"])
    assert memory.stats() == other.stats()


def test_snapshots_of_empty_memories() -> None:
    memory, other = make(), make()
    put(other, 0)
    other.load_state_dict(memory.state_dict())  # never written to
    assert other.stats().entries == 0 and other.read(1) == {}
    put(memory, 0, confirmed=True)
    memory.remove(1)
    other.load_state_dict(memory.state_dict())  # written to, and empty again
    assert other.stats().entries == 0
    assert put(other, 3)


def test_a_snapshot_of_another_budget_is_refused() -> None:
    memory = make(slots=5)
    put(memory, 0)
    with pytest.raises(InputError, match="snapshot of 5 key-frame slots does not fit a memory of 6"):
        make(slots=6).load_state_dict(memory.state_dict())


@pytest.mark.parametrize(
    ("budgets", "name"), [((SLOT - 1, SLOT), "keyframes_mib"), ((SLOT, SLOT - 1), "object_keyframes_mib")]
)
def test_a_budget_for_no_view_is_refused(budgets: tuple[int, int], name: str) -> None:
    memory = KeyFrameMemory(KeyFrameConfig(), *budgets, torch.device("cpu"))
    with pytest.raises(
        InputError, match=f"memory.{name}: {SLOT - 1} bytes hold no view of {SLOT} bytes; give a larger"
    ):
        put(memory, 0)


def test_permanent_views_alone_leave_no_room() -> None:
    memory = make(slots=2)
    put(memory, 0, object_id=1, confirmed=True)
    put(memory, 0, object_id=2, confirmed=True)
    with pytest.raises(InputError, match="all 2 slots hold permanent first views; remove an object before adding"):
        put(memory, 1, object_id=3, confirmed=True)
    memory.remove(1)
    assert put(memory, 2, object_id=3, confirmed=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "lru"}, "unknown value of keyframes.policy 'lru'.*valid: dam4sam, dmaot, fifo, gap, rmem, smart"),
        ({"max_per_object": 0}, "keyframes.max_per_object: expected a whole number of at least 1, got 0"),
    ],
    ids=["policy", "maximum"],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**settings)
