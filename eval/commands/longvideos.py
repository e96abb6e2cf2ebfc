"""`streamvos eval longvideos`: very long videos with few annotations, scored as DAVIS on the frames that have one."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.longvideos import find_video, list_videos
from eval.datasets.mask_sequences import MaskSequence
from eval.metrics.davis import score_sequence
from eval.reporting.results import Headline
from eval.running.harness import publish
from eval.running.jf_table import jf_row, jf_rows, jf_scores
from eval.running.semi_supervised import (
    BASELINES,
    add_tracking_options,
    annotated,
    quality_plot,
    score_benchmark,
    tracking_notes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval longvideos`."""
    parser.add_argument("root", type=Path, help="folder with JPEGImages/<video> and Annotations/<video>")
    add_tracking_options(parser, "longvideos")


def run(args: argparse.Namespace) -> int:
    """Score the tracker, print and save."""
    names = list_videos(args.root, args.sequences)
    results, baselines = score_benchmark(LongVideos(args.root), names, args)
    rows = jf_rows(results)
    mean = rows[-1]
    if baselines is not None:
        rows.append({**jf_row(f"mean, {BASELINES[args.first]}", baselines), "frames/s": None})
    return publish(
        args,
        rows,
        results,
        data=f"Long Videos layout, {len(names)} videos: {', '.join(names)}",
        path_names={args.root: "LONG_VIDEOS"},
        headline=Headline("J&F", mean["J&F"], rows[-1]["J&F"] if baselines else None, BASELINES[args.first]),
        plot=quality_plot(
            [*(jf_row(one.name, [one]) for one in results), mean],
            ("J mean", "F mean"),
            [one.scores["curve"] for one in results],
        ),
        notes={**tracking_notes(args), "given": f"the {args.first} of each object in the first annotation"},
    )


@dataclass(frozen=True)
class LongVideos:
    """A `Benchmark`: what the first annotation shows is followed, and scored on all others but the last.

    That is what the DAVIS toolkit makes of the data set's `_davis` version, which holds the annotated frames alone.
    """

    root: Path

    def load(self, name: str) -> MaskSequence:
        return find_video(self.root, name)

    def starts(self, sequence: MaskSequence) -> Mapping[int, int]:
        return sequence.objects_at_first()

    def score(
        self, sequence: MaskSequence, starts: Mapping[int, int], predictions: Iterator[np.ndarray]
    ) -> dict[str, Any]:
        ours, truths = itertools.tee(
            (prediction, truth) for _, prediction, truth in annotated(sequence, predictions) if truth is not None
        )
        score = score_sequence((one for one, _ in ours), (truth for _, truth in truths), dict.fromkeys(starts, 0))
        return jf_scores(score)
