"""The books are honest: every memory of a run stays within its budget in every frame, and tells what it does."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from memory_bank.budgets import MemoryBudgets
from pipelines.detect import DetectConfig
from pipelines.graph.build import GraphConfig, StreamSetup, all_names, build_stages, resolve
from pipelines.scores import ScoreThresholds
from streamvos.records import Frame, Prompt, StepResult

MEMORIES = {"objects", "keyframes", "appearance", "retired", "features", "expected_places", "scene", "episodes"}
TIGHT = MemoryBudgets(
    keyframes_mib=3.0,
    object_keyframes_mib=1.5,
    objects_mib=8.0,
    appearance_mib=0.4,
    retired_mib=0.004,
    features_mib=0.3,
    scene_mib=1.0,
    episodes_mib=2.0,
)


@pytest.mark.parametrize("budgets", [MemoryBudgets(), TIGHT], ids=["default", "tight"])
def test_every_memory_keeps_its_budget_and_its_books(
    budgets: MemoryBudgets, images: list[np.ndarray], tmp_path: Path
) -> None:
    config = resolve(
        GraphConfig(
            size=96,
            device="cpu",
            threads=1,
            memory=budgets,
            scores=ScoreThresholds(detect=0.15, remember=0.15, start=0.15, start_at_once=0.15),
            detect=DetectConfig(every=1),
        )
    )
    stages = build_stages(config, all_names(config), StreamSetup("s", "made here", tmp_path / "memory"))
    told: Counter[str] = Counter()
    seen: set[str] = set()
    height, width = images[0].shape[:2]
    depth = np.tile(np.linspace(3, 1, height, dtype=np.float32)[:, None], (1, width))
    camera = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    for index in range(3 * len(images)):  # the clip has a cut; played again and again it has more
        frame = Frame("s", index, index / 5, images[index % len(images)], depth, camera)
        prompts = (Prompt(0, 1, box=np.array([10, 10, 60, 60], np.float32)),) if index == 0 else ()
        result = dataclasses.replace(StepResult.of(frame), prompts=prompts)
        for stage in stages:
            result = stage.step(frame, result)
        sizes = {name: stats for stage in stages for name, stats in stage.stats().items()}
        seen |= set(sizes)
        for name, stats in sizes.items():
            assert 0 <= stats.bytes <= stats.capacity_bytes, (name, index)
        for event in result.events:
            told[event.bank] += 1
            assert event.bank in sizes and event.reason and event.bytes <= sizes[event.bank].capacity_bytes, event
    for stage in stages:
        stage.close()
    assert seen == MEMORIES == set(told), told
