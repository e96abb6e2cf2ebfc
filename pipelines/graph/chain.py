"""A chain of stages in one process, and what every runner of such chains promises."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import threadpoolctl
import torch

from memory_bank.protocol import MemoryStats
from pipelines.graph.stage import Stage
from streamvos.errors import InputError
from streamvos.records import Frame, StepResult


@dataclass(frozen=True)
class Step:
    """One frame that went through the graph.

    Args:
        frame: what went in.
        result: what came out.
        snapshot: the stages' state right after this frame, where one was due.
    """

    frame: Frame
    result: StepResult
    snapshot: dict[str, Any] | None = None


class ActorLostError(RuntimeError):
    """A process of the graph died, and with it what its stages remembered since the last checkpoint."""


class Runner(Protocol):
    """Executes the graph of one stream. Frames go in and come out in order; whoever executes, results are the same."""

    def run(self, items: Iterable[tuple[Frame, StepResult]], snapshot_every: int | None = None) -> Iterator[Step]:
        """Send frames with their envelopes through; a snapshot comes with every so many-th frame of the stream."""

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        """Send one frame through and wait for it."""

    def state_dict(self) -> dict[str, Any]:
        """Snapshots of all stages, after everything sent so far."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def stats(self) -> dict[str, MemoryStats]:
        """Size of each memory, by its name."""

    def products(self) -> dict[str, Any]:
        """What the stages leave at the end, by the stage's name."""

    def close(self) -> None:
        """Finish what is open; may be called more than once."""


class Pipeline:
    """Stages in their order. `step` times each of them into `timings_s`."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        names = [stage.name for stage in stages]
        if len(set(names)) != len(names):
            raise InputError(f"stages: expected each once, got {', '.join(names)}")
        self.stages = tuple(stages)
        self._closed = False

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        for stage in self.stages:
            start = time.perf_counter()
            result = stage.step(frame, result)
            timings = {**result.timings_s, stage.name: time.perf_counter() - start}
            result = dataclasses.replace(result, timings_s=timings)
        return result

    def reset(self) -> None:
        for stage in self.stages:
            stage.reset()

    def stats(self) -> dict[str, MemoryStats]:
        merged: dict[str, MemoryStats] = {}
        for stage in self.stages:
            merged |= stage.stats()
        return merged

    def products(self) -> dict[str, Any]:
        return {stage.name: stage.products() for stage in self.stages}

    def state_dict(self) -> dict[str, Any]:
        return {stage.name: stage.state_dict() for stage in self.stages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot.

        Raises:
            InputError: it was taken of other stages.
        """
        names = [stage.name for stage in self.stages]
        check_stages(names, state)
        for stage in self.stages:
            stage.load_state_dict(state[stage.name])

    def close(self) -> None:
        """Close all stages, also where one of them fails; the first error is raised at the end."""
        if self._closed:
            return
        self._closed = True
        first: Exception | None = None
        for stage in self.stages:
            try:
                stage.close()
            except Exception as error:
                first = first or error
        if first is not None:
            raise first


def check_stages(names: Sequence[str], state: Mapping[str, Any]) -> None:
    """Raise `InputError` where a snapshot is not of the stages `names`."""
    if set(state) != set(names):
        raise InputError(
            f"the snapshot is of the stages {', '.join(state)}; these are {', '.join(names)}: "
            "go on with the same stages, or start anew"
        )


def expect_own_process() -> None:
    """Raise `InputError` in a process that was forked from one that had built a runner.

    Threads of torch and Ray do not survive a fork: what waits for them would wait for ever.
    """
    if _first_process() != os.getpid():
        raise InputError(
            "this process was forked from one in which a session ran, which leaves its threads behind: start it with "
            "multiprocessing.get_context('spawn'), or fork before the first session"
        )


@functools.cache
def _first_process() -> int:
    """The process that built the first runner; what is cached goes along with a fork."""
    return os.getpid()


def use_threads(count: int) -> None:
    """Let this process compute with `count` CPU threads: torch, OpenCV, and the BLAS below NumPy."""
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    threadpoolctl.threadpool_limits(count)


def available_threads() -> int:
    """The CPU cores that this process may use, or fewer where OMP_NUM_THREADS says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else cores
