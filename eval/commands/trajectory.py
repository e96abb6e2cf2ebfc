"""`streamvos eval trajectory`: camera poses on a 7-Scenes folder, from colour and depth and from colour alone."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness import add_options
from eval.metrics.trajectory import constant_velocity_baseline, evaluate, identity_baseline
from eval.results import markdown_table, write_results
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.export.trajectory import Trajectory
from streamvos.video.rgbd import read_pose
from streamvos.video.sources import open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval trajectory`."""
    parser.add_argument("root", type=Path, help="folder with frame-000000.color.jpg, .depth.png, .pose.txt")
    parser.add_argument("--max-frames", type=int, metavar="N", help="only the first N frames")
    add_options(parser, "trajectory-7scenes")


def run(args: argparse.Namespace) -> int:
    """Run both kinds of input and the two baselines, print the table; 0 where all went well."""
    truth = true_poses(args.root, args.max_frames)
    rows, seconds = [], 0.0
    for title, with_depth in (("colour and depth", True), ("colour alone, Sim(3) aligned", False)):
        start = time.perf_counter()
        estimate = estimate_poses(args.root, with_depth, args.max_frames, args.seed)
        seconds += time.perf_counter() - start
        rows.append(_row(title, estimate, truth, with_scale=not with_depth))
    rows.append(_row("baseline: the camera rests", identity_baseline(truth), truth, with_scale=False))
    rows.append(_row("baseline: constant velocity", constant_velocity_baseline(truth), truth, with_scale=False))
    sys.stdout.write(markdown_table(rows))
    if args.save is not None:
        meta = {
            "command": "streamvos eval trajectory RGBD_ROOT",
            "data": f"RGB-D folder in the 7-Scenes layout, {len(truth.times_s)} frames",
            "seed": args.seed,
            "fps": round(2 * len(truth.times_s) / seconds, 2),
        }
        for path in write_results(args.name, rows, meta, args.save):
            sys.stdout.write(f"{path}\n")
    return 0


def true_poses(root: Path, max_frames: int | None = None) -> Trajectory:
    """The poses beside the pictures, at the times that the reader gives the frames.

    Raises:
        InputError: a frame without its pose file.
    """
    files = sorted(root.glob("frame-*.pose.txt"))
    with open_source(root, max_frames=max_frames) as source:
        times = [frame.time_s for frame in source]
    if len(files) < len(times):
        raise InputError(f"{root}: expected a .pose.txt for each of {len(times)} frames, got {len(files)}")
    return _trajectory(list(zip(times, map(read_pose, files), strict=False)))


def estimate_poses(root: Path, with_depth: bool, max_frames: int | None = None, seed: int = 0) -> Trajectory:
    """The reconstruct stage's poses of its largest map, every frame counted."""
    by_map: dict[int, list[tuple[float, np.ndarray]]] = {}
    with Session(stages=("reconstruct",), seed=seed) as session, open_source(root, max_frames=max_frames) as source:
        for frame in source:
            seen = frame if with_depth else dataclasses.replace(frame, depth_m=None)
            scene = session.step(seen.image, seen.time_s, seen.depth_m, seen.intrinsics).scene
            if scene.world_from_camera is not None:
                by_map.setdefault(scene.map_id, []).append((seen.time_s, scene.world_from_camera))
    if not by_map:
        raise InputError(f"{root}: no frame got a pose")
    return _trajectory(max(by_map.values(), key=len))


def _trajectory(poses: list[tuple[float, np.ndarray]]) -> Trajectory:
    times_s = np.array([time_s for time_s, _ in poses])
    return Trajectory(times_s, np.stack([pose for _, pose in poses]), np.zeros(len(poses), np.int64))


def _row(title: str, estimate: Trajectory, truth: Trajectory, with_scale: bool) -> dict[str, Any]:
    errors = evaluate(estimate, truth, with_scale)
    return {
        "input": title,
        "frames": len(truth.times_s),
        "with a pose, %": round(100 * errors.coverage, 1),
        "ATE, cm": round(100 * errors.ate_rmse_m, 2),
        "RPE, mm": round(1000 * errors.rpe_translation_rmse_m, 2),
        "RPE, degrees": round(errors.rpe_rotation_rmse_deg, 3),
    }
