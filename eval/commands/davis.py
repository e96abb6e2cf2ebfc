"""`streamvos eval davis`: semi-supervised segmentation, scored as the official toolkit does."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.davis import DavisSequence, find_sequences, write_label_map
from eval.harness import SequenceScores, add_options, frames_per_second, graph_config, publish, score_sequences
from eval.metrics.davis import MEASURES, score_sequence
from eval.results import Headline, bars
from eval.trackers import CopyFirstMask, SessionTracker, TimedRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval davis`."""
    parser.add_argument("root", type=Path, help="folder with JPEGImages/480p and Annotations/480p")
    add_options(parser, "davis")


def run(args: argparse.Namespace) -> int:
    """Score the tracker, print and save."""
    names = [sequence.name for sequence in find_sequences(args.root, args.sequences)]
    tracker = SessionTracker(graph_config(args, stages=["segment"]))
    results = score_sequences(DavisTask(args.root, tracker, args.out), names, args, "embedded tracker")
    rows = _rows(results)
    floor = None
    if args.baseline:
        floors = score_sequences(DavisTask(args.root, CopyFirstMask(), None), names, args, "copy of the first mask")
        rows.append({**_row("mean, copy of the first mask", floors), "frames/s": None})
        floor = rows[-1]["J&F"]
    return publish(
        args,
        rows,
        results,
        data=f"DAVIS layout, {len(names)} sequences: {', '.join(names)}",
        placeholders={args.root: "DAVIS"},
        headline=Headline("J&F", _row("mean", results)["J&F"], floor, "copy of the first mask"),
        plot=bars(rows, "sequence", ("J mean", "F mean"), "percent"),
    )


@dataclass(frozen=True)
class DavisTask:
    """Runs a tracker over one sequence with the first masks given.

    Args:
        root: folder that holds `JPEGImages` and `Annotations`.
        make_tracker: see `eval.trackers`.
        out: where to write the label maps as `<sequence>/00000.png`, or None.
    """

    root: Path
    make_tracker: SessionTracker | CopyFirstMask
    out: Path | None

    def __call__(self, name: str) -> SequenceScores:
        (sequence,) = find_sequences(self.root, [name])
        run = TimedRun(self.make_tracker)
        predictions = run(_given(sequence))
        if self.out is not None:
            predictions = _kept(predictions, sequence, self.out / name)
        score = score_sequence(predictions, sequence.label_maps())
        scores = {"object_ids": list(score.object_ids), "by_object": score.percents()}
        return SequenceScores(name, run.num_frames, run.seconds, scores)


def _given(sequence: DavisSequence) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    first = next(sequence.label_maps())
    for index, image in enumerate(sequence.images()):
        yield image, first if index == 0 else None


def _kept(predictions: Iterator[np.ndarray], sequence: DavisSequence, folder: Path) -> Iterator[np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    for path, labels in zip(sequence.frames, predictions, strict=True):
        write_label_map(folder / f"{path.stem}.png", labels)
        yield labels


def _rows(results: Sequence[SequenceScores]) -> list[dict[str, Any]]:
    return [*(_row(one.name, [one]) for one in results), _row("mean", results)]


def _row(name: str, results: Sequence[SequenceScores]) -> dict[str, Any]:
    """Means over objects, as the toolkit reports them, in percent."""
    by_object = [one.scores["by_object"] for one in results]
    means = {measure: float(np.concatenate([part[measure] for part in by_object]).mean()) for measure in MEASURES}
    return {
        "sequence": name,
        "frames": sum(one.num_frames for one in results),
        "objects": sum(len(one.scores["object_ids"]) for one in results),
        "J&F": round((means["J mean"] + means["F mean"]) / 2, 2),
        **{measure: round(value, 2) for measure, value in means.items()},
        "frames/s": frames_per_second(results),
    }
