"""What the graph asks of a stage: take, compute, remember, return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from memory_bank.protocol import MemoryStats
from streamvos.records import Frame, StepResult


class Stage(Protocol):
    """One step of the graph, stateful, one instance per stream.

    `step` gets the frame and the envelope that the stages before it filled in, and returns the envelope with its
    own part filled in and its memory's events appended (`dataclasses.replace`). It honours `result.prompts`,
    `result.removals` and `result.is_cut` as far as they concern it. Same input, same seed: same output.
    """

    name: str

    def step(self, frame: Frame, result: StepResult) -> StepResult: ...

    def reset(self) -> None:
        """Back to the state before the first frame."""

    def stats(self) -> Mapping[str, MemoryStats]:
        """Size of each memory that the stage owns, by the memory's name."""

    def state_dict(self) -> dict[str, Any]:
        """A snapshot from which `load_state_dict` goes on as if nothing had happened."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def products(self) -> dict[str, Any]:
        """What the stage leaves at the end of a run beside its per-frame results: arrays and numbers by name."""

    def close(self) -> None:
        """Finish what is open (files, stores). Called once, after the last frame, also after an error."""
