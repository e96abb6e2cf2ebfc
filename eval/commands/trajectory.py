"""`streamvos eval trajectory`: camera poses on RGB-D sequences, from colour and depth and from colour alone."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.rgbd import find_sequences
from eval.metrics.trajectory import align, evaluate, largest_map
from eval.reporting.results import Headline, bars
from eval.running.harness import SequenceScores, add_options, graph_config, publish, score_sequences
from eval.running.scene_run import SceneRun
from eval.running.trajectory_report import (
    BASELINES,
    TITLES,
    Input,
    baseline_rows,
    headline_of,
    paths_of,
    plot_of,
    row_of,
    rows_of,
)
from eval.studies.two_memories import ROOM, TwoMemoriesTask, ablation_rows
from pipelines.graph.build import GraphConfig
from streamvos.errors import InputError
from streamvos.export.trajectory import Trajectory, read_trajectory, write_trajectory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval trajectory`."""
    add = parser.add_argument
    add("root", type=Path, nargs="?", help="RGB-D folder (7-Scenes or TUM layout), folder of several, or composed data")
    add("--max-frames", type=int, metavar="N", help="only the first N frames of each sequence")
    add("--inputs", nargs="+", choices=sorted(TITLES), default=["rgbd", "rgb"], help="default: both")
    add("--delta", type=int, default=1, metavar="N", help="RPE over N poses (default: %(default)s)")
    add("--estimate", type=Path, metavar="TUM", help="score this file of poses instead of running anything")
    add("--truth", type=Path, metavar="TUM", help="the true poses for --estimate")
    add("--scale", action="store_true", help="with --estimate: align by Sim(3), as monocular poses need")
    add("--ablation", action="store_true", help="two scene memories against one, on composed data with moving things")
    add_options(parser, "trajectory")


def run(args: argparse.Namespace) -> int:
    """Score the poses of the reconstruct stage, or those of a file, print and save."""
    if args.delta < 1:
        raise InputError(f"--delta: expected at least 1 pose, got {args.delta}")
    if args.estimate is not None or args.truth is not None:
        return _score_files(args)
    if args.ablation:
        return _ablation(args)
    if args.root is None:
        raise InputError("expected the folder of an RGB-D sequence, or --estimate and --truth with two TUM files")
    names = [sequence.name for sequence in find_sequences(args.root, args.sequences)]
    config = graph_config(args, stages=["reconstruct"])
    results: dict[Input, list[SequenceScores]] = {}
    for kind in dict.fromkeys(args.inputs):
        task = TrajectoryTask(args.root, config, kind, args.out, args.max_frames, args.delta)
        results[kind] = score_sequences(task, names, args, TITLES[kind])
    flat = [one for part in results.values() for one in part]
    return publish(
        args,
        rows_of(results, args.baseline),
        flat,
        data=f"RGB-D, {len(names)} sequences: {', '.join(names)}",
        path_names={args.root: "RGBD"},
        headline=headline_of(results, args.baseline),
        plot=plot_of(next(iter(results.values()))),
        notes={"rpe_delta": args.delta},
    )


@dataclass(frozen=True)
class TrajectoryTask:
    """Runs the graph over one sequence and compares its poses with the true ones.

    Args:
        root: see `find_sequences`.
        config: of the graph; `stages` must hold "reconstruct".
        kind: "rgbd" gives the graph the depth of the input, "rgb" withholds it.
        out: where to write the poses as `<kind>/<sequence>.txt` (TUM format), or None.
        max_frames: of the sequence, or None for all.
        delta: of the RPE, in poses.
    """

    root: Path
    config: GraphConfig
    kind: Input
    out: Path | None
    max_frames: int | None
    delta: int

    def __call__(self, name: str) -> SequenceScores:
        (sequence,) = find_sequences(self.root, [name])
        scenes = SceneRun(self.config)
        times, posed = [], []
        with sequence.open(self.max_frames) as source:
            frames = source if self.kind == "rgbd" else (dataclasses.replace(one, depth_m=None) for one in source)
            for frame, result in scenes(frames):
                times.append(frame.time_s)
                if result.scene is not None and result.scene.world_from_camera is not None:
                    posed.append((frame.time_s, result.scene.world_from_camera, result.scene.map_id))
        estimate, truth = _trajectory(posed), sequence.truth(np.array(times))
        if self.out is not None:
            path = self.out / self.kind / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_trajectory(path, estimate)
        scores = compare(estimate, truth, self.kind == "rgb", self.delta)
        return SequenceScores(name, scenes.num_frames, scenes.seconds, scores)


def compare(
    estimate: Trajectory, truth: Trajectory, with_scale: bool, delta: int, max_time_difference_s: float = 0.01
) -> dict[str, Any]:
    """Errors of the largest map of an estimate, of the baselines, and the paths to draw; errors None for too few poses.

    Args:
        estimate, truth, with_scale, delta, max_time_difference_s: see `eval.metrics.trajectory.evaluate`.
    """
    best = largest_map(estimate)
    scores: dict[str, Any] = {
        "num_true": len(truth),
        "num_posed": len(estimate),
        "num_maps": len(np.unique(estimate.map_ids)),
        "with_scale": with_scale,
        "errors": None,
        "paths": None,
        "baselines": {name: _errors(make(truth), truth, False, delta) for name, make in BASELINES.items()},
    }
    try:
        aligned = align(best, truth, with_scale, max_time_difference_s)
    except InputError:  # too few poses in common
        return scores
    return scores | {
        "errors": _errors(best, truth, with_scale, delta, max_time_difference_s),
        "paths": paths_of(aligned, truth),
    }


def _errors(estimate: Trajectory, truth: Trajectory, with_scale: bool, *rest: float) -> dict[str, float | None]:
    values = dataclasses.asdict(evaluate(estimate, truth, with_scale, *rest))
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _trajectory(posed: Sequence[tuple[float, np.ndarray, int]]) -> Trajectory:
    return Trajectory(
        np.array([time_s for time_s, _, _ in posed]),
        np.array([pose for _, pose, _ in posed]).reshape(-1, 4, 4),
        np.array([map_id for _, _, map_id in posed], np.int64),
    )


def _ablation(args: argparse.Namespace) -> int:
    """Score the stage with and without masks of moving things; without a folder on a ray-cast room."""
    if args.baseline or args.delta != 1:
        raise InputError(
            "--ablation has its own baseline, one memory for all, and measures no RPE: leave out --baseline and --delta"
        )
    names = [ROOM] if args.root is None else [one.name for one in find_sequences(args.root, args.sequences)]
    config = graph_config(args, stages=["detect", "segment", "reconstruct"])
    rows, results = [], []
    for kind in dict.fromkeys(args.inputs):
        # The room is clad in noise, which shows nothing that a detector knows.
        for masks in ("truth", "none") if args.root is None else ("truth", "graph", "none"):
            task = TwoMemoriesTask(args.root, config, kind == "rgbd", masks, args.max_frames)
            results += score_sequences(task, names, args, f"{TITLES[kind]}, masks: {masks}")
            rows += ablation_rows(TITLES[kind], masks, results[-len(names) :])
    first = [row for row in reversed(rows) if row["input"] == rows[0]["input"]]  # the mean comes last
    best, baseline = (next(row for row in first if row["masks"] == masks) for masks in ("true", "none"))
    # The ATE of a run that is lost more often is of fewer frames, so ghosts compare better where they are known.
    measure = "ATE, cm" if best["ghosts, %"] is None else "ghosts, %"
    labels = [f"{row['sequence']}, {row['input']}: {row['memories']}, masks: {row['masks']}" for row in rows]
    return publish(
        args,
        rows,
        results,
        data=f"{len(names)} sequences with moving things: {', '.join(names)}",
        path_names={} if args.root is None else {args.root: "COMPOSED"},
        headline=None
        if best[measure] is None
        else Headline(f"two memories: {measure}", best[measure], baseline[measure], "one memory for all"),
        plot=bars(
            [{**row, "at": label} for row, label in zip(rows, labels, strict=True)],
            "at",
            ("ATE, cm", "moving things off by, cm"),
            "cm",
        ),
    )


def _score_files(args: argparse.Namespace) -> int:
    if args.estimate is None or args.truth is None or args.root is not None:
        raise InputError("--estimate and --truth belong together, and need no folder")
    estimate, truth = read_trajectory(args.estimate), read_trajectory(args.truth)
    scores = compare(estimate, truth, args.scale, args.delta)
    if scores["errors"] is None:
        raise InputError(f"{args.estimate} and {args.truth}: fewer than 3 poses within 0.01 s of each other")
    result = SequenceScores(args.estimate.stem, len(estimate), 0.0, scores)
    rows = [row_of(args.estimate.stem, "file", scores, None)]
    rows += baseline_rows([result]) if args.baseline else []
    return publish(
        args,
        rows,
        [result],
        data=f"{len(estimate)} estimated and {len(truth)} true poses in TUM format",
        path_names={args.estimate: "ESTIMATE", args.truth: "TRUTH"},
        headline=Headline("ATE, cm", rows[0]["ATE, cm"]),
        plot=plot_of([result]),
        notes={"rpe_delta": args.delta},
    )
