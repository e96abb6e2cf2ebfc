"""The graph in this process: the reference that every other runner must agree with, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from memory_bank.protocol import MemoryStats
from pipelines.graph.build import GraphConfig, StreamSetup, all_names, build_stages
from pipelines.graph.chain import Pipeline, Step, expect_own_process, use_threads
from streamvos.records import Frame, StepResult


class LocalRunner:
    """A `Runner` that calls the stages one after the other.

    Args:
        config: resolved; its number of threads becomes that of this process.
        stream: what the stages must know of their stream.
    """

    def __init__(self, config: GraphConfig, stream: StreamSetup) -> None:
        expect_own_process()
        use_threads(config.threads)
        self._pipeline = Pipeline(build_stages(config, all_names(config), stream))

    def run(self, items: Iterable[tuple[Frame, StepResult]], snapshot_every: int | None = None) -> Iterator[Step]:
        for frame, envelope in items:
            expect_own_process()
            result = self._pipeline.step(frame, envelope)
            yield Step(frame, result, self.state_dict() if is_due(frame.index, snapshot_every) else None)

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        expect_own_process()
        return self._pipeline.step(frame, result)

    def state_dict(self) -> dict[str, Any]:
        return self._pipeline.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pipeline.load_state_dict(state)

    def stats(self) -> dict[str, MemoryStats]:
        return self._pipeline.stats()

    def products(self) -> dict[str, Any]:
        return self._pipeline.products()

    def close(self) -> None:
        self._pipeline.close()


def is_due(frame_index: int, snapshot_every: int | None) -> bool:
    """Whether a snapshot is due after this frame."""
    return bool(snapshot_every) and (frame_index + 1) % snapshot_every == 0
