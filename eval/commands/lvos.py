"""`streamvos eval lvos`: long videos with seen and unseen classes, scored as the official package does."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.lvos import LvosSplit, frame_numbers, read_split
from eval.datasets.mask_sequences import MaskSequence
from eval.metrics.lvos import MEASURES, ObjectScore, final_means, score_sequence
from eval.reporting.results import Headline
from eval.running.harness import SequenceScores, frames_per_second, publish
from eval.running.semi_supervised import (
    BASELINES,
    add_tracking_options,
    annotated,
    quality_plot,
    score_benchmark,
    tracking_notes,
)
from streamvos.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval lvos`."""
    add = parser.add_argument
    add("root", type=Path, help="folder of a split: JPEGImages, Annotations, valid_meta.json, unseen_videos.txt")
    add("--set", default="valid", metavar="NAME", help="of the meta file, NAME_meta.json (default: %(default)s)")
    add("--unseen", type=Path, metavar="FILE", help="videos of unseen classes (default: unseen_videos.txt in the root)")
    add_tracking_options(parser, "lvos")


def run(args: argparse.Namespace) -> int:
    """Score the tracker, print and save."""
    split = read_split(args.root, args.set, args.unseen)
    names = split.names(args.sequences)
    results, baselines = score_benchmark(Lvos(args.root, args.set, args.unseen), names, args)
    sequences = [_row(one.name, [one], split) for one in results]
    mean = _row("mean", results, split)
    rows = [*sequences, *_part_means(results, split), mean]
    if baselines is not None:
        rows.append({**_row(f"mean, {BASELINES[args.first]}", baselines, split), "frames/s": None})
    return publish(
        args,
        rows,
        results,
        data=f"LVOS layout, {args.set}, {len(names)} videos, {sum(name in split.unseen for name in names)} unseen",
        path_names={args.root: "LVOS", args.unseen or args.root: "UNSEEN"} if args.unseen else {args.root: "LVOS"},
        headline=Headline("J&F", mean["J&F"], rows[-1]["J&F"] if baselines else None, BASELINES[args.first]),
        plot=quality_plot([*sequences, mean], MEASURES, [one.scores["curve"] for one in results]),
        notes={**tracking_notes(args), "given": f"the {args.first} of each object where it appears first"},
    )


@dataclass(frozen=True)
class Lvos:
    """A `Benchmark`: LVOS and its protocol. Objects are given in the first annotation that shows them.

    Args:
        root, subset, unseen: see `eval.datasets.lvos.read_split`.
    """

    root: Path
    subset: str = "valid"
    unseen: Path | None = None

    def load(self, name: str) -> MaskSequence:
        return read_split(self.root, self.subset, self.unseen).sequence(name)

    def starts(self, sequence: MaskSequence) -> Mapping[int, int]:
        wanted = read_split(self.root, self.subset, self.unseen).ranges[sequence.name]
        starts = {key: start for key, start in sequence.first_appearances().items() if key in wanted}
        unshown = sorted(set(wanted) - set(starts))
        if unshown:
            raise InputError(
                f"the meta file names objects {unshown}, which no annotation shows; take the meta file that belongs to "
                "the annotations"
            )
        return starts

    def score(
        self, sequence: MaskSequence, starts: Mapping[int, int], predictions: Iterator[np.ndarray]
    ) -> dict[str, Any]:
        ranges = read_split(self.root, self.subset, self.unseen).ranges[sequence.name]
        numbers = frame_numbers(sequence)
        frames = ((numbers[index], ours, truth) for index, ours, truth in annotated(sequence, predictions))
        objects = score_sequence(frames, ranges)
        return {
            "objects": {str(key): score.percents() for key, score in objects.items()},
            "curve": _curve(objects.values()),
        }


def _curve(objects: Sequence[ObjectScore]) -> list[float]:
    """J&F of each frame by number, the mean over the objects scored there."""
    values: dict[int, list[float]] = {}
    for score in objects:
        for number, *pair in zip(score.frames, score.region, score.boundary, strict=False):
            values.setdefault(number, []).append(sum(pair) / 2)
    return [round(float(np.mean(values[number])), 4) for number in sorted(values)]


def _part_means(results: Sequence[SequenceScores], split: LvosSplit) -> list[dict[str, Any]]:
    """Means of the seen and of the unseen videos, where there are both."""
    seen = [one for one in results if one.name not in split.unseen]
    unseen = [one for one in results if one.name in split.unseen]
    if not seen or not unseen:
        return []
    return [_row("mean of seen", seen, split), _row("mean of unseen", unseen, split)]


def _row(name: str, results: Sequence[SequenceScores], split: LvosSplit) -> dict[str, Any]:
    """Means over objects in percent; over both kinds of videos, the mean of the two kinds' means, as the package's."""
    objects = [(scores, one.name in split.unseen) for one in results for scores in one.scores["objects"].values()]
    means = final_means([scores for scores, _ in objects], [is_unseen for _, is_unseen in objects])
    kinds = {"unseen" if is_unseen else "seen" for _, is_unseen in objects}
    return {
        "sequence": name,
        "classes": " and ".join(sorted(kinds)),
        "frames": sum(one.num_frames for one in results),
        "objects": len(objects),
        **{measure: round(means[measure], 2) for measure in ("J&F", *MEASURES)},
        "frames/s": frames_per_second(results),
    }
