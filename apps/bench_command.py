"""`streamvos bench pipeline | trackers | memory | keyframes | demo`: speed, and whether memory stays bounded.

The options alone; what is measured takes seconds to import.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_parser(subparsers: argparse._SubParsersAction, parents: list[argparse.ArgumentParser]) -> None:
    """Add `bench` to the command line."""
    parser = subparsers.add_parser(
        "bench", help="measure speed and memory", description="Speed, and whether memory stays bounded."
    )
    kinds = parser.add_subparsers(required=True, metavar="pipeline|trackers|memory|keyframes|demo")
    speed = kinds.add_parser("pipeline", parents=parents, help="frames per second, Ray beside one process")
    speed.set_defaults(run=run_pipeline)
    speed.add_argument("--first", type=int, help="frame of the source to begin at")
    speed.add_argument("--clip", type=int, help="frames of the source, played to and fro")
    speed.add_argument("--frames", type=int, help="frames that are timed")
    speed.add_argument("--rounds", type=int, help="turns that they are cut into")
    trackers = kinds.add_parser("trackers", parents=parents, help="frames per second of base trackers, side by side")
    trackers.set_defaults(run=run_trackers)
    trackers.add_argument("--trackers", nargs="+", metavar="NAME", help="the last is what the others are compared with")
    trackers.add_argument("--objects", nargs="+", type=int, metavar="N", help="how many are followed, a row for each")
    trackers.add_argument("--first", type=int, help="frame of the source to begin at")
    trackers.add_argument("--clip", type=int, help="frames of the source, played to and fro")
    trackers.add_argument("--frames", type=int, help="frames that are timed")
    trackers.add_argument("--rounds", type=int, help="turns that they are cut into")
    trackers.add_argument("--warm-up", type=int, help="frames before them")
    trackers.add_argument("--cutie-size", type=int, help="working short side of Cutie, pixels")
    trackers.add_argument("--device", help="where networks run: cpu, cuda, mps, auto")
    memory = kinds.add_parser("memory", parents=parents, help="peak memory of a short and of a long run")
    memory.set_defaults(run=run_memory)
    memory.add_argument("--clip", type=int, help="frames of the source, played to and fro")
    memory.add_argument("--short", type=int, help="frames of the short run")
    memory.add_argument("--long", type=int, help="frames of the long run")
    memory.add_argument("--runner", choices=("local", "ray"), help="where the stages run")
    views = kinds.add_parser("keyframes", parents=parents, help="bytes of the key-frame memory and time, over frames")
    views.set_defaults(run=run_keyframes)
    views.add_argument("--base", metavar="NAME", help="base tracker: trained or embedded")
    views.add_argument("--policy", metavar="NAME", help="what is written and dropped")
    views.add_argument("--clip", type=int, help="frames of the source, played to and fro")
    views.add_argument("--first", type=int, help="frame of the source to begin at")
    views.add_argument("--frames", type=int, help="in all; a tenth must be whole rounds")
    views.add_argument("--round", type=int, metavar="N", help="frames from an object's coming to the next one's")
    views.add_argument("--lanes", type=int, metavar="N", help="objects at a time")
    views.add_argument("--budget-mib", type=float, metavar="MIB", help="of all key frames")
    views.add_argument("--seed", type=int, help="of textures and ways")
    views.add_argument("--device", help="where networks run: cpu, cuda, mps, auto")
    demo = kinds.add_parser("demo", parents=parents, help="how long a person waits at the live demo, in Chromium")
    demo.set_defaults(run=run_demo)
    demo.add_argument("--first", type=int, help="frame of the source to begin at")
    demo.add_argument("--clip", type=int, help="frames of the source, played to and fro")
    demo.add_argument("--clicks", type=int, metavar="N", help="at rest, and as many while it plays")
    demo.add_argument("--questions", type=int, metavar="N", help="while it plays")
    demo.add_argument("--run-settings", action="store_true", default=None, help="those of `streamvos run`, to compare")
    demo.add_argument("--seed", type=int, help="of the places that are clicked")
    for kind in (speed, trackers, memory, views, demo):
        kind.add_argument("--source", help="whose frames are used")
        kind.add_argument("--width", type=int, help="of the input, pixels")
        kind.add_argument("--height", type=int, help="of the input, pixels")
        kind.add_argument("--size", type=int, help="working short side, pixels")
        kind.add_argument("--threads", type=int, help="CPU threads in all")
        kind.add_argument("--save", type=Path, metavar="DIR", help="also write the table there, as JSON and Markdown")


def run_pipeline(args: argparse.Namespace) -> int:
    """Print frames per second."""
    from eval.bench import pipeline as bench

    return _run(args, "bench-pipeline", bench.PipelineBench, bench.bench_pipeline, bench.headline)


def run_trackers(args: argparse.Namespace) -> int:
    """Print frames per second of base trackers."""
    from eval.bench import trackers as bench

    for name in ("trackers", "objects"):
        setattr(args, name, None if getattr(args, name) is None else tuple(getattr(args, name)))
    return _run(args, "bench-trackers", bench.TrackersBench, bench.bench_trackers, bench.headline)


def run_memory(args: argparse.Namespace) -> int:
    """Print peak memory."""
    from eval.bench import memory as bench

    return _run(args, "bench-memory", bench.MemoryBench, bench.bench_memory, bench.headline)


def run_keyframes(args: argparse.Namespace) -> int:
    """Print bytes and times of each tenth of a long video."""
    from eval.bench import keyframes as bench

    log: list[Any] = []  # what was measured of each frame, for the plot
    return _run(
        args,
        "bench-keyframes",
        bench.KeyFramesBench,
        lambda settings: bench.bench_keyframes(settings, log),
        bench.headline,
        lambda settings: bench.plot_of(settings, log),
    )


def run_demo(args: argparse.Namespace) -> int:
    """Print how long a person waits."""
    from apps.live import bench

    return _run(args, "bench-demo", bench.DemoBench, bench.bench_demo, bench.headline)


def _run(
    args: argparse.Namespace,
    name: str,
    kind: type,
    measure: Callable[[Any], list[dict[str, Any]]],
    headline: Callable[[list[dict[str, Any]]], Any],
    plot: Callable[[Any], Callable[[Any], None]] | None = None,
) -> int:
    from eval.reporting.results import command_line, markdown_table, write_results

    fields = [field.name for field in dataclasses.fields(kind)]
    bench = kind(**{field: getattr(args, field) for field in fields if getattr(args, field, None) is not None})
    rows = measure(bench)
    sys.stdout.write(markdown_table(rows))
    if args.save is not None:
        meta = {
            "command": command_line(args.words),
            "data": f"{bench.source} at {bench.width}x{bench.height}",
            "seed": getattr(bench, "seed", 0),
            "fps": None,
            "settings": dataclasses.asdict(bench),
        }
        for path in write_results(name, rows, meta, args.save, headline(rows), plot and plot(bench)):
            sys.stdout.write(f"written: {path}\n")
    return 0
