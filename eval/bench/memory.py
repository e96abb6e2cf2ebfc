"""Whether memory stays bounded: the peak resident memory of a whole run, over a short and over a long video.

Each run is a fresh process with all stages and all outputs over a clip played to and fro; its memory is that of the
process and of everything it starts (Ray's included), added up a few times a second. Pages that processes share are
counted in each of them, so the sum is an upper bound.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from eval.bench.playback import LoopedSource, load_images
from eval.reporting.results import Headline
from pipelines.run_recorder import record
from pipelines.session import Session
from streamvos.config import to_dict
from streamvos.export.run_dir import RunDirectory

_PERIOD_S = 0.2


@dataclass(frozen=True)
class MemoryBench:
    """What is measured."""

    source: str = "sample:bikes"
    clip: int = 60  # frames of the source that are played to and fro
    short: int = 1000  # frames of the short run
    long: int = 5000  # frames of the long run
    width: int = 320
    height: int = 180
    size: int = 128  # working short side; smaller is faster
    runner: str = "ray"
    threads: int = 0  # CPU threads; 0: all cores


def bench_memory(bench: MemoryBench) -> list[dict[str, Any]]:
    """Measure both lengths; one row for each, the last column relative to the first row."""
    rows: list[dict[str, Any]] = []
    for frames in (bench.short, bench.long):
        peak_bytes, wall_s = measure(bench, frames)
        first = rows[0]["peak MiB"] if rows else peak_bytes / 2**20
        rows.append(
            {
                "frames": frames,
                "peak MiB": round(peak_bytes / 2**20, 1),
                "frames/s": round(frames / wall_s, 2),
                "ratio": round(peak_bytes / 2**20 / first, 4),
            }
        )
    return rows


def headline(rows: list[dict[str, Any]]) -> Headline:
    """The peak of the long run, beside that of the short one."""
    long, short = rows[-1], rows[0]
    return Headline(
        f"peak MiB after {long['frames']:,} frames", long["peak MiB"], short["peak MiB"], f"after {short['frames']:,}"
    )


def measure(bench: MemoryBench, frames: int) -> tuple[int, float]:
    """Peak resident bytes and seconds of one run in a fresh process."""
    with tempfile.TemporaryDirectory(prefix="streamvos-bench-") as folder:
        task = json.dumps(asdict(bench) | {"frames": frames, "folder": folder})
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "eval.bench.memory", task], stdout=subprocess.DEVNULL)
        try:
            peak = 0
            while process.poll() is None:
                peak = max(peak, _tree_bytes(process.pid))
                time.sleep(_PERIOD_S)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the run over {frames} frames failed with exit code {process.returncode}")
    return peak, time.perf_counter() - began


def _tree_bytes(pid: int) -> int:
    """Resident bytes of a process and all its descendants."""
    total = 0
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _run(task: dict[str, Any]) -> None:
    """In the fresh process: a run with all that belongs to one."""
    folder, frames = Path(task.pop("folder")) / "run", task.pop("frames")
    bench = MemoryBench(**task)
    images = load_images(bench.source, bench.clip, (bench.height, bench.width))
    source = LoopedSource(images, 0, frames)
    settings: dict[str, Any] = {"size": bench.size, "threads": bench.threads}
    with Session(runner=bench.runner, memory_dir=folder / "memory", **settings) as session:
        record(session, source, RunDirectory(folder, source.info, to_dict(session.config)))


if __name__ == "__main__":
    _run(json.loads(sys.argv[1]))
