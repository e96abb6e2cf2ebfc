"""The graph on Ray: sticky, stateful actors for one stream, chained by object references.

`fused` puts all stages of the stream into one actor, `split` gives each its own, so that stages of successive frames
run at the same time. A frame is put into the object store once; at most a few are on their way. Order comes from
Ray's rule that the tasks of one caller to one actor run in the order in which they were submitted.
"""

from __future__ import annotations

import copy
import logging
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeVar

import ray
import ray.exceptions

from memory_bank.protocol import MemoryStats
from pipelines.graph.build import GraphConfig, StreamSetup, all_names, build_stages
from pipelines.graph.chain import ActorLostError, Pipeline, Step, check_stages, expect_own_process, use_threads
from pipelines.graph.local_runner import is_due
from pipelines.graph.ray_cluster import Cluster
from streamvos.errors import InputError, unknown_name
from streamvos.models.detectors import DetectorFunction
from streamvos.records import Frame, StepResult

_log = logging.getLogger(__name__)
Placement = Literal["fused", "split"]
PLACEMENTS = ("fused", "split")
_SPLIT_FROM_CPUS = 4  # below, one process for all stages is faster
_ACCELERATOR_SHARE = 0.1  # of one accelerator for each actor that uses it, so that ten streams may share it
_BUILD_S = 300.0  # how long loading models, or waiting for room on the cluster, may take
_CLOSE_S = 60.0
T = TypeVar("T")


class StageActor:
    """A part of the graph in a process of its own."""

    def __init__(self, config: GraphConfig, names: tuple[str, ...], stream: StreamSetup, threads: int) -> None:
        self._arguments = config, names, stream
        self._threads = threads

    def build(self) -> None:
        """Build the stages; not in the constructor, whose errors Ray turns into texts."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the caller decides what follows
        use_threads(self._threads)
        self._pipeline = Pipeline(build_stages(*self._arguments))

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        return self._pipeline.step(frame, result)

    def step_and_snapshot(self, frame: Frame, result: StepResult) -> tuple[StepResult, dict[str, Any]]:
        return self._pipeline.step(frame, result), self._pipeline.state_dict()

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


class RayRunner:
    """A `Runner` on Ray.

    Args:
        config: resolved.
        stream: what the stages must know of their stream; on several machines `memory_dir` must be shared by them.
        cluster: started when it is not yet.
        placement: "fused", "split", or None: split from four CPUs on.
        max_in_flight: frames on their way at most; more keeps actors busier and answers later.
    """

    def __init__(
        self,
        config: GraphConfig,
        stream: StreamSetup,
        cluster: Cluster,
        placement: Placement | None = None,
        max_in_flight: int = 4,
    ) -> None:
        if placement is not None and placement not in PLACEMENTS:
            raise unknown_name("placement", placement, PLACEMENTS)
        expect_own_process()
        _expect_portable(stream.detector)
        cluster.start()
        self._stream_id, self._max_in_flight = stream.stream_id, max_in_flight
        resources = cluster.resources()
        self.placement = placement or ("split" if resources.get("CPU", 1) >= _SPLIT_FROM_CPUS else "fused")
        self._groups = _groups(config, self.placement)
        threads = max(1, config.threads // len(self._groups))
        self._actors = []
        self._closed = False
        for group in self._groups:
            options = _options(group, config, threads, resources, cluster.is_own)
            self._actors.append(ray.remote(StageActor).options(**options).remote(config, group, stream, threads))
        try:
            self._each("build", timeout_s=_BUILD_S)
        except BaseException:
            self._kill()
            raise

    def run(self, items: Iterable[tuple[Frame, StepResult]], snapshot_every: int | None = None) -> Iterator[Step]:
        waiting: deque[tuple[Frame, Any, list[Any]]] = deque()
        source, failure, more = iter(items), None, True
        while more or waiting:
            if more:
                try:
                    frame, envelope = next(source)
                    waiting.append((frame, *self._submit(frame, envelope, is_due(frame.index, snapshot_every))))
                    del frame, envelope
                except StopIteration:
                    more = False
                except Exception as error:  # what is on its way comes out first
                    failure, more = error, False
            if waiting and (not more or len(waiting) >= self._max_in_flight or _is_ready(waiting[0][1])):
                yield self._collect(*waiting.popleft())
        if failure is not None:
            raise failure

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        return self._collect(frame, *self._submit(frame, result, False)).result

    def state_dict(self) -> dict[str, Any]:
        return _joined(self._each("state_dict"))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check_stages([name for group in self._groups for name in group], state)
        calls = [
            actor.load_state_dict.remote({name: state[name] for name in group})
            for actor, group in zip(self._actors, self._groups, strict=True)
        ]
        self._get(calls)

    def stats(self) -> dict[str, MemoryStats]:
        return _joined(self._each("stats"))

    def products(self) -> dict[str, Any]:
        return _joined(self._each("products"))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._each("close", timeout_s=_CLOSE_S)
        finally:
            self._kill()

    def _submit(self, frame: Frame, envelope: StepResult, snapshot: bool) -> tuple[Any, list[Any]]:
        """Send a frame down the chain; returns the references of its result and of the snapshots after it."""
        expect_own_process()
        reference, result, states = ray.put(frame), envelope, []
        for actor in self._actors:
            if snapshot:
                result, state = actor.step_and_snapshot.options(num_returns=2).remote(reference, result)
                states.append(state)
            else:
                result = actor.step.remote(reference, result)
        return result, states

    def _collect(self, frame: Frame, result: Any, states: list[Any]) -> Step:
        # a copy, because arrays out of the object store are read-only and keep their room there
        return Step(frame, copy.deepcopy(self._get(result)), _joined(self._get(states)) if states else None)

    def _each(self, method: str, timeout_s: float | None = None) -> list[Any]:
        return self._get([getattr(actor, method).remote() for actor in self._actors], timeout_s)

    def _get(self, references: Any, timeout_s: float | None = None) -> Any:
        """Wait for values; errors of the stages come out as what they were."""
        try:
            return ray.get(references, timeout=timeout_s)
        except ray.exceptions.RayTaskError as error:
            cause: BaseException = error
            while isinstance(cause, ray.exceptions.RayTaskError):
                cause = cause.cause
            raise cause from None
        except ray.exceptions.GetTimeoutError:
            raise ActorLostError(
                f"stream {self._stream_id!r}: its processes did not answer in {timeout_s:.0f} s; "
                "the cluster has no room for them, or is overloaded"
            ) from None
        except ray.exceptions.RayError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ActorLostError(
                f"stream {self._stream_id!r}: a process of the graph died ({reason}); "
                "go on from the last checkpoint with resume=True"
            ) from None

    def _kill(self) -> None:
        for actor in self._actors:
            try:
                ray.kill(actor)
            except Exception as error:  # the cluster itself is gone
                _log.info("stream %s: %s", self._stream_id, error)
        self._actors = []


def _groups(config: GraphConfig, placement: Placement) -> list[tuple[str, ...]]:
    """The names of the stages that share a process; shot boundaries are too little for one of their own."""
    names = all_names(config)
    if placement == "fused":
        return [names]
    return [names[:2], *((name,) for name in names[2:])]


def _expect_portable(detector: DetectorFunction | None) -> None:
    """Raise `InputError` for a detector of the user's that cannot go to another process."""
    try:
        ray.cloudpickle.dumps(detector)
    except Exception as error:  # whatever an object says that refuses to be copied
        raise InputError(
            f"the detector cannot be sent to another process ({error}); make it without what cannot be copied, such as "
            "locks and open files, or run it here: runner='local'"
        ) from None


def _options(
    group: tuple[str, ...], config: GraphConfig, threads: int, resources: dict[str, float], own: bool
) -> dict[str, Any]:
    """What an actor asks of the cluster. On our own one nothing is reserved: two streams share the cores."""
    accelerated = config.device != "cpu" and resources.get("GPU") and {"detect", "segment"} & set(group)
    num_cpus = 0 if own else min(threads, max(1, int(resources.get("CPU", 1))))
    return {
        "num_cpus": num_cpus,
        "num_gpus": _ACCELERATOR_SHARE if accelerated else 0,
        "max_restarts": 0,  # an actor that comes back has forgotten everything
    }


def _is_ready(reference: Any) -> bool:
    return bool(ray.wait([reference], timeout=0)[0])


def _joined(parts: Iterable[dict[str, T]]) -> dict[str, T]:
    merged: dict[str, T] = {}
    for part in parts:
        merged |= part
    return merged
