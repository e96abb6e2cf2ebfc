"""`streamvos eval davis`: semi-supervised segmentation, scored as the official toolkit does."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.davis import find_sequences, list_sequences
from eval.datasets.mask_sequences import MaskSequence
from eval.metrics.davis import score_sequence
from eval.metrics.returns import IdentityCounter, ReturnRule
from eval.reporting.results import Headline
from eval.running.harness import publish
from eval.running.jf_table import identity_columns, jf_row, jf_rows, jf_scores
from eval.running.semi_supervised import (
    BASELINES,
    add_tracking_options,
    quality_plot,
    score_benchmark,
    tracking_notes,
)
from streamvos.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval davis`."""
    add = parser.add_argument
    add("root", type=Path, help="folder with JPEGImages and Annotations")
    add("--resolution", default="480p", metavar="FOLDER", help="(default: %(default)s)")
    add("--year", type=int, choices=(2016, 2017), default=2017, help="2016: all objects count as one (default: 2017)")
    add("--set", metavar="NAME", help="a list in ImageSets (default: val where it is there, otherwise all folders)")
    add(
        "--late-objects",
        action="store_true",
        help="follow objects that appear after the first frame, too, given where they appear and scored from the next "
        "frame on (not the DAVIS protocol, which knows those of the first frame alone); also count identity switches "
        "and returns",
    )
    add(
        "--visible-px",
        type=int,
        metavar="N",
        help="with --late-objects: an object is there, and given, from so many pixels on (default: 1, any annotation)",
    )
    add(
        "--given-share",
        type=float,
        metavar="S",
        help="with --late-objects: give an object in the first frame in which it covers this share of its own median "
        "area, not in the sliver with which it enters (default: 0)",
    )
    add("--absence", type=int, metavar="N", help="with --late-objects: frames away before a return (default: 200)")
    add_tracking_options(parser, "davis")


def run(args: argparse.Namespace) -> int:
    """Score the tracker, print and save."""
    benchmark = Davis(args.root, args.resolution, args.year == 2016, *_late(args))
    names = list_sequences(args.root, args.sequences, resolution=args.resolution, year=args.year, image_set=args.set)
    results, baselines = score_benchmark(benchmark, names, args)
    more = identity_columns if args.late_objects else None
    rows = jf_rows(results, more)
    mean = rows[-1]
    if baselines is not None:
        rows.append({**jf_row(f"mean, {BASELINES[args.first]}", baselines, more), "frames/s": None})
    return publish(
        args,
        rows,
        results,
        data=f"DAVIS layout, {len(names)} sequences: {', '.join(names)}",
        path_names={args.root: "DAVIS"},
        headline=Headline("J&F", mean["J&F"], rows[-1]["J&F"] if baselines else None, BASELINES[args.first]),
        plot=quality_plot(
            [*(jf_row(one.name, [one]) for one in results), mean],
            ("J mean", "F mean"),
            [one.scores["curve"] for one in results],
        ),
        notes=_notes(args, benchmark),
    )


@dataclass(frozen=True)
class Davis:
    """A `Benchmark`: DAVIS and its protocol.

    Args:
        root: folder that holds `JPEGImages` and `Annotations`.
        resolution: folder of that name.
        merge: whether all objects count as one, as in DAVIS-2016.
        late: follow also objects that appear later, and count identities by this rule; None: those of the first frame.
        given_share: of its median area that a late object must cover when it is given.
    """

    root: Path
    resolution: str = "480p"
    merge: bool = False
    late: ReturnRule | None = None
    given_share: float = 0.0

    def load(self, name: str) -> MaskSequence:
        (sequence,) = find_sequences(self.root, [name], self.resolution, self.merge)
        return sequence

    def starts(self, sequence: MaskSequence) -> Mapping[int, int]:
        if self.late is None:
            return sequence.objects_at_first()
        return sequence.first_appearances(self.late.visible_px, self.given_share)

    def score(
        self, sequence: MaskSequence, starts: Mapping[int, int], predictions: Iterator[np.ndarray]
    ) -> dict[str, Any]:
        if self.late is None:
            return jf_scores(score_sequence(predictions, sequence.label_maps(), starts))
        counter = IdentityCounter(starts, self.late)
        ours, truths = itertools.tee(counter.watch(predictions, sequence.label_maps()))
        scores = jf_scores(score_sequence((one for one, _ in ours), (truth for _, truth in truths), starts))
        return scores | {
            "identities": {str(object_id): asdict(counted) for object_id, counted in counter.objects.items()}
        }


def _notes(args: argparse.Namespace, benchmark: Davis) -> dict[str, str]:
    """How it was run, where that is not the toolkit's way."""
    notes = tracking_notes(args)
    if benchmark.merge:
        notes["objects"] = "all as one"
    if benchmark.late is not None:
        rule = benchmark.late
        notes["late objects"] = (
            f"given in the first frame with {rule.visible_px} pixels of them or more"
            + f" and {benchmark.given_share} of their median area" * (benchmark.given_share > 0)
        )
        notes["returns"] = (
            f"after {rule.absence} frames away or more, judged on the first {rule.within} frames "
            f"from when {rule.back_share} of what was given shows again"
        )
    return notes


def _late(args: argparse.Namespace) -> tuple[ReturnRule | None, float]:
    """How late objects are given and judged; None where they are not followed."""
    options = ("visible_px", "absence", "given_share")
    chosen = {name: getattr(args, name) for name in options if getattr(args, name) is not None}
    if not args.late_objects:
        if chosen:
            raise InputError(f"--{next(iter(chosen)).replace('_', '-')} needs --late-objects")
        return None, 0.0
    share = chosen.pop("given_share", 0.0)
    if not 0 <= share <= 1:
        raise InputError(f"--given-share: expected 0 to 1, got {share}")
    return ReturnRule(**chosen), share
