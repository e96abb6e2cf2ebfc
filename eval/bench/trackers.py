"""How many frames per second the base trackers make, side by side on the same frames, and their peak memory.

The trackers are alive at once and take turns, so that what else the machine does hits all. Only the tracker is timed:
its look at the frame, the masks, what it remembers. Every tracker is handed back the same masks, drawn ellipses that
stand for the stage's decisions, all confident, so that memories fill as they do on a video. Cutie runs with random
weights of its own architecture, which cost the same as trained ones and are never used for anything but this. Peak
memory is that of a fresh process which runs one tracker alone over the same frames.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from eval.bench.playback import LoopedSource, load_images
from eval.reporting.results import Headline
from memory_bank.budgets import MemoryBudgets
from pipelines.graph.build import GraphConfig
from pipelines.graph.chain import available_threads, use_threads
from pipelines.segment import SegmentConfig
from pipelines.trackers.cutie import CutieConfig, CutieTracker
from pipelines.trackers.protocol import BaseTracker, Propagation, TrackerSetup
from pipelines.trackers.registry import make_tracker, with_keyframes
from streamvos.device import pick_device
from streamvos.errors import InputError


@dataclass(frozen=True)
class TrackersBench:
    """What is measured."""

    source: str = "sample:bikes"
    first: int = 200  # frame of the source to begin at, so that the clip is one shot
    clip: int = 40  # frames of the source, played to and fro
    trackers: tuple[str, ...] = ("trained", "embedded", "cutie")  # the last is what the others are compared with
    objects: tuple[int, ...] = (1, 5)  # how many are followed, one row of each tracker for each
    frames: int = 24  # frames that are timed; more is steadier and takes longer
    rounds: int = 4  # turns that they are cut into; more spreads disturbances evenly
    warm_up: int = 10  # frames before them; more fills the memories further
    width: int = 854
    height: int = 480
    size: int = GraphConfig.size  # working short side of our trackers
    cutie_size: int = 480  # of Cutie, the one that it was published with
    threads: int = 0  # CPU threads; 0: all cores
    device: str = "cpu"
    seed: int = 0  # of Cutie's random weights


def bench_trackers(bench: TrackersBench) -> list[dict[str, Any]]:
    """Measure; one row for each number of objects and each tracker."""
    if bench.frames < bench.rounds or bench.rounds < 1 or bench.warm_up < 1 or min(bench.objects, default=0) < 1:
        raise InputError(
            "bench trackers: expected at least one object, one warm-up frame, one round, and a frame for each round"
        )
    use_threads(bench.threads or available_threads())
    images = load_images(bench.source, bench.clip, (bench.height, bench.width), bench.first)
    rows: list[dict[str, Any]] = []
    for num_objects in bench.objects:
        seconds = _take_turns(bench, images, num_objects)
        reference_s = seconds[bench.trackers[-1]]
        for name in bench.trackers:
            rows.append(
                {
                    "tracker": name,
                    "objects": num_objects,
                    "size": _size(bench, name),
                    "ms": round(1000 * seconds[name] / bench.frames, 1),
                    "frames/s": round(bench.frames / seconds[name], 2),
                    f"times {bench.trackers[-1]}": round(reference_s / seconds[name], 2),
                    "peak MiB": round(_peak_bytes(bench, name, num_objects) / 2**20),
                }
            )
    return rows


def headline(rows: list[dict[str, Any]]) -> Headline:
    """Our first tracker with the fewest objects, beside the reference."""
    reference = next(row for row in reversed(rows) if row["objects"] == rows[0]["objects"])
    measure = f"frames/s, {rows[0]['tracker']}, {rows[0]['objects']} object(s)"
    return Headline(measure, rows[0]["frames/s"], reference["frames/s"], reference["tracker"])


class _Runner:
    """One tracker on its way through the frames."""

    def __init__(self, bench: TrackersBench, name: str, images: list[np.ndarray], num_objects: int) -> None:
        self._tracker, self._images, self._num_objects = _make(bench, name), images, num_objects
        self._decided: Propagation | None = None

    def run(self, start: int, stop: int) -> float:
        """Seconds in the tracker for the frames from `start` up to `stop`."""
        spent_s = 0.0
        for frame in LoopedSource(self._images, start, stop):
            began = time.perf_counter()
            self._tracker.observe(frame.image)
            found = self._tracker.propagate()
            spent_s += time.perf_counter() - began
            if self._decided is None:
                self._start(frame.index, frame.image.shape[:2], found.probabilities.shape[1:])
                continue
            began = time.perf_counter()
            self._tracker.memorize(frame.index, self._decided, dict.fromkeys(self._decided.object_ids.tolist(), True))
            spent_s += time.perf_counter() - began
            self._tracker.drain_events()
        return spent_s

    def _start(self, frame_index: int, full: tuple[int, int], working: tuple[int, int]) -> None:
        for object_id in range(1, self._num_objects + 1):
            self._tracker.add(frame_index, object_id, _ellipse(object_id, self._num_objects, full) > 0.5)
        ids = np.arange(1, self._num_objects + 1, dtype=np.int64)
        maps = np.stack([_ellipse(int(object_id), self._num_objects, working) for object_id in ids])
        self._tracker.memorize(frame_index, Propagation(ids[:0], maps[:0]), {})
        self._decided = Propagation(ids, maps)


def _take_turns(bench: TrackersBench, images: list[np.ndarray], num_objects: int) -> dict[str, float]:
    """Seconds of each tracker for the timed frames."""
    runners = {name: _Runner(bench, name, images, num_objects) for name in bench.trackers}
    for runner in runners.values():
        runner.run(0, bench.warm_up)
    seconds: dict[str, float] = defaultdict(float)
    edges = np.linspace(bench.warm_up, bench.warm_up + bench.frames, bench.rounds + 1).astype(int).tolist()
    for turn, (start, stop) in enumerate(zip(edges, edges[1:], strict=False)):
        for name in bench.trackers if turn % 2 == 0 else bench.trackers[::-1]:
            seconds[name] += runners[name].run(start, stop)
    return seconds


def _make(bench: TrackersBench, name: str) -> BaseTracker:
    device = pick_device(bench.device)
    if name == "cutie":
        budgets = with_keyframes(MemoryBudgets(), name)
        keyframes, object_keyframes = budgets.bytes_of("keyframes"), budgets.bytes_of("object_keyframes")
        setup = TrackerSetup(bench.cutie_size, device, keyframes, object_keyframes)
        return CutieTracker.randomly_initialised(bench.seed, CutieConfig(), setup)
    return make_tracker(name, SegmentConfig(base=name).tracker, bench.size, device)


def _size(bench: TrackersBench, name: str) -> int:
    return bench.cutie_size if name == "cutie" else bench.size


def _ellipse(object_id: int, num_objects: int, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32: upright ellipses side by side, about a tenth of the picture for one object."""
    height, width = size
    centre = (round(width * (object_id - 0.5) / num_objects), height // 2)
    axes = (max(1, min(round(0.14 * width), round(0.4 * width / num_objects))), max(1, round(0.23 * height)))
    return cv2.ellipse(np.zeros(size, np.float32), centre, axes, 0, 0, 360, 1.0, -1)


def _peak_bytes(bench: TrackersBench, name: str, num_objects: int) -> int:
    """Peak resident bytes of a fresh process that runs one tracker over the same frames."""
    task = json.dumps(asdict(bench) | {"name": name, "num_objects": num_objects})
    done = subprocess.run(
        [sys.executable, "-m", "eval.bench.trackers", task], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the run of {name} over {num_objects} object(s) failed with exit code {done.returncode}")
    return int(done.stdout)


def _own_peak_bytes() -> int:
    """Of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage would count the process that started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _run(task: dict[str, Any]) -> int:
    """In the fresh process: one tracker, alone."""
    name, num_objects = task.pop("name"), task.pop("num_objects")
    bench = TrackersBench(**task | {"trackers": tuple(task["trackers"]), "objects": tuple(task["objects"])})
    use_threads(bench.threads or available_threads())
    images = load_images(bench.source, bench.clip, (bench.height, bench.width), bench.first)
    _Runner(bench, name, images, num_objects).run(0, bench.warm_up + bench.frames)
    return _own_peak_bytes()


if __name__ == "__main__":
    sys.stdout.write(str(_run(json.loads(sys.argv[1]))))
