"""`streamvos eval trajectory`: camera poses on RGB-D sequences, from colour and depth and from colour alone."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from eval.datasets.rgbd import find_sequences
from eval.harness import SequenceScores, add_options, frames_per_second, graph_config, publish, score_sequences
from eval.metrics.trajectory import (
    Aligned,
    align,
    constant_velocity_baseline,
    evaluate,
    identity_baseline,
    largest_map,
)
from eval.results import Headline, Plot
from eval.scene_run import SceneRun
from pipelines.graph import GraphConfig
from streamvos.errors import InputError
from streamvos.export.trajectory import Trajectory, read_trajectory, write_trajectory

Input = Literal["rgbd", "rgb"]
TITLES: Mapping[Input, str] = {"rgbd": "colour and depth", "rgb": "colour alone"}
BASELINES = {"the camera rests": identity_baseline, "constant velocity": constant_velocity_baseline}
_ALIGNMENTS = {False: "SE(3)", True: "Sim(3)"}
_MAX_PLOTTED = 4  # sequences in the picture
_MAX_POINTS = 600  # of a path in the picture


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
    add_options(parser, "trajectory")


def run(args: argparse.Namespace) -> int:
    """Score the poses of the reconstruct stage, or those of a file, print and save."""
    if args.delta < 1:
        raise InputError(f"--delta: expected at least 1 pose, got {args.delta}")
    if args.estimate is not None or args.truth is not None:
        return _score_files(args)
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
        _rows(results, args.baseline),
        flat,
        data=f"RGB-D, {len(names)} sequences: {', '.join(names)}",
        placeholders={args.root: "RGBD"},
        headline=_headline(results, args.baseline),
        plot=_plot(next(iter(results.values()))),
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
        "paths": _paths(aligned, truth),
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


def _score_files(args: argparse.Namespace) -> int:
    if args.estimate is None or args.truth is None or args.root is not None:
        raise InputError("--estimate and --truth belong together, and need no folder")
    estimate, truth = read_trajectory(args.estimate), read_trajectory(args.truth)
    scores = compare(estimate, truth, args.scale, args.delta)
    if scores["errors"] is None:
        raise InputError(f"{args.estimate} and {args.truth}: fewer than 3 poses within 0.01 s of each other")
    result = SequenceScores(args.estimate.stem, len(estimate), 0.0, scores)
    rows = [_row(args.estimate.stem, "file", scores, None)]
    rows += _baseline_rows([result]) if args.baseline else []
    return publish(
        args,
        rows,
        [result],
        data=f"{len(estimate)} estimated and {len(truth)} true poses in TUM format",
        placeholders={args.estimate: "ESTIMATE", args.truth: "TRUTH"},
        headline=Headline("ATE, cm", rows[0]["ATE, cm"]),
        plot=_plot([result]),
        notes={"rpe_delta": args.delta},
    )


def _rows(results: Mapping[Input, Sequence[SequenceScores]], with_baseline: bool) -> list[dict[str, Any]]:
    rows = []
    for kind, part in results.items():
        rows += [_row(one.name, TITLES[kind], one.scores, frames_per_second([one])) for one in part]
        if len(part) > 1:
            rows.append(_mean_row(TITLES[kind], rows[-len(part) :], frames_per_second(part)))
    if with_baseline:
        rows += _baseline_rows(next(iter(results.values())))
    return rows


def _row(name: str, title: str, scores: Mapping[str, Any], fps: float | None) -> dict[str, Any]:
    errors = scores["errors"]
    return {
        "sequence": name,
        "input": title,
        "aligned by": _ALIGNMENTS[scores["with_scale"]],
        "frames": scores["num_true"],
        "with a pose, %": round(100 * scores["num_posed"] / max(scores["num_true"], 1), 1),
        "maps": scores["num_maps"],
        "compared, %": round(100 * (errors["coverage"] if errors else 0), 1),
        **_columns(errors),
        "frames/s": fps,
    }


def _columns(errors: Mapping[str, float | None] | None) -> dict[str, float | None]:
    def scaled(name: str, factor: float, digits: int) -> float | None:
        value = errors[name] if errors else None
        return None if value is None else round(factor * value, digits)

    return {
        "ATE, cm": scaled("ate_rmse_m", 100, 2),
        "RPE, mm": scaled("rpe_translation_rmse_m", 1000, 2),
        "RPE, degrees": scaled("rpe_rotation_rmse_deg", 1, 3),
    }


def _baseline_rows(results: Sequence[SequenceScores]) -> list[dict[str, Any]]:
    rows = []
    for name in BASELINES:
        part = []
        for one in results:
            errors, frames = one.scores["baselines"][name], one.scores["num_true"]
            scores = {"errors": errors, "num_true": frames, "num_posed": frames, "num_maps": 1, "with_scale": False}
            part.append(_row(one.name, f"baseline: {name}", scores, None))
        rows += [*part, _mean_row(f"baseline: {name}", part, None)] if len(part) > 1 else part
    return rows


def _mean_row(title: str, rows: Sequence[Mapping[str, Any]], fps: float | None) -> dict[str, Any]:
    """Means over sequences; of errors over those that have one, so "compared" must be read beside them."""
    row = {**rows[0], "sequence": "mean", "input": title, "frames": sum(one["frames"] for one in rows)}
    for column in ("with a pose, %", "maps", "compared, %", "ATE, cm", "RPE, mm", "RPE, degrees"):
        values = [one[column] for one in rows if one[column] is not None]
        row[column] = round(float(np.mean(values)), 3 if column == "RPE, degrees" else 2) if values else None
    return {**row, "frames/s": fps}


def _headline(results: Mapping[Input, Sequence[SequenceScores]], with_baseline: bool) -> Headline:
    kind, part = next(iter(results.items()))
    found = [one.scores["errors"]["ate_rmse_m"] for one in part if one.scores["errors"]]
    floor = [one.scores["baselines"]["the camera rests"]["ate_rmse_m"] for one in part] if with_baseline else []
    return Headline(
        f"ATE from {TITLES[kind]}, cm",
        round(100 * float(np.mean(found)), 2) if found else math.nan,
        round(100 * float(np.mean(floor)), 2) if floor else None,
        "the camera rests",
    )


def _paths(aligned: Aligned, truth: Trajectory) -> dict[str, Any]:
    """What the picture needs, thinned out: both paths seen along the direction in which the true one varies least."""
    xyz = truth.world_from_camera[:, :3, 3]
    _, _, axes = np.linalg.svd(xyz - xyz.mean(axis=0), full_matrices=False)

    def seen(points: np.ndarray, keep: np.ndarray) -> list[list[float]]:
        return np.round((points - xyz.mean(axis=0))[keep] @ axes[:2].T, 4).tolist()

    rows, true_rows = _thinned(len(aligned.times_s)), _thinned(len(xyz))
    return {
        "times_s": np.round(aligned.times_s[rows], 4).tolist(),
        "errors_m": np.round(aligned.errors_m[rows], 5).tolist(),
        "estimate": seen(aligned.have_xyz, rows),
        "truth": seen(xyz, true_rows),
    }


def _thinned(count: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, _MAX_POINTS)).astype(np.int64)


def _plot(results: Sequence[SequenceScores]) -> Plot:
    """The paths seen from above, and the position error over time, of the first sequences."""
    drawn = [one for one in results if one.scores["paths"]][:_MAX_PLOTTED]

    def draw(figure: Figure) -> None:
        if not drawn:
            figure.text(0.5, 0.5, "no poses to draw", ha="center")
            return
        figure.set_size_inches(max(4.0 * len(drawn), 6), 6)
        axes = figure.subplots(2, len(drawn), squeeze=False, height_ratios=(2, 1))
        for column, one in enumerate(drawn):
            above, below = axes[:, column]
            paths = one.scores["paths"]
            above.plot(*np.array(paths["truth"]).T, color="0.6", label="true")
            above.plot(*np.array(paths["estimate"]).T, color="C0", linewidth=1, label="estimated")
            above.set_aspect("equal", adjustable="datalim")
            above.set(title=one.name, xlabel="m", ylabel="m")
            below.plot(paths["times_s"], 100 * np.array(paths["errors_m"]), color="C3", linewidth=1)
            below.set(xlabel="s", ylabel="position error, cm", ylim=(0, None))
        axes[0, 0].legend(frameon=False, fontsize=8)

    return draw
