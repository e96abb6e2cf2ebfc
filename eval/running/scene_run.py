"""Frames through a session of the graph, with the time that the graph alone takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from pipelines.graph.build import GraphConfig
from pipelines.session import Session
from streamvos.records import Frame, StepResult


class SceneRun:
    """One pass of the graph over one sequence.

    Args:
        config: of the graph; objects are discovered where it has the detect and segment stages.
    """

    def __init__(self, config: GraphConfig) -> None:
        self._config = config
        self.num_frames = 0
        self.seconds = 0.0

    def __call__(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, StepResult]]:
        """Each frame with its result, one at a time; reading frames is not counted as time of the graph."""
        with Session(self._config) as session:
            for frame in frames:
                start = time.perf_counter()
                result = session.step(frame.image, frame.time_s, frame.depth_m, frame.intrinsics)
                self.seconds += time.perf_counter() - start
                self.num_frames += 1
                yield frame, result
