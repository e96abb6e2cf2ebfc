"""`streamvos eval mot`: what the graph discovers and follows, as tracks of boxes, scored by TrackEval."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from eval.datasets.mot import MotSequence, find_sequences
from eval.metrics.mot import MEASURES, combine, measures, score_tracks
from eval.reporting.results import Headline, bars
from eval.running.box_linkers import (
    KALMAN_LINKERS,
    Follower,
    default_thresholds,
    follow_by_kalman,
    follow_by_overlap,
    require_trackers,
)
from eval.running.harness import SequenceScores, add_options, frames_per_second, graph_config, publish, score_sequences
from pipelines.graph.build import GraphConfig
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.export.boxes import box_lines
from streamvos.models import coco
from streamvos.video.images import read_image

OURS, BY_OVERLAP = "detect and segment", "detections linked by IoU"
EVERY_FRAME, SAME_RUNS = "detector on every frame", "as many detector runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval mot`."""
    add = parser.add_argument
    add("root", type=Path, help="folder with <sequence>/gt/gt.txt, seqinfo.ini and frames, or with train/, val/, mot/")
    add("--results", type=Path, metavar="DIR", help="score these <sequence>.txt in place of a run")
    classes = "what to follow: names, or all (default: %(default)s, which is what the truth of MOTChallenge holds)"
    add("--classes", nargs="+", default=["person"], metavar="NAME", help=classes)
    add_options(parser, "mot")


def run(args: argparse.Namespace) -> int:
    """Follow or read, score, print and save."""
    sequences = find_sequences(args.root, args.sequences, pictures_once=args.results is None)
    names = [sequence.name for sequence in sequences]
    if args.results is not None and (args.baseline or args.out):
        raise InputError("--results scores what is there: nothing runs, so --baseline and --out do not go with it")
    if args.baseline:
        require_trackers()
    classes = () if args.classes == ["all"] else tuple(args.classes)
    coco.class_ids(classes)
    config = graph_config(args, stages=["detect", "segment"], detect={"classes": classes})
    title = OURS if args.results is None else "given results"
    results = score_sequences(MotTask(args.root, title, config, args.results, args.out), names, args, title)
    rows = [*(_row(one.name, [one]) for one in results), _row("all", results)]
    score, notes, best = rows[-1]["HOTA"], {"method": title, "scored by": "TrackEval"}, (None, None)
    if args.baseline:
        for method in _compared(config):
            scores = score_sequences(MotTask(args.root, method, config, None, None), names, args, method)
            rows.append(_row(f"all, {method}", scores))
        best = max((rows[-number]["HOTA"], name) for number, name in enumerate(reversed(_baselines(config)), start=1))
        notes |= {f"thresholds of {name}": default_thresholds(name) for name in KALMAN_LINKERS}
    return publish(
        args,
        rows,
        results,
        data=f"MOTChallenge layout, {len(names)} sequences: {', '.join(names)}; classes: {' '.join(args.classes)}",
        path_names={args.root: "MOT", **({args.results: "RESULTS"} if args.results else {})},
        headline=Headline("HOTA", score, *best),
        plot=bars(rows, "sequence", ("MOTA", "IDF1", "HOTA"), "percent"),
        notes=notes,
    )


def _baselines(config: GraphConfig) -> list[str]:
    """Other ways to link what the same detector finds, those with as many detector runs where ours are fewer."""
    every = [BY_OVERLAP, *(f"{name}, {EVERY_FRAME}" for name in KALMAN_LINKERS)]
    return every + [f"{name}, {SAME_RUNS}" for name in KALMAN_LINKERS if config.detect.every > 1]


def _compared(config: GraphConfig) -> list[str]:
    """The baselines, and before them ours with as many detector runs as those on every frame have."""
    return [*([f"{OURS}, {EVERY_FRAME}"] if config.detect.every > 1 else []), *_baselines(config)]


@dataclass(frozen=True)
class MotTask:
    """Writes the tracks of one sequence, and scores them.

    Args:
        root: see `find_sequences`.
        method: what is run, see `_follower`; also the title of the result.
        config: of the graph.
        results: folder of results to be scored in place of a run, or None.
        out: where to leave the tracks as `<sequence>.txt`, or None.
    """

    root: Path
    method: str
    config: GraphConfig
    results: Path | None
    out: Path | None

    def __call__(self, name: str) -> SequenceScores:
        (sequence,) = find_sequences(self.root, [name])
        if self.results is not None:
            scores = score_tracks(sequence, self.results / f"{name}.txt")
            return SequenceScores(name, 0, 0.0, {"frames": sequence.num_frames, "trackeval": scores})
        with tempfile.TemporaryDirectory() if self.out is None else nullcontext(self.out) as folder:
            path = Path(folder) / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            seconds = _write_tracks(path, sequence, _follower(self.method, self.config, sequence.rate))
            scores = score_tracks(sequence, path)
        return SequenceScores(name, sequence.num_frames, seconds, {"frames": sequence.num_frames, "trackeval": scores})


def _follower(method: str, config: GraphConfig, rate: Fraction) -> Follower:
    if method == BY_OVERLAP:
        return follow_by_overlap(config)
    linker, _, frames = method.partition(", ")
    if linker in KALMAN_LINKERS:
        return follow_by_kalman(linker, config, rate, 1 if frames == EVERY_FRAME else config.detect.every)
    if method != OURS:
        config = replace(config, detect=replace(config.detect, every=1))
    session = Session(config, discover=True)
    return lambda image, time_s: box_lines(session.step(image, time_s))


def _write_tracks(path: Path, sequence: MotSequence, follow: Follower) -> float:
    """Write the tracks of a sequence; returns the seconds that following took."""
    seconds = 0.0
    with path.open("w", encoding="utf-8") as file:
        for index, picture in enumerate(sequence.frames()):
            image = read_image(picture)
            start = time.perf_counter()
            lines = follow(image, float(index / sequence.rate))
            seconds += time.perf_counter() - start
            file.write(lines)
    return seconds


def _row(name: str, results: Sequence[SequenceScores]) -> dict[str, Any]:
    scores = measures(combine({one.name: one.scores["trackeval"] for one in results}))
    return {
        "sequence": name,
        "frames": sum(one.scores["frames"] for one in results),
        **{measure: round(scores[measure], 2) for measure in MEASURES},
        "frames/s": frames_per_second(results),
    }
