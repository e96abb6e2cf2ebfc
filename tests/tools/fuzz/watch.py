"""Starts a worker for a target, sees to it that it goes on, and counts what came of the inputs."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from tests.tools.fuzz.target import Case, Target, read_corpus
from tests.tools.fuzz.worker import Outcome, work

_LOOK_S = 0.1  # between looks at a worker that says nothing
_WAITING = 6  # times the limit of CPU time may pass by the clock: one that waits for ever uses none


@dataclass(frozen=True)
class Limits:
    """Where fuzzing of a target ends, and what an input may take.

    Args:
        seconds: by the clock, for all inputs.
        num_inputs: at most.
        hang_s: CPU time of one input.
        memory_bytes: of a worker, beyond what it has at its start.
    """

    seconds: float
    num_inputs: int = 10**9
    hang_s: float = 10.0
    memory_bytes: int = 4 << 30


@dataclass
class Tally:
    """What came of the inputs of one target."""

    name: str
    corpus: list[Case]
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[Outcome]] = field(default_factory=dict)  # by place; hangs among them

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.kind] += 1
        if outcome.kind in ("fault", "hang"):
            self.faults.setdefault(outcome.place, []).append(outcome)

    @property
    def num_inputs(self) -> int:
        return self.counts.total()

    @property
    def num_wrong(self) -> int:
        return self.counts["fault"] + self.counts["hang"]


def fuzz(target: Target, seed: int, limits: Limits, progress: Callable[[Tally], None] | None = None) -> Tally:
    """Feed a target with damaged inputs until one of the limits is reached."""
    with tempfile.TemporaryDirectory(prefix="streamvos-fuzz-", ignore_cleanup_errors=True) as scratch:
        tally = Tally(target.name, read_corpus(target, Path(scratch)))
        ends = time.monotonic() + limits.seconds
        while tally.num_inputs < limits.num_inputs and time.monotonic() < ends:
            _run_worker(target, tally, seed, limits, ends, Path(scratch), progress or (lambda tally: None))
    return tally


def _run_worker(
    target: Target,
    tally: Tally,
    seed: int,
    limits: Limits,
    ends: float,
    scratch: Path,
    progress: Callable[[Tally], None],
) -> None:
    """One worker, until it ends, hangs, or the time is over."""
    context, log = multiprocessing.get_context("fork"), scratch / "log"  # its start takes no time, all is imported
    receiving, sending = context.Pipe(duplex=False)
    log.write_bytes(b"")
    indices = range(tally.num_inputs, limits.num_inputs)
    given = (target, tally.corpus, seed, indices, limits.memory_bytes, scratch, log, sending)
    worker = context.Process(target=work, args=given, daemon=True)
    worker.start()
    sending.close()
    began, used_s = time.monotonic(), _cpu_s(worker)
    try:
        while time.monotonic() < ends and tally.num_inputs < limits.num_inputs:
            if receiving.poll(_LOOK_S):
                tally.add(receiving.recv())
                progress(tally)
                began, used_s = time.monotonic(), None
                continue
            used_s = _cpu_s(worker) if used_s is None else used_s
            waited_s = time.monotonic() - began
            if _cpu_s(worker) - used_s > limits.hang_s or waited_s > _WAITING * limits.hang_s:
                tally.add(Outcome(tally.num_inputs, "hang", f"no end after {waited_s:.0f} s", _tail(log)))
                return
    except EOFError:  # it ended
        worker.join()
        if worker.exitcode:
            place = f"the process ended with status {worker.exitcode}"
            tally.add(Outcome(tally.num_inputs, "fault", place, _tail(log)))
    finally:
        worker.kill()
        worker.join()
        receiving.close()


def _cpu_s(worker: BaseProcess) -> float:
    try:
        times = psutil.Process(worker.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def table(tallies: Sequence[Tally]) -> str:
    """The summary, a line for each target."""
    head = ("target", "inputs", "results", "clear errors", "faults", "hangs")
    kinds = ("result", "clear", "fault", "hang")
    rows = [(one.name, str(one.num_inputs), *(str(one.counts[kind]) for kind in kinds)) for one in tallies]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "".join(
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{one:>{width}}" for one, width in zip(row[1:], widths[1:], strict=True))
        + "\n"
        for row in [head, *rows]
    )
