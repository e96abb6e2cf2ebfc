"""All memories keep one protocol."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from memory_bank.appearance import AppearanceMemory, RetiredObjects
from memory_bank.episodes import EpisodeMemory
from memory_bank.features.instances import ExpectedInstances
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.features.vectors import FeatureVectors
from memory_bank.keyframes.config import KeyFrameConfig
from memory_bank.keyframes.memory import KeyFrameMemory
from memory_bank.protocol import Memory, MemoryStats
from memory_bank.scene.memory import SceneMemory
from memory_bank.scene.policy import SceneMemoryConfig

NAMES = ("keyframes", "appearance", "retired", "features", "expected_places", "scene", "episodes")


@pytest.fixture(params=NAMES)
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "keyframes":
        return KeyFrameMemory(KeyFrameConfig(), 96 * 2**20, 12 * 2**20, torch.device("cpu"))
    if request.param == "features":
        return FeatureVectors(FeatureMemoryConfig(), 1 << 20, {"level": 32})
    if request.param == "expected_places":
        return ExpectedInstances(FeatureMemoryConfig(), 1 << 20, {1: "person"})
    if request.param == "scene":
        return SceneMemory(SceneMemoryConfig(), 1 << 20)
    if request.param == "appearance":
        return AppearanceMemory(1 << 20, 0.01, torch.device("cpu"))
    if request.param == "retired":
        return RetiredObjects(1 << 20)
    memory = EpisodeMemory(tmp_path / "m", "stream", "source", encoder_absent="switched off")
    request.addfinalizer(memory.close)
    return memory


def test_each_memory_keeps_the_protocol(memory: Any) -> None:
    assert isinstance(memory, Memory)
    assert memory.name in NAMES
    assert "object_id" in inspect.signature(memory.remove).parameters


def test_an_empty_memory_is_within_its_budget_and_knows_nothing(memory: Any) -> None:
    stats = memory.stats()
    assert isinstance(stats, MemoryStats)
    assert stats.entries == 0 and 0 <= stats.bytes <= stats.capacity_bytes
    memory.remove(7)  # an unknown object is fine
    memory.drain_events()
    assert memory.drain_events() == ()
    memory.load_state_dict(memory.state_dict())
    memory.reset()
    assert memory.stats().entries == 0


def test_something_else_is_no_memory() -> None:
    assert not isinstance({}, Memory)
