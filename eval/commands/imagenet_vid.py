"""`streamvos eval imagenet-vid`: boxes in video, AP by pycocotools, for ImageNet VID and any CocoVID.

Frames go through the detect stage causally: in order, each once, from an empty memory at the start of each video. The
published protocol of MAMBA shuffles the frames of a video and so sees the future; its figures are of another kind.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.cocovid import VideoSet
from eval.datasets.imagenet_vid import counterparts, read_videos
from eval.metrics.detection import (
    MEASURES,
    MOTION_BINS,
    DetectionScores,
    motion_bins,
    motion_ious,
    score_detections,
    to_coco_results,
)
from eval.reporting.results import Headline, bars
from eval.running.detectors import METHODS, make_detector
from eval.running.harness import SequenceScores, add_options, frames_per_second, graph_config, publish, score_sequences
from pipelines.graph.build import GraphConfig
from streamvos.errors import InputError
from streamvos.records import Detections
from streamvos.video.images import read_image

PROTOCOL = "causal: frames in order, each once, from an empty memory for each video"
_UNHARMED = ("", "frozen", "dropped")  # the picture itself is as good as any
_MIN_SCORE = 0.05  # AP wants the doubtful ones, too
_SETTINGS = {"every": 1, "max_detections": 100}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval imagenet-vid`."""
    parser.add_argument("root", type=Path, help="ImageNet VID (Data/VID/val), a CocoVID json, or a folder with one")
    parser.add_argument("--images", type=Path, metavar="DIR", help="what a CocoVID's file names are relative to")
    parser.add_argument("--controls", action="store_true", help="the same stage with an empty and a foreign memory")
    add_options(parser, "imagenet-vid")


def run(args: argparse.Namespace) -> int:
    """Detect, score, print and save."""
    videos = read_videos(args.root, args.images, args.sequences)
    classes = counterparts(videos.categories)
    if not classes:
        raise InputError(f"{args.root}: none of its classes is known to the detector")
    detect = _SETTINGS | {"classes": sorted(classes)}
    config = graph_config(args, stages=["detect"], detect=detect, scores={"detect": _MIN_SCORE})
    if config.detect.every != 1:
        raise InputError(f"setting detect.every: expected 1, every frame is scored; got {config.detect.every}")
    methods = METHODS[:1] + METHODS[1:2] * args.baseline + METHODS[2:] * args.controls
    names, truth = [video.name for video in videos.videos], _Truth.of(videos)
    ours, rows = [], []
    for method in methods:
        task = DetectTask(args.root, args.images, method, config, args.out if method == METHODS[0] else None)
        results = score_sequences(task, names, args, method)
        rows.append(_row(method, results, truth))
        ours = ours or results
    if args.out is not None:
        _write_merged(args.out, videos, truth, ours)
    measure = "AP50" if rows[0]["AP50 degraded"] is None else "AP50 degraded"
    notes = _notes(truth, ours)
    code = publish(
        args,
        rows,
        ours,
        data=f"{len(names)} videos, {rows[0]['frames']} frames, {rows[0]['boxes']} boxes",
        path_names={args.root: "VIDEOS", **({args.images: "IMAGES"} if args.images else {})},
        headline=Headline(measure, rows[0][measure], rows[1][measure] if args.baseline else None, METHODS[1]),
        plot=bars(rows, "method", ("AP50", "AP50 degraded", "AP50 clean"), "percent"),
        notes=notes,
    )
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in notes.items()))
    return code


@dataclass(frozen=True)
class DetectTask:
    """Runs one detector over one video.

    Args:
        root, images: see `read_videos`.
        method: out of `METHODS`.
        config: of the graph.
        out: where to write the detections in COCO's format of results as `<video>.json`, or None.
    """

    root: Path
    images: Path | None
    method: str
    config: GraphConfig
    out: Path | None

    def __call__(self, name: str) -> SequenceScores:
        every = read_videos(self.root, self.images)
        at = [video.name for video in every.videos].index(name)
        others = every.videos[at + 1 :] + every.videos[:at]
        detect, category_of = make_detector(self.method, self.config, others), counterparts(every.categories)
        rows, seconds = [], 0.0
        for frame in every.videos[at].frames:
            image = read_image(frame.file)
            start = time.perf_counter()
            found = detect(image)
            seconds += time.perf_counter() - start
            rows += _rows(frame.image_id, found, category_of)
        if self.out is not None:
            _write(self.out / f"{name}.json", to_coco_results(rows))
        return SequenceScores(name, len(every.videos[at].frames), seconds, {"detections": rows})


def _rows(image_id: int, found: Detections, category_of: Mapping[str, int]) -> list[list[float]]:
    """Each detection as image, category, left, top, width, height, score."""
    return [
        [image_id, category_of[name], *(round(float(side), 2) for side in (x1, y1, x2 - x1, y2 - y1)), round(score, 6)]
        for name, score, (x1, y1, x2, y2) in zip(
            found.class_names, found.scores.tolist(), found.boxes_xyxy.tolist(), strict=True
        )
        if name in category_of
    ]


@dataclass(frozen=True)
class _Truth:
    """The truth of all videos together, and what is known of their images."""

    boxes: list[dict[str, Any]]
    categories: Mapping[int, str]
    motion: np.ndarray  # bin of each box
    degradation: Mapping[int, str | None]  # of each image

    @classmethod
    def of(cls, videos: VideoSet) -> _Truth:
        boxes, moving = [], []
        for video in videos.videos:
            index = {frame.image_id: frame.index for frame in video.frames}
            truth = video.truth()
            boxes += truth
            moving += [((video.name, one["instance_id"]), index[one["image_id"]], one["bbox"]) for one in truth]
        frames = {frame.image_id: frame.degradation for video in videos.videos for frame in video.frames}
        return cls(boxes, videos.categories, motion_bins(motion_ious(moving)), frames)

    def score(
        self, found: np.ndarray, image_ids: Iterable[int] | None = None, speed: str | None = None
    ) -> DetectionScores:
        ignored = None if speed is None else self.motion != speed
        images = self.degradation if image_ids is None else list(image_ids)
        return score_detections(self.boxes, found, images, self.categories, ignored)

    def images(self, degraded: bool) -> list[int]:
        harmed = {one: what not in _UNHARMED for one, what in self.degradation.items() if what is not None}
        return [one for one, is_harmed in harmed.items() if is_harmed == degraded]


def _row(method: str, results: Sequence[SequenceScores], truth: _Truth) -> dict[str, Any]:
    found = _together(results)
    known = [truth.categories[category_id] for category_id in counterparts(truth.categories).values()]
    scores = truth.score(found)

    def mean(part: DetectionScores, measure: str = "AP50", names: Collection[str] | None = known) -> float | None:
        value = part.mean(measure, names)
        return None if value is None else round(value, 2)

    return {
        "method": method,
        "frames": len(truth.degradation),
        "boxes": len(truth.boxes),
        **{measure: mean(scores, measure) for measure in MEASURES},
        "AP50, all classes": mean(scores, names=None),
        **{f"AP50 {speed}": mean(truth.score(found, speed=speed)) for speed in MOTION_BINS},
        "AP50 degraded": mean(truth.score(found, truth.images(True))),
        "AP50 clean": mean(truth.score(found, truth.images(False))),
        "frames/s": frames_per_second(results),
    }


def _notes(truth: _Truth, results: Sequence[SequenceScores]) -> dict[str, Any]:
    """What a reader of the table must know, and the first method's parts."""
    found, known = _together(results), set(counterparts(truth.categories).values())
    scores = truth.score(found)
    missing = [name for category_id, name in truth.categories.items() if category_id not in known]
    tested = [name for name in missing if name in scores.by_class]
    notes = {
        "protocol": PROTOCOL,
        "classes without counterpart in COCO": ", ".join(missing) or "none",
        "of these with truth here": f"{', '.join(tested) or 'none'}; left out of all means but 'AP50, all classes', "
        "where they count as 0",
        "AP50 by class": {name: round(parts["AP50"], 2) for name, parts in scores.by_class.items()},
    }
    by_kind = {}
    for kind in sorted({what for what in truth.degradation.values() if what}):
        part = truth.score(found, [one for one, what in truth.degradation.items() if what == kind])
        by_kind[kind] = part.mean("AP50", [truth.categories[category_id] for category_id in known])
    if by_kind:
        notes["AP50 by degradation"] = {k: None if v is None else round(v, 2) for k, v in by_kind.items()}
    return notes


def _together(results: Sequence[SequenceScores]) -> np.ndarray:
    return np.array([row for one in results for row in one.scores["detections"]], np.float64).reshape(-1, 7)


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _write_merged(out: Path, videos: VideoSet, truth: _Truth, results: Sequence[SequenceScores]) -> None:
    """All detections, and the truth beside them as COCO, so that anyone's pycocotools can score them."""
    _write(out / "detections.json", to_coco_results(_together(results)))
    annotations = [
        {**one, "id": number, "area": one["bbox"][2] * one["bbox"][3]}
        for number, one in enumerate(truth.boxes, start=1)
    ]
    images = [
        {"id": frame.image_id, "file_name": f"{video.name}/{frame.file.name}"}
        for video in videos.videos
        for frame in video.frames
    ]
    categories = [{"id": category_id, "name": name} for category_id, name in truth.categories.items()]
    _write(out / "truth.json", {"images": images, "annotations": annotations, "categories": categories})
