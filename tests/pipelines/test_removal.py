"""An object that is removed leaves nothing behind: one walk through all memories of all stages."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.graph.build import GraphConfig, StreamSetup, all_names, build_stages, resolve
from pipelines.graph.stage import Stage
from pipelines.scores import ScoreThresholds
from streamvos.records import Frame, Prompt, Removal, StepResult

REMOVED, KEPT = 47_110_815, 47_110_816  # numbers that turn up by no accident
NUM_BEFORE = 5


def traces(value: Any, object_id: int, where: str = "") -> Iterator[str]:
    """Places in nested containers that hold an id: whole numbers, keys, integer arrays, texts."""
    if isinstance(value, np.ndarray):
        if value.dtype.names:
            for name in value.dtype.names:
                yield from traces(value[name], object_id, f"{where}[{name}]")
        elif value.dtype.kind in "iu" and (value == object_id).any():
            yield where
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from traces(key, object_id, f"{where}.{key}:key")
            yield from traces(item, object_id, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from traces(item, object_id, f"{where}[{index}]")
    elif (isinstance(value, int) and value == object_id) or (isinstance(value, str) and str(object_id) in value):
        yield where


def on_disk(directory: Path) -> dict[str, Any]:
    with sqlite3.connect(directory / "memory.sqlite") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        facts = [name for name in tables if not name.startswith(("undo", "sqlite_", "chunk_text_"))]
        return {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in facts}


def step(stages: list[Stage], index: int, image: np.ndarray, **given: Any) -> StepResult:
    height, width = image.shape[:2]
    depth = np.tile(np.linspace(3, 1, height, dtype=np.float32)[:, None], (1, width))
    camera = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    frame = Frame("s", index, index / 25, image, depth, camera)
    result = dataclasses.replace(StepResult.of(frame), **given)
    for stage in stages:
        result = stage.step(frame, result)
    return result


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[dict[str, Stage]]:
    ready = ScoreThresholds(detect=0.15, remember=0.15)  # so that there are two instances to remember
    config = resolve(GraphConfig(size=96, device="cpu", threads=1, scores=ready))
    setup = StreamSetup("s", "made here", tmp_path / "memory")
    built = build_stages(config, all_names(config), setup)
    yield {stage.name: stage for stage in built}
    for stage in built:
        stage.close()


def bank_of(stages: dict[str, Stage]) -> dict[str, Any]:
    return {
        "features": stages["detect"].state_dict(),
        "keyframes": stages["segment"].state_dict(),
        "scene": stages["reconstruct"].memory.state_dict(),
        "episodes": stages["remember"].state_dict(),
    }


def test_every_memory_forgets_a_removed_object(
    stages: dict[str, Stage], images: list[np.ndarray], tmp_path: Path
) -> None:
    line = list(stages.values())
    probe = step([stages["detect"]], 0, images[0]).detections
    assert len(probe) >= 2, "the clip must show two things that the detector knows"
    stages["detect"].reset()
    prompts = tuple(
        Prompt(0, object_id, box=probe.boxes_xyxy[row], label=label)
        for row, (object_id, label) in enumerate(((REMOVED, "dog"), (KEPT, "person")))  # both can move
    )
    for index in range(NUM_BEFORE):
        step(line, index, images[index], prompts=prompts if index == 0 else ())
    for name, state in bank_of(stages).items():
        for object_id in (REMOVED, KEPT):
            assert list(traces(state, object_id)), f"{name} must hold something of object {object_id} at first"

    result = step(line, NUM_BEFORE, images[NUM_BEFORE], removals=(Removal(NUM_BEFORE, REMOVED),))
    assert REMOVED not in result.masks.object_ids and KEPT in result.masks.object_ids
    for name in ("features", "keyframes", "scene"):
        state = bank_of(stages)[name]
        assert not list(traces(state, REMOVED)), f"{name} still knows the object"
        assert list(traces(state, KEPT)), f"{name} has forgotten another object"

    # The long memory tells what has been, also of what is no longer followed, until it is asked to forget.
    memory = stages["remember"].memory
    memory.remove(REMOVED)
    assert not list(traces(stages["remember"].state_dict(), REMOVED))
    assert not list(traces(on_disk(tmp_path / "memory"), REMOVED))
    assert list(traces(on_disk(tmp_path / "memory"), KEPT))


def test_the_walk_finds_what_it_looks_for() -> None:
    table = np.zeros(2, [("object_id", np.int64), ("box", np.float32, 4)])
    table["object_id"][1] = 7
    held = {"a": [np.array([1, 7])], 7: (), "b": {"c": (7, "object 7", 7.5)}, "t": table, "f": np.array([7.0])}
    assert list(traces(held, 7)) == [".a[0]", ".7:key", ".b.c[0]", ".b.c[1]", ".t[object_id]"]
    assert not list(traces(held, 8))
