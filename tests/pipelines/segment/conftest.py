"""The segment stage on coloured squares, one frame at a time, each result checked for what always holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from memory_bank.budgets import MemoryBudgets
from pipelines.segment import SegmentConfig, SegmentStage
from streamvos import masks
from streamvos.records import Detections, Frame, Prompt, StepResult

BUDGETS = MemoryBudgets(keyframes_mib=24)


class Squares:
    """A stage and what draws its frames."""

    def __init__(self, stage: SegmentStage, draw: Callable[..., tuple[np.ndarray, dict[int, np.ndarray]]]) -> None:
        self.stage, self.draw = stage, draw

    def two(self, index: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Squares 1 and 2 of a frame; they come nearer to each other."""
        return self.draw({1: (8 + index, 10 + 4 * index), 2: (64, 110 - 4 * index)})

    def step(self, index: int, image: np.ndarray, **given: Any) -> StepResult:
        """One frame at 10 frames a second."""
        frame = Frame("s", index, index / 10, image)
        result = self.stage.step(frame, dataclasses.replace(StepResult.of(frame), **given))
        assert result.masks is not None and result.masks.size == frame.size
        shown = [masks.decode(rle) for rle in result.masks.rles]
        assert not shown or np.sum(shown, axis=0).max() <= 1, "masks overlap"
        for mask, box, state in zip(shown, result.masks.boxes_xyxy, result.masks.states, strict=True):
            assert np.array_equal(masks.tight_box(mask), box)
            assert state == "tracked" or not mask.any()
        assert all(event.reason and event.bytes >= 0 for event in result.events)
        return result

    @staticmethod
    def box_of(mask: np.ndarray, margin: float = 0) -> np.ndarray:
        return masks.tight_box(mask) + np.array([-margin, -margin, margin, margin], np.float32)

    @staticmethod
    def given(index: int, truth: dict[int, np.ndarray]) -> tuple[Prompt, ...]:
        """A prompt for each square."""
        return tuple(Prompt(index, object_id, mask=mask) for object_id, mask in truth.items())

    @classmethod
    def found(cls, *items: tuple[str, float, np.ndarray]) -> Detections:
        """A detection for each (class, score, mask)."""
        count = len(items)
        return Detections(
            np.array([cls.box_of(mask) for _, _, mask in items], np.float32).reshape(count, 4),
            np.array([score for _, score, _ in items], np.float32),
            np.ones(count, np.int64),
            tuple(name for name, _, _ in items),
            np.full(count, -1, np.int64),
        )

    @staticmethod
    def state_of(result: StepResult, object_id: int) -> str:
        return result.masks.states[result.masks.object_ids.tolist().index(object_id)]

    @staticmethod
    def iou(result: StepResult, object_id: int, truth: np.ndarray) -> float:
        mask = masks.decode(result.masks.rles[result.masks.object_ids.tolist().index(object_id)])
        return (mask & truth).sum() / (mask | truth).sum()


def build(size: int = 112, budgets: MemoryBudgets = BUDGETS, **settings: Any) -> SegmentStage:
    return SegmentStage(SegmentConfig(**settings), size, torch.device("cpu"), budgets=budgets)


@pytest.fixture(scope="session")
def shared() -> SegmentStage:
    return build()


@pytest.fixture
def squares(shared: SegmentStage, draw_squares: Callable[..., Any]) -> Squares:
    """With the settings that most tests use; nothing of the test before is left."""
    shared.reset()
    return Squares(shared, draw_squares)


@pytest.fixture
def make_squares(draw_squares: Callable[..., Any]) -> Callable[..., Squares]:
    """With other settings: `make_squares(discover=False)`."""
    return lambda **settings: Squares(build(**settings), draw_squares)
