"""The appearance memory: what it keeps of whom, in how many bytes, and what it tells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from memory_bank.appearance import AppearanceMemory
from streamvos.errors import InputError

CPU, SIDE = torch.device("cpu"), 4
SIZE = 4 * SIDE * SIDE  # bytes of the moments of one view


def view(value: float) -> torch.Tensor:
    return torch.full((SIDE, SIDE), float(value))


def build(num_objects: int, follow_rate: float = 0.5) -> AppearanceMemory:
    """With room for so many objects beside the background."""
    return AppearanceMemory((2 * num_objects + 1) * SIZE, follow_rate, CPU)


def test_confirmed_views_are_averaged_and_others_are_followed() -> None:
    memory = build(2)
    memory.write(0, 1, view(1.0), replace=True)
    memory.write(5, 1, view(3.0), replace=False)
    for index, value in enumerate((4.0, 8.0, 0.0)):
        memory.follow(6 + index, 1, view(value))
    memory.follow(6, 9, view(1.0))  # nobody
    (look,) = memory.read().values()
    assert look.confirmed[0, 0] == 2.0 and look.num_confirmed == 2
    assert look.running[0, 0] == 3.0 and look.num_views == 3 and look.seen == 8
    memory.write(9, 1, view(7.0), replace=True)
    assert memory.read()[1].confirmed[0, 0] == 7.0 and memory.read()[1].num_views == 0


def test_the_one_seen_longest_ago_makes_room_and_the_budget_holds() -> None:
    memory = build(3)
    memory.follow_background(view(0.0))
    for index in range(10):
        memory.write(index, index + 1, view(index), replace=True)
        memory.follow(index, 1, view(0.0))  # seen in every frame
        assert memory.stats().bytes <= memory.stats().capacity_bytes
    assert sorted(memory.read()) == [1, 9, 10] and memory.stats().bytes == memory.stats().capacity_bytes
    told = memory.drain_events()
    assert [event.entry for event in told if event.action == "evict"] == [f"object {number}" for number in range(2, 9)]
    assert {event.bank for event in told} == {"appearance"} and memory.drain_events() == ()
    assert max(event.bytes for event in told) <= memory.stats().capacity_bytes


def test_a_budget_without_room_for_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"memory.appearance_mib: .* hold no object"):
        build(0).write(0, 1, view(1.0), replace=True)


def test_removed_is_forgotten_and_restored_goes_on() -> None:
    one, other = build(3), build(3)
    for object_id in (1, 2):
        one.write(0, object_id, view(object_id), replace=True)
    one.follow_background(view(0.5))
    one.remove(1)
    one.remove(77)
    other.load_state_dict(one.state_dict())
    for memory in (one, other):
        memory.follow(1, 2, view(5.0))
        memory.follow_background(view(1.5))
    assert list(one.read()) == list(other.read()) == [2]
    assert torch.equal(one.read()[2].running, other.read()[2].running)
    assert np.array_equal(one.background.numpy(), other.background.numpy())
    one.reset()
    assert one.stats().bytes == 0 and one.background is None
