"""`streamvos eval depth`: the depth pictures of the reconstruct stage on RGB-D sequences.

With depth in the input the stage hands that depth on, so there is nothing to measure. Two things are measured instead.
"colour alone": no frame has depth; the stage's depth is sparse, of unknown scale, and aligned by medians. "held out":
the depth of every n-th frame is withheld, so that there the stage draws its map, which is in metres, as seen from the
pose it found; only these frames are scored. True depth is the sensor's (or the renderer's, of composed data), brought
to the stage's working size as the stage brings its input. Pixels of moving things count, although the map has none.
The baseline is one depth for all pixels, the median of the truth, measured where the stage has an estimate.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from eval.datasets.rgbd import find_sequences
from eval.metrics.depth import DepthErrors, DepthPairs, evaluate, pairs
from eval.reporting.results import Headline, bars
from eval.running.harness import SequenceScores, add_options, frames_per_second, graph_config, publish, score_sequences
from eval.running.scene_run import SceneRun
from pipelines.graph.build import GraphConfig
from streamvos.errors import InputError
from streamvos.records import Frame, SceneEstimate

Kind = Literal["rgb", "heldout"]
TITLES: Mapping[Kind, str] = {"heldout": "held out", "rgb": "colour alone"}
BASELINE = "constant depth, same pixels"
_MAX_PIXELS = 4000  # of a frame; keeps a long sequence in memory, and is plenty for means


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval depth`."""
    add = parser.add_argument
    add("root", type=Path, help="RGB-D folder (7-Scenes or TUM layout), folder of several, or composed data")
    add("--max-frames", type=int, metavar="N", help="only the first N frames of each sequence")
    add("--inputs", nargs="+", choices=sorted(TITLES), default=["heldout", "rgb"], help="default: both")
    add("--withhold", type=int, default=5, metavar="N", help="held out: every N-th frame (default: %(default)s)")
    add("--align", choices=("map", "frame"), default="map", help="colour alone: one scale for all frames, or for each")
    add_options(parser, "depth")


def run(args: argparse.Namespace) -> int:
    """Score the depth pictures, print and save."""
    if args.withhold < 2:
        raise InputError(f"--withhold: expected 2 or more (1 leaves no depth at all), got {args.withhold}")
    names = [sequence.name for sequence in find_sequences(args.root, args.sequences)]
    config = graph_config(args, stages=["reconstruct"])
    rows, results, baseline = [], [], None
    for kind in dict.fromkeys(args.inputs):
        task = DepthTask(args.root, config, kind, args.out, args.max_frames, args.withhold, args.align)
        part = score_sequences(task, names, args, TITLES[kind])
        results += part
        rows += _rows(TITLES[kind], part, "errors", frames_per_second(part))
        if args.baseline:
            rows += _rows(f"baseline: {BASELINE}, {TITLES[kind]}", part, "baseline", None)
            baseline = rows[-1]["AbsRel"] if baseline is None else baseline
    best = next((row for row in reversed(rows) if row["input"] == rows[0]["input"]), rows[0])
    return publish(
        args,
        rows,
        results,
        data=f"RGB-D, {len(names)} sequences: {', '.join(names)}",
        path_names={args.root: "RGBD"},
        headline=None
        if best["AbsRel"] is None
        else Headline(f"AbsRel of depth, {best['input']}", best["AbsRel"], baseline, BASELINE),
        plot=bars([{**row, "at": f"{row['sequence']}, {row['input']}"} for row in rows], "at", ("AbsRel",), "AbsRel"),
        notes={"alignment of colour alone": f"median, one factor a {args.align}", "held out": f"1 in {args.withhold}"},
    )


@dataclass(frozen=True)
class DepthTask:
    """Runs the graph over one sequence and compares its depth pictures with the true ones.

    Args:
        root: see `find_sequences`.
        config: of the graph; `stages` must hold "reconstruct".
        kind: "rgb" gives the graph no depth, "heldout" all but that of every `withhold`-th frame.
        out: where to write the estimates as `<kind>/<sequence>/00000.png`, 16 bits, millimetres (thousandths of the
            map's unit where it has no scale), or None.
        max_frames: of the sequence, or None for all.
        withhold: see `kind`.
        align: of "rgb"; see `eval.metrics.depth.evaluate`.
    """

    root: Path
    config: GraphConfig
    kind: Kind
    out: Path | None
    max_frames: int | None
    withhold: int
    align: str

    def __call__(self, name: str) -> SequenceScores:
        (sequence,) = find_sequences(self.root, [name])
        scenes = SceneRun(self.config)
        true_depths: list[np.ndarray] = []  # of the frame on its way alone

        def withheld(frames: Iterator[Frame]) -> Iterator[Frame]:
            for frame in frames:
                true_depths[:] = [np.zeros(frame.size, np.float32) if frame.depth_m is None else frame.depth_m]
                yield dataclasses.replace(frame, depth_m=None) if self._is_scored(frame.index) else frame

        found, baseline = [], []
        with sequence.open(self.max_frames) as source:
            for frame, result in scenes(withheld(source)):
                if self._is_scored(frame.index):
                    assert result.scene is not None
                    found.append(_compared(result.scene, true_depths[0]))
                    baseline.append(dataclasses.replace(found[-1], estimate=np.ones_like(found[-1].estimate)))
                    self._keep(name, frame.index, result.scene)
        if not found:
            raise InputError(f"{sequence.folder}: expected at least {self.withhold} frames to withhold one of")
        scores = {
            "errors": dataclasses.asdict(evaluate(found, self._align)),
            "baseline": dataclasses.asdict(evaluate(baseline, self.align)),
            "num_scored": len(found),
        }
        return SequenceScores(name, scenes.num_frames, scenes.seconds, scores)

    @property
    def _align(self) -> str:
        return "none" if self.kind == "heldout" else self.align

    def _is_scored(self, index: int) -> bool:
        return self.kind == "rgb" or index % self.withhold == self.withhold - 1

    def _keep(self, name: str, index: int, scene: SceneEstimate) -> None:
        if self.out is None or scene.depth_m is None:
            return
        path = self.out / self.kind / name / f"{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        millimetres = np.clip(np.rint(scene.depth_m * 1000.0), 0, 65535).astype(np.uint16)
        if not cv2.imwrite(str(path), millimetres):
            raise InputError(f"{path} cannot be written")


def _compared(scene: SceneEstimate, true_depth: np.ndarray) -> DepthPairs:
    if scene.depth_m is None:
        return pairs(None, true_depth, scene.map_id)
    truth = cv2.resize(true_depth, scene.depth_m.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return pairs(scene.depth_m, truth, scene.map_id, _MAX_PIXELS)


def _rows(title: str, results: Sequence[SequenceScores], key: str, fps: float | None) -> list[dict[str, Any]]:
    rows = [
        _row(
            one.name, title, one.scores["num_scored"], DepthErrors(**one.scores[key]), fps and frames_per_second([one])
        )
        for one in results
    ]
    if len(rows) > 1:
        mean: dict[str, Any] = {**rows[0], "sequence": "mean", "frames": sum(row["frames"] for row in rows)}
        for column in ("frames with depth, %", "pixels, %", "AbsRel", "RMSE, m", "within 1.25, %"):
            values = [row[column] for row in rows if row[column] is not None]
            mean[column] = round(float(np.mean(values)), 4) if values else None
        rows.append({**mean, "frames/s": fps})
    return rows


def _row(name: str, title: str, frames: int, errors: DepthErrors, fps: float | None) -> dict[str, Any]:
    def shown(value: float | None, digits: int, factor: float = 1.0) -> float | None:
        return None if value is None else round(factor * value, digits)

    return {
        "sequence": name,
        "input": title,
        "frames": frames,
        "frames with depth, %": shown(errors.frame_coverage, 1, 100),
        "pixels, %": shown(errors.coverage, 2, 100),
        "AbsRel": shown(errors.abs_rel, 4),
        "RMSE, m": shown(errors.rmse_m, 3),
        "within 1.25, %": shown(errors.delta, 2, 100),
        "frames/s": fps,
    }
