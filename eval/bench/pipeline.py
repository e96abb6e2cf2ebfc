"""How many frames per second each stage and the whole graph make, in one process and on Ray, side by side.

Both runners are alive at once and take turns on the same frames, so that what else the machine does hits both. The
frames are decoded and scaled beforehand; results are not written. The first frames are not counted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.bench.playback import LoopedSource, load_images
from eval.reporting.results import Headline
from pipelines.graph.build import GraphConfig
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.records import Prompt

_RUNNERS = ("local", "ray")


@dataclass(frozen=True)
class PipelineBench:
    """What is measured."""

    source: str = "sample:bikes"
    first: int = 200  # frame of the source to begin at, so that the clip is one shot
    clip: int = 40  # frames of the source, played to and fro
    frames: int = 60  # frames that are timed; more is steadier and takes longer
    rounds: int = 4  # turns that they are cut into; more spreads disturbances evenly
    warm_up: int = 10  # frames before them
    width: int = 854
    height: int = 480
    size: int = GraphConfig.size  # working short side
    threads: int = 0  # CPU threads; 0: all cores
    box: tuple[float, float, float, float] = (0.45, 0.02, 0.86, 0.74)  # prompted object, in shares of the picture


def bench_pipeline(bench: PipelineBench) -> list[dict[str, Any]]:
    """Measure; one row for each stage and one for all, in milliseconds a frame and frames a second."""
    if bench.frames < bench.rounds or bench.rounds < 1 or bench.warm_up < 1:
        raise InputError("bench pipeline: expected at least one warm-up frame, one round, and a frame for each round")
    images = load_images(bench.source, bench.clip, (bench.height, bench.width), bench.first)
    prompt = Prompt(0, 1, box=(np.array(bench.box) * ([bench.width, bench.height] * 2)).astype(np.float32))
    settings: dict[str, Any] = {"prompts": [prompt], "size": bench.size, "threads": bench.threads}
    clocks = {name: _Clock() for name in _RUNNERS}
    edges = np.linspace(bench.warm_up, bench.warm_up + bench.frames, bench.rounds + 1).astype(int).tolist()
    with Session(runner="local", **settings) as local, Session(runner="ray", placement="fused", **settings) as ray:
        sessions = {"local": local, "ray": ray}
        for session in sessions.values():
            _Clock().time(session, images, 0, bench.warm_up)
        for turn, (start, stop) in enumerate(zip(edges, edges[1:], strict=False)):
            for name in _RUNNERS if turn % 2 == 0 else _RUNNERS[::-1]:
                clocks[name].time(sessions[name], images, start, stop)
    stages = list(clocks["local"].stages_s)
    rows = [_row(stage, *(clocks[name].stages_s[stage] / bench.frames for name in _RUNNERS)) for stage in stages]
    return [*rows, _row("all", *(clocks[name].wall_s / bench.frames for name in _RUNNERS))]


def headline(rows: list[dict[str, Any]]) -> Headline:
    """All stages on Ray, beside one process."""
    return Headline("frames/s, all stages, Ray", rows[-1]["ray frames/s"], rows[-1]["local frames/s"], "one process")


class _Clock:
    """Adds up what a session takes for its frames."""

    def __init__(self) -> None:
        self.wall_s = 0.0
        self.stages_s: dict[str, float] = defaultdict(float)

    def time(self, session: Session, images: list[np.ndarray], start: int, stop: int) -> None:
        began = time.perf_counter()
        for step in session.steps(LoopedSource(images, start, stop)):
            for stage, seconds in step.result.timings_s.items():
                self.stages_s[stage] += seconds
        self.wall_s += time.perf_counter() - began


def _row(stage: str, local_s: float, ray_s: float) -> dict[str, Any]:
    return {
        "stage": stage,
        "local ms": round(1000 * local_s, 2),
        "local frames/s": round(1 / local_s, 2),
        "ray ms": round(1000 * ray_s, 2),
        "ray frames/s": round(1 / ray_s, 2),
        "ray/local": round(local_s / ray_s, 3),
    }
