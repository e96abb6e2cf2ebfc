"""What the stage keeps: snapshots that go on exactly, and bytes that stay bounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memory_bank.budgets import MemoryBudgets
from streamvos.records import Prompt, Removal, StepResult
from streamvos.snapshot import load_snapshot, save_snapshot


def story(squares: Any, index: int) -> tuple[np.ndarray, dict[str, Any]]:
    """12 frames with everything: a prompt, detections, one that hides, a removal, a cut."""
    image, truth = squares.two(index) if index not in (5, 8) else squares.draw({2: (64, 90)})
    what: dict[str, Any] = {"is_cut": index == 8}
    if index == 0:
        what["prompts"] = (Prompt(0, 4, mask=truth[1], label="red"),)
    if index % 2 == 1:
        what["detections"] = squares.found(("car", 0.7, truth[2]))
    if index == 10:
        what["removals"] = (Removal(10, 4),)
    return image, what


@pytest.mark.parametrize("when", [1, 2, 6, 8, 9], ids=lambda when: f"before frame {when}")
def test_restored_it_goes_on_bit_for_bit(
    squares: Any,
    tmp_path: Path,
    assert_same: Callable[[list[StepResult], list[StepResult]], None],
    when: int,
) -> None:
    whole = []
    for index in range(12):
        if index == when:
            save_snapshot(tmp_path / "s.npz", squares.stage.state_dict())
        image, what = story(squares, index)
        whole.append(squares.step(index, image, **what))
    assert {state for result in whole for state in result.masks.states} == {"tracked", "occluded", "lost"}
    squares.stage.reset()
    squares.stage.load_state_dict(load_snapshot(tmp_path / "s.npz"))
    rest = []
    for index in range(when, 12):
        image, what = story(squares, index)
        rest.append(squares.step(index, image, **what))
    assert_same(whole[when:], rest)


def test_bytes_stay_bounded_while_objects_come_and_go(make_squares: Callable[..., Any]) -> None:
    """300 frames, a budget of ten views; objects are added, removed, discovered and given up, shots end."""
    budgets = MemoryBudgets(keyframes_mib=10 * 670_000 / 2**20)
    squares = make_squares(base="embedded", max_objects=3, budgets=budgets, size=64)
    rng = np.random.default_rng(0)
    sizes, entries, ids = [], [], set()
    for index in range(300):
        places = {1: (5 + index % 30, 4 + index % 11), 2: (38 - index % 20, 60)}
        image, truth = squares.draw(places, size=(64, 96), side=22, background=100 + index // 60)
        what: dict[str, Any] = {"is_cut": index > 0 and index % 60 == 0}
        if index % 25 == 0:
            what["prompts"] = (Prompt(index, 500 + index // 25, mask=truth[1]),)
            what["removals"] = (Removal(index, 499 + index // 25),)
        if index % 4 == 0 and rng.random() < 0.7:
            what["detections"] = squares.found(("car", 0.9, truth[2]), ("dog", 0.85, truth[1]))
        result = squares.step(index, image, **what)
        stats = squares.stage.stats()["keyframes"]
        assert stats.bytes <= stats.capacity_bytes and len(result.masks) <= 3
        sizes.append(squares.stage.tracker.state_bytes())
        entries.append(stats.entries)
        ids |= set(result.masks.object_ids.tolist())
    assert max(entries) == 10  # the budget was reached
    assert {500 + number for number in range(12)} < ids and len(ids) > 12
    assert max(sizes[150:]) <= max(sizes[:150]) * 1.01
    assert max(sizes) <= 10 * 670_000 + 3 * 1_350_000
