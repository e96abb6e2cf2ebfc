"""`streamvos eval mot`: what the graph discovers and follows, as tracks of boxes, scored by TrackEval."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.mot import MotSequence, find_sequences
from eval.metrics.mot import MEASURES, combine, measures, score_tracks
from eval.reporting.results import Headline, bars
from eval.running.harness import SequenceScores, add_options, frames_per_second, graph_config, publish, score_sequences
from pipelines.graph.build import GraphConfig
from pipelines.session import Session
from streamvos.boxes import box_iou
from streamvos.errors import InputError
from streamvos.export.boxes import box_line, box_lines
from streamvos.models import coco
from streamvos.records import Detections
from streamvos.video.images import read_image

OURS, BASELINE = "detect and segment", "detections linked by IoU"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval mot`."""
    add = parser.add_argument
    add("root", type=Path, help="folder with <sequence>/seqinfo.ini, gt/gt.txt and frames, or with train/ or mot/")
    add("--results", type=Path, metavar="DIR", help="score these <sequence>.txt in place of a run")
    classes = "what to follow: names, or all (default: %(default)s, which is what the truth of MOTChallenge holds)"
    add("--classes", nargs="+", default=["person"], metavar="NAME", help=classes)
    add_options(parser, "mot")


def run(args: argparse.Namespace) -> int:
    """Follow or read, score, print and save."""
    sequences = find_sequences(args.root, args.sequences)
    names = [sequence.name for sequence in sequences]
    if args.results is not None and (args.baseline or args.out):
        raise InputError("--results scores what is there: nothing runs, so --baseline and --out do not go with it")
    classes = () if args.classes == ["all"] else tuple(args.classes)
    coco.class_ids(classes)
    config = graph_config(args, stages=["detect", "segment"], detect={"classes": classes})
    title = OURS if args.results is None else "given results"
    results = score_sequences(MotTask(args.root, title, config, args.results, args.out), names, args, title)
    rows = [*(_row(one.name, [one]) for one in results), _row("all", results)]
    score, baseline = rows[-1]["HOTA"], None
    if args.baseline:
        baselines = score_sequences(MotTask(args.root, BASELINE, config, None, None), names, args, BASELINE)
        rows.append(_row(f"all, {BASELINE}", baselines))
        baseline = rows[-1]["HOTA"]
    return publish(
        args,
        rows,
        results,
        data=f"MOTChallenge layout, {len(names)} sequences: {', '.join(names)}; classes: {' '.join(args.classes)}",
        path_names={args.root: "MOT", **({args.results: "RESULTS"} if args.results else {})},
        headline=Headline("HOTA", score, baseline, BASELINE),
        plot=bars(rows, "sequence", ("MOTA", "IDF1", "HOTA"), "percent"),
        notes={"method": title, "scored by": "TrackEval"},
    )


@dataclass(frozen=True)
class MotTask:
    """Writes the tracks of one sequence, and scores them.

    Args:
        root: see `find_sequences`.
        method: what is run; also the title of the result.
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
            follow = _baseline if self.method == BASELINE else _session
            seconds = _write_tracks(path, sequence, follow(self.config))
            scores = score_tracks(sequence, path)
        return SequenceScores(name, sequence.num_frames, seconds, {"frames": sequence.num_frames, "trackeval": scores})


# An (H, W, 3) uint8 RGB frame and its time in seconds in, its lines of a MOT file out.
Follower = Callable[[np.ndarray, float], str]


def _session(config: GraphConfig) -> Follower:
    session = Session(config, discover=True)
    return lambda image, time_s: box_lines(session.step(image, time_s))


def _baseline(config: GraphConfig) -> Follower:
    """Each frame seen alone, and boxes of one class that overlap most from frame to frame take over the identity."""
    detect = replace(config.detect, every=1, memory=False)
    session = Session(replace(config, stages=("detect",), detect=detect))
    linker = IouLinker()

    def follow(image: np.ndarray, time_s: float) -> str:
        result = session.step(image, time_s)
        return "".join(box_line(result.frame_index, *track) for track in linker.link(result.detections))

    return follow


class IouLinker:
    """The simplest tracker: no motion, no appearance; a box that fits none of the frame before is a new object.

    Args:
        min_iou: boxes that overlap less are two objects.
    """

    def __init__(self, min_iou: float = 0.3) -> None:
        self._min_iou, self._next_id = min_iou, 1
        self._last: list[tuple[int, np.ndarray, int]] = []  # object_id, (4,) box xyxy, class_id

    def link(self, found: Detections) -> list[tuple[int, np.ndarray, float]]:
        """The detections of the next frame as (object_id, (4,) box xyxy, score)."""
        boxes = np.array([box for _, box, _ in self._last], np.float32).reshape(-1, 4)
        overlap = box_iou(found.boxes_xyxy, boxes)
        overlap[found.class_ids[:, None] != np.array([kind for _, _, kind in self._last], np.int64)[None]] = 0
        object_ids = [0] * len(found)
        for pair in np.argsort(-overlap, axis=None, kind="stable"):
            row, column = np.unravel_index(pair, overlap.shape)
            if overlap[row, column] < self._min_iou:
                break
            object_id = self._last[column][0]
            if not object_ids[row] and object_id not in object_ids:
                object_ids[row] = object_id
        for row in range(len(found)):
            if not object_ids[row]:
                object_ids[row], self._next_id = self._next_id, self._next_id + 1
        self._last = list(zip(object_ids, found.boxes_xyxy, found.class_ids.tolist(), strict=True))
        return list(zip(object_ids, found.boxes_xyxy, found.scores.tolist(), strict=True))


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
