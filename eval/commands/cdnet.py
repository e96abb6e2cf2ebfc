"""`streamvos eval cdnet`: which pixels move, scored as CDnet 2014 does.

Two answers of the graph are scored side by side: the pixels that the reconstruct stage judges to be dynamic (masks and
boxes of what can move by itself, and corners that contradict the camera's motion), which `--out` keeps; and the masks
of the followed objects alone. Neither learns a background, as the baseline MOG2 does, and a parked car counts as
dynamic, because it can move.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from eval.datasets.cdnet import CdnetVideo, find_videos, write_foreground
from eval.metrics.foreground import MEASURES, Confusion, Measures, confusion, mean_measures, measures
from eval.reporting.results import Headline, bars
from eval.running.harness import SequenceScores, add_options, frames_per_second, graph_config, publish, score_sequences
from eval.running.scene_run import SceneRun
from pipelines.graph.build import GraphConfig
from streamvos import masks as rle_masks
from streamvos.models.coco import MOVABLE
from streamvos.records import Frame, StepResult

DYNAMIC, MASKS = "dynamic pixels", "masks of objects"
BASELINES = {"mog2": "baseline: MOG2", "nothing": "baseline: nothing moves"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval cdnet`."""
    parser.add_argument("root", type=Path, help="CDnet 2014, one category, one video of it, or composed data")
    parser.add_argument("--max-frames", type=int, metavar="N", help="only the first N frames of each video")
    add_options(parser, "cdnet")


def run(args: argparse.Namespace) -> int:
    """Score the graph's foreground, print and save."""
    videos = find_videos(args.root, args.sequences)
    names = [video.path for video in videos]
    config = graph_config(args, stages=["detect", "segment", "reconstruct"])
    results = score_sequences(CdnetTask(args.root, config, args.out, args.max_frames), names, args, "the graph")
    rows = [row for method in (DYNAMIC, MASKS) for row in _rows(method, videos, results)]
    baseline = None
    for kind, title in BASELINES.items() if args.baseline else ():
        task = BaselineTask(args.root, kind, args.max_frames)
        rows += _rows(title, videos, score_sequences(task, names, args, title))
        baseline = rows[-1]["F"] if kind == "mog2" else baseline
    ours = next(row for row in reversed(rows) if row["method"] == DYNAMIC)
    return publish(
        args,
        rows,
        results,
        data=f"CDnet 2014 layout, {len(names)} videos: {', '.join(names)}",
        path_names={args.root: "CDNET"},
        headline=None if ours["F"] is None else Headline("foreground F", ours["F"], baseline, "MOG2"),
        plot=bars([{**row, "at": f"{row['video']}, {row['method']}"} for row in rows], "at", ("F",), "F"),
    )


@dataclass(frozen=True)
class CdnetTask:
    """Runs the graph over one video and scores both of its answers.

    Args:
        root: see `find_videos`.
        config: of the graph, with the stages detect, segment and reconstruct.
        out: where to write the dynamic pixels as `<category>/<video>/bin000001.png`, or None.
        max_frames: of the video, or None for all.
    """

    root: Path
    config: GraphConfig
    out: Path | None
    max_frames: int | None

    def __call__(self, name: str) -> SequenceScores:
        (video,) = find_videos(self.root, [name])
        run = SceneRun(self.config)

        def answers(frames: Iterable[Frame]) -> Iterator[dict[str, np.ndarray]]:
            for _, result in run(frames):
                yield {DYNAMIC: dynamic_pixels(result), MASKS: masks_of_movable(result)}

        totals = _scored(video, answers, self.max_frames, self.out)
        return SequenceScores(name, run.num_frames, run.seconds, totals)


@dataclass(frozen=True)
class BaselineTask:
    """The baseline: OpenCV's background subtractor with its defaults, or nothing at all."""

    root: Path
    kind: Literal["mog2", "nothing"]
    max_frames: int | None

    def __call__(self, name: str) -> SequenceScores:
        (video,) = find_videos(self.root, [name])
        subtractor = cv2.createBackgroundSubtractorMOG2()

        def answers(frames: Iterable[Frame]) -> Iterator[dict[str, np.ndarray]]:
            for frame in frames:
                if self.kind == "mog2":  # 255 moves; 127 is a shadow
                    yield {BASELINES[self.kind]: subtractor.apply(frame.image[..., ::-1]) == 255}
                else:
                    yield {BASELINES[self.kind]: np.zeros(frame.size, bool)}

        totals = _scored(video, answers, self.max_frames)
        return SequenceScores(name, len(video.numbers[: self.max_frames]), 0.0, totals)


def dynamic_pixels(result: StepResult) -> np.ndarray:
    """What the reconstruct stage judges to move, (H, W) bool at full size."""
    assert result.scene is not None and result.scene.dynamic is not None
    small = result.scene.dynamic.astype(np.uint8)
    return cv2.resize(small, result.size[::-1], interpolation=cv2.INTER_NEAREST) > 0


def masks_of_movable(result: StepResult) -> np.ndarray:
    """All followed objects that can move by themselves, or whose class is unknown, (H, W) bool."""
    union = np.zeros(result.size, bool)
    if result.masks is not None:
        for name, rle in zip(result.masks.class_names, result.masks.rles, strict=True):
            if not name or name in MOVABLE:
                union |= rle_masks.decode(rle)
    return union


def _scored(
    video: CdnetVideo,
    answers: Callable[[Iterable[Frame]], Iterator[dict[str, np.ndarray]]],
    max_frames: int | None,
    out: Path | None = None,
) -> dict[str, dict[str, int]]:
    """Pixels counted over the video for each of a method's answers; the first answer is kept under `out`."""
    totals: dict[str, Confusion] = {}
    if out is not None:
        (out / video.path).mkdir(parents=True, exist_ok=True)
    with video.open(max_frames) as source:
        for number, found in zip(video.numbers, answers(source), strict=max_frames is None):
            if out is not None:
                write_foreground(out / video.path / f"bin{number:06d}.png", next(iter(found.values())))
            labels = video.labels(number)
            for name, foreground in found.items():
                counted = Confusion() if labels is None else confusion(foreground, labels)
                totals[name] = totals.get(name, Confusion()) + counted
    return {name: asdict(pixels) for name, pixels in totals.items()}


def _rows(method: str, videos: Sequence[CdnetVideo], results: Sequence[SequenceScores]) -> list[dict[str, Any]]:
    """One row for each video, for each category of several, and for the whole."""
    found = [measures(Confusion(**one.scores[method])) for one in results]
    is_ours = method in (DYNAMIC, MASKS)
    rows = []
    by_category: dict[str, list[Measures]] = {}
    for video, one, values in zip(videos, results, found, strict=True):
        speed = frames_per_second([one]) if is_ours else None
        rows.append(_row(video.path, method, one.num_frames, values, speed))
        by_category.setdefault(video.category, []).append(values)
    frames, speed = sum(one.num_frames for one in results), frames_per_second(results) if is_ours else None
    means = {category: mean_measures(parts) for category, parts in by_category.items()}
    if len(means) > 1:
        rows += [_row(f"mean of {category}", method, None, values, None) for category, values in means.items()]
    if len(videos) > 1:
        rows.append(_row("mean", method, frames, mean_measures(means.values()), speed))
    return rows


def _row(name: str, method: str, frames: int | None, values: Measures, fps: float | None) -> Mapping[str, Any]:
    digits = {"PWC": 3}
    shown = {
        title: None if value is None else round(value, digits.get(title, 4))
        for title, value in zip(MEASURES, values, strict=True)
    }
    return {"video": name, "method": method, "frames": frames, **shown, "frames/s": fps}
