"""What runs the graph of a stream, by name; a new runner registers its maker here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.graph.build import GraphConfig, StreamSetup
from pipelines.graph.chain import Runner
from pipelines.graph.local_runner import LocalRunner
from streamvos.registry import Registry


@dataclass(frozen=True)
class RunnerSetup:
    """Where a stream is run.

    Args:
        make_cluster: gives the Ray cluster that its processes are in; asked for where one is needed.
        placement: "fused" or "split", see `pipelines.graph.ray_runner`; None decides by the number of CPUs.
        max_in_flight: frames that are on their way at a time, where several can be.
    """

    make_cluster: Callable[[], Any]
    placement: Literal["fused", "split"] | None = None
    max_in_flight: int = 4


Maker = Callable[[GraphConfig, StreamSetup, RunnerSetup], Runner]
RUNNERS: Registry[Maker] = Registry("runner")


@RUNNERS.register("local")
def _local(config: GraphConfig, stream: StreamSetup, setup: RunnerSetup) -> Runner:
    """In this process."""
    return LocalRunner(config, stream)


@RUNNERS.register("ray")
def _ray(config: GraphConfig, stream: StreamSetup, setup: RunnerSetup) -> Runner:
    """In processes of their own, on this machine or a cluster."""
    from pipelines.graph.ray_runner import RayRunner  # Ray takes a second to import, which local runs need not wait for

    return RayRunner(config, stream, setup.make_cluster(), setup.placement, max_in_flight=setup.max_in_flight)
