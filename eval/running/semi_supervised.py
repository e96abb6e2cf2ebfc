"""Semi-supervised segmentation as DAVIS, LVOS and Long Videos evaluate it: objects are given once, then followed.

What the three share: one pass of a tracker over a sequence, each object given in one frame and never again, label maps
kept as `<out>/<sequence>/<frame>.png`, a table of sequences and a picture of how quality falls with time. What they do
not share (where objects are given, what is scored, and how) is a `Benchmark`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from matplotlib.figure import Figure

from eval.datasets.mask_sequences import MaskSequence, write_label_map
from eval.reporting.results import Plot
from eval.running.controls import CONTROLS, Control, Lender, OtherVideo, controlled, lender_of
from eval.running.harness import SequenceScores, add_options, graph_config, score_sequences
from eval.running.trackers import CopyFirstMask, SessionTracker, TimedRun, Tracker
from pipelines.graph.build import GraphConfig
from streamvos.errors import InputError

BASELINES = {"mask": "copy of the first mask", "box": "copy of the first box"}


class Benchmark(Protocol):
    """A data set with its protocol; a frozen dataclass."""

    def load(self, name: str) -> MaskSequence:
        """The sequence of that name."""

    def starts(self, sequence: MaskSequence) -> Mapping[int, int]:
        """The objects to follow, each with the frame that gives it, from 0; that frame is annotated."""

    def score(
        self, sequence: MaskSequence, starts: Mapping[int, int], predictions: Iterator[np.ndarray]
    ) -> dict[str, Any]:
        """Scores, as JSON holds them, from a label map for each frame; `curve` is J&F of each scored frame, in order,
        a mean over objects in [0, 1]."""


@dataclass(frozen=True)
class SemiSupervisedTask:
    """Runs a tracker over one sequence.

    Args:
        benchmark: see there.
        make_tracker: see `eval.running.trackers`.
        out: where to write the label maps, or None.
        lenders: for the control `other-video`, sequences, each of which lends its first view to the one before; empty
            where the tracker has its own memory.
        lent_by: the data set of the lenders, None for `benchmark`.
    """

    benchmark: Benchmark
    make_tracker: SessionTracker | CopyFirstMask
    out: Path | None
    lenders: tuple[str, ...] = ()
    lent_by: Benchmark | None = None

    def __call__(self, name: str) -> SequenceScores:
        sequence = self.benchmark.load(name)
        try:
            return self._score(sequence)
        except InputError as error:
            raise type(error)(f"sequence {name}: {error}") from None

    def _score(self, sequence: MaskSequence) -> SequenceScores:
        sequence.check_sizes()
        starts = self.benchmark.starts(sequence)
        run = TimedRun(self._controlled(sequence.name), keep_given=self.make_tracker.first == "mask")
        predictions = run(_with_given(sequence, starts))
        if self.out is not None:
            predictions = _kept(predictions, sequence, self.out / sequence.name)
        scores = self.benchmark.score(sequence, starts, predictions)
        if run.key_frame_bytes is not None:
            scores["key_frame_bytes"] = run.key_frame_bytes
        return SequenceScores(sequence.name, run.num_frames, run.seconds, scores)

    def _controlled(self, name: str) -> Callable[[], Tracker]:
        if not self.lenders:
            return self.make_tracker
        benchmark = self.lent_by or self.benchmark
        lender = benchmark.load(lender_of(name, self.lenders))
        starts = benchmark.starts(lender)
        image, given = next(shown for shown in _with_given(lender, starts) if shown[1] is not None)
        return OtherVideo(self.make_tracker, Lender(image, given))


def add_tracking_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options that all such evaluations have."""
    parser.add_argument(
        "--first", choices=("mask", "box"), default="mask", help="what is given of each object (default: its mask)"
    )
    parser.add_argument(
        "--control",
        choices=CONTROLS,
        default="none",
        help="exchange the key-frame memory, to see what it is worth: `no-memory` keeps the latest view alone, "
        "`other-video` holds the first view of the next sequence (default: none)",
    )
    add_options(parser, name)


def score_benchmark(
    benchmark: Benchmark, names: Sequence[str], args: argparse.Namespace
) -> tuple[list[SequenceScores], list[SequenceScores] | None]:
    """Results of the tracker that the options describe and, on --baseline, of the baseline."""
    task = tracking_task(benchmark, graph_config(args, stages=["segment"]), names, args.first, args.control, args.out)
    if task.lenders:
        lender_of(names[0], names)  # raises before the work
    title = (
        "embedded tracker" + ", boxes given" * (args.first == "box") + f", {args.control}" * (args.control != "none")
    )
    results = score_sequences(task, names, args, title)
    if not args.baseline:
        return results, None
    baseline = SemiSupervisedTask(benchmark, CopyFirstMask(args.first), None)
    return results, score_sequences(baseline, names, args, BASELINES[args.first])


def tracking_task(
    benchmark: Benchmark,
    config: GraphConfig,
    names: Sequence[str],
    first: Literal["mask", "box"] = "mask",
    control: Control = "none",
    out: Path | None = None,
) -> SemiSupervisedTask:
    """The graph with a control or without, as a task; raises `InputError` where the control cannot be run.

    Args:
        benchmark, out: see `SemiSupervisedTask`.
        config: of the graph, with the segment stage.
        names: of the sequences that lend their memory in the control `other-video`.
        first: what is given of each object.
        control: see `eval.running.controls`.
    """
    lenders = tuple(names) if control == "other-video" else ()
    return SemiSupervisedTask(benchmark, SessionTracker(controlled(config, control), first), out, lenders)


def tracking_notes(args: argparse.Namespace) -> dict[str, str]:
    """What is to be recorded of the options of `add_tracking_options`."""
    control = {} if args.control == "none" else {"control": args.control}
    return {"given": f"the {args.first} of each object", **control}


def annotated(
    sequence: MaskSequence, predictions: Iterator[np.ndarray]
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Index, prediction and truth of each frame; the truth is None where there is none."""
    for index, (prediction, truth) in enumerate(zip(predictions, sequence.label_maps(), strict=True)):
        yield index, prediction, truth


def quality_plot(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], curves: Sequence[Sequence[float]]) -> Plot:
    """Bars of each sequence beside J&F over the time of a sequence.

    Args:
        rows: of the table, with "sequence"; the last is the mean.
        columns: of numbers in percent.
        curves: J&F of each sequence's scored frames, in [0, 1].
    """

    def draw(figure: Figure) -> None:
        figure.set_size_inches(11, max(3.2, 0.3 * len(rows) + 1.2))
        bars, time = figure.subplots(1, 2, width_ratios=(3, 2))
        height = 0.8 / len(columns)
        for place, column in enumerate(columns):
            at = [index + place * height for index in range(len(rows))]
            drawn = bars.barh(at, [row[column] or 0 for row in rows], height * 0.9, label=column)
            bars.bar_label(drawn, padding=2, fontsize=6)
        bars.set_yticks([index + 0.4 - height / 2 for index in range(len(rows))], [row["sequence"] for row in rows])
        bars.invert_yaxis()
        bars.set_xlabel("percent")
        bars.margins(x=0.1)
        bars.legend(frameon=False, fontsize=8, ncols=len(columns), loc="lower left", bbox_to_anchor=(0, 1))
        for curve in curves:
            time.plot(np.linspace(0, 100, len(curve)), 100 * np.asarray(curve), color="0.75", linewidth=0.8)
        spread = np.linspace(0, 1, 101)
        resampled = [np.interp(spread, np.linspace(0, 1, len(curve)), curve) for curve in curves]
        time.plot(100 * spread, 100 * np.mean(resampled, axis=0), linewidth=2, label="mean of sequences")
        time.set_xlabel("time, percent of the sequence")
        time.set_ylabel("J&F, percent")
        time.set_ylim(0, 100)
        time.legend(frameon=False, fontsize=8, loc="lower left")
        for axes in (bars, time):
            axes.spines[["top", "right"]].set_visible(False)

    return draw


def curve_of(region: np.ndarray, boundary: np.ndarray) -> list[float]:
    """J&F of each frame, the mean over its objects, of (N, T) scores; frames that score none are left out."""
    both = (region + boundary) / 2
    there = ~np.isnan(both).all(axis=0)
    return [round(float(value), 4) for value in np.nanmean(both[:, there], axis=0)]


def _with_given(sequence: MaskSequence, starts: Mapping[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Each image, with the label map of the objects that are given in it, or None."""
    for index, (image, labels) in enumerate(zip(sequence.images(), sequence.label_maps(), strict=True)):
        ids = [object_id for object_id, start in starts.items() if start == index]
        yield image, np.where(np.isin(labels, ids), labels, 0).astype(np.uint8) if ids else None


def _kept(predictions: Iterator[np.ndarray], sequence: MaskSequence, folder: Path) -> Iterator[np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    for path, labels in zip(sequence.frames, predictions, strict=True):
        write_label_map(folder / f"{path.stem}.png", labels)
        yield labels
