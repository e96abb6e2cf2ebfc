"""What looking once more is worth: `python -m eval.studies.looks --pictures DIR --videos DIR --out DIR`.

The detect stage sees the whole frame, and beside it one, two or four quarters of it; with fewer than four, those that
its memory chooses, or as the control as many drawn at random. On still pictures, of which there is no memory, on slow
pans over some of them (a window of 80% of their sides that moves on a straight line), and on videos with boxes, of
which every fifth frame is a run of the detector, as by default. AP50 is the mean over classes, its sizes are COCO's at
COCO's scale (640 pixels on the longer side); `found %` is the share of objects that one frame at least shows at a score
that may start an object. All methods see a frame one after the other; maps that they share are made once and counted
for each.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from eval.datasets.imagenet_vid import counterparts, read_videos
from eval.datasets.labelled_pictures import LabelledPicture, read_labelled_pictures
from eval.metrics.detection import score_detections
from eval.reporting.results import Headline, command_line, markdown_table, write_results
from memory_bank.budgets import MemoryBudgets
from pipelines.detect import DetectConfig, DetectStage
from pipelines.detection.looks import NUM_QUARTERS, Looks
from pipelines.detection.views import View
from pipelines.scores import ScoreThresholds
from streamvos.boxes import box_iou
from streamvos.models import coco
from streamvos.models.ssd_mobilenet import SsdMobileNet
from streamvos.records import Detections, Frame, StepResult
from streamvos.video.images import read_image

_MIN_SCORE = 0.05  # AP wants the doubtful ones, too
_COCO_PX = 640  # longer side of COCO's pictures
_SIZES = {"": (0, 1e10), " small": (0, 32**2), " medium": (32**2, 96**2), " large": (96**2, 1e10)}
_PAN_FRAMES, _PAN_SIDE = 12, 0.8
_MIN_SEEN = 0.5  # of a box inside the window of a pan; with less it need not be found
_FOUND_SCORE = ScoreThresholds().start


@dataclass(frozen=True)
class Scene:
    """A video, or a still picture as a video of one frame.

    Args:
        images: of the frames, (H, W, 3) uint8 RGB, read one after the other.
        truth: of each frame, COCO annotations without `image_id`, with `instance_id`.
    """

    images: Callable[[], Iterator[np.ndarray]]
    truth: Sequence[Sequence[Mapping[str, Any]]]


class RandomLooks(Looks):
    """Control: quarters drawn at random, always the same."""

    def __init__(self, budget: int) -> None:
        super().__init__(budget)
        self._rng = np.random.default_rng([31, budget])

    def choose(
        self, views: Sequence[View], size: tuple[int, int], hints_xyxy: np.ndarray, asked_xyxy: np.ndarray
    ) -> list[int]:
        return sorted(self._rng.choice(NUM_QUARTERS, self.budget, replace=False).tolist())


def new_stage(network: Any, budget: int, at_random: bool = False) -> DetectStage:
    """The stage with so many looks in each run, and with a detector that is there already."""
    config = DetectConfig(every=1, max_detections=100, looks=budget)
    scores = ScoreThresholds(detect=_MIN_SCORE)
    stage = DetectStage(config, scores, MemoryBudgets(), torch.device("cpu"))
    stage.detector = network
    if at_random:
        stage.looks = RandomLooks(budget)
    return stage


METHODS: Mapping[str, Callable[[Any], DetectStage]] = {
    "whole frame": partial(new_stage, budget=0),
    "1 quarter": partial(new_stage, budget=1),
    "control: 1 at random": partial(new_stage, budget=1, at_random=True),
    "2 quarters": partial(new_stage, budget=2),
    "control: 2 at random": partial(new_stage, budget=2, at_random=True),
    "4 quarters": partial(new_stage, budget=4),
}


def stills(pictures: Sequence[LabelledPicture]) -> list[Scene]:
    """Each picture by itself."""
    return [Scene(lambda one=one: iter([read_image(one.file)]), [_seen_in(one, None)]) for one in pictures]


def pans(pictures: Sequence[LabelledPicture], num_frames: int = _PAN_FRAMES) -> list[Scene]:
    """Over each picture one pan, always the same."""
    scenes = []
    for number, picture in enumerate(pictures):
        height, width = read_image(picture.file).shape[:2]
        wide, high = int(_PAN_SIDE * width), int(_PAN_SIDE * height)
        begin, end = np.random.default_rng([32, number]).random((2, 2)) * (width - wide, height - high)
        places = np.linspace(begin, end, num_frames).astype(int).tolist()
        windows = [View(left, top, left + wide, top + high) for left, top in places]
        scenes.append(
            Scene(
                lambda one=picture, windows=windows: _cut_outs(one, windows),
                [_seen_in(picture, window) for window in windows],
            )
        )
    return scenes


def videos(root: Path, every: int = DetectConfig().every) -> list[Scene]:
    """The videos of a CocoVID or of ImageNet VID, with COCO's ids: every so many-th frame."""
    given = read_videos(root)
    names = {category_id: name for name, category_id in counterparts(given.categories).items()}
    scenes = []
    for video in given.videos:
        of_frame: dict[int, list[dict[str, Any]]] = {frame.image_id: [] for frame in video.frames}
        for one in video.truth():
            if one["category_id"] in names:
                of_frame[one["image_id"]].append({**one, "category_id": coco.ID_OF[names[one["category_id"]]]})
        few = replace(video, frames=video.frames[::every])
        scenes.append(Scene(few.images, [of_frame[frame.image_id] for frame in few.frames]))
    return scenes


def score(data: str, scenes: Sequence[Scene], methods: Sequence[str] = tuple(METHODS)) -> list[dict[str, Any]]:
    """A row for each method; the names of the columns are told above."""
    network = _SharedNetwork(SsdMobileNet(torch.device("cpu")))
    stages = {method: METHODS[method](network) for method in methods}
    tallies = {method: _Tally() for method in methods}
    truth: list[dict[str, Any]] = []
    frames = 0
    for number, scene in enumerate(scenes):
        for stage in stages.values():
            stage.reset()
        for index, (image, boxes) in enumerate(zip(scene.images(), scene.truth, strict=True)):
            frame = Frame("scene", index, index / 6, image)
            scale = _COCO_PX / max(frame.size)
            truth += [{**one, "image_id": frames, "bbox": [scale * side for side in one["bbox"]]} for one in boxes]
            network.forget()
            for method, stage in stages.items():
                network.saved_s = 0.0
                started = time.process_time()
                seen = stage.step(frame, StepResult.of(frame)).detections
                spent_s = time.process_time() - started + network.saved_s
                tallies[method].add(frames, number, boxes, seen, scale, spent_s)
            frames += 1
    return [
        {"data": data, "frames": frames, "looks": method} | one.row(truth, frames) for method, one in tallies.items()
    ]


class _SharedNetwork:
    """The network, whose maps of one frame are made once and serve all methods; what that saves is counted."""

    def __init__(self, network: SsdMobileNet) -> None:
        self._network, self._known = network, {}
        self.saved_s = 0.0

    def features(self, image: np.ndarray) -> Any:
        key = image.shape, image.tobytes()
        if key in self._known:
            maps, spent_s = self._known[key]
            self.saved_s += spent_s
            return maps
        started = time.process_time()
        maps = self._network.features(image)
        self._known[key] = maps, time.process_time() - started
        return maps

    def forget(self) -> None:
        self._known.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


class _Tally:
    """What one method found, in which time."""

    def __init__(self) -> None:
        self._found: list[list[float]] = []
        self._objects: dict[tuple[int, Any], bool] = {}
        self._spent_s = 0.0

    def add(
        self,
        image_id: int,
        scene: int,
        boxes: Sequence[Mapping[str, Any]],
        seen: Detections,
        scale: float,
        spent_s: float,
    ) -> None:
        self._spent_s += spent_s
        corners = seen.boxes_xyxy.astype(np.float64)
        sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1) * scale
        rows = zip(seen.class_ids.tolist(), sides.tolist(), seen.scores.tolist(), strict=True)
        self._found += [[image_id, class_id, *box, value] for class_id, box, value in rows]
        sure = seen.scores >= _FOUND_SCORE
        for one in boxes:
            if not one["iscrowd"]:
                key = scene, one["instance_id"]
                hit = _is_found(one, corners[sure], seen.class_ids[sure])
                self._objects[key] = self._objects.get(key, False) or hit

    def row(self, truth: Sequence[Mapping[str, Any]], frames: int) -> dict[str, Any]:
        table = np.array(self._found, np.float64).reshape(-1, 7)
        row: dict[str, Any] = {"objects": len(self._objects)}
        for name, areas in _SIZES.items():
            value = score_detections(truth, table, range(frames), coco.NAME_OF, areas_px=areas).mean("AP50")
            row[f"AP50{name}"] = None if value is None else round(value, 1)
        row["found %"] = round(100 * sum(self._objects.values()) / max(len(self._objects), 1), 1)
        row["CPU ms"] = round(1000 * self._spent_s / frames, 1)
        return row


def _is_found(one: Mapping[str, Any], boxes_xyxy: np.ndarray, class_ids: np.ndarray) -> bool:
    left, top, width, height = one["bbox"]
    box = np.array([[left, top, left + width, top + height]])
    same = boxes_xyxy[class_ids == one["category_id"]]
    return bool((box_iou(box, same) >= 0.5).any())


def _cut_outs(picture: LabelledPicture, windows: Sequence[View]) -> Iterator[np.ndarray]:
    image = read_image(picture.file)
    return (window.cut_out(image) for window in windows)


def _seen_in(picture: LabelledPicture, window: View | None) -> list[dict[str, Any]]:
    """What a window, or None for the whole picture, shows: objects, and crowds, which are of every class."""
    seen: list[dict[str, Any]] = []
    for number, (box, class_id) in enumerate(zip(picture.boxes_xyxy, picture.class_ids.tolist(), strict=True)):
        inside, share = _inside(box, window)
        if share > 0:
            entry = {"category_id": class_id, "instance_id": number, "bbox": inside}
            seen.append({**entry, "iscrowd": int(share < _MIN_SEEN)})
    for box in picture.crowds_xyxy:
        inside, share = _inside(box, window)
        if share > 0:
            seen += [{"category_id": one, "instance_id": -1, "bbox": inside, "iscrowd": 1} for one in coco.NAME_OF]
    return seen


def _inside(box: np.ndarray, window: View | None) -> tuple[list[float], float]:
    """Left, top, width and height of a box in a window, and the share of the box that this is."""
    if window is None:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]], 1.0
    low = np.maximum(box[:2], (window.left, window.top)) - (window.left, window.top)
    high = np.minimum(box[2:], (window.right, window.bottom)) - (window.left, window.top)
    sides = np.maximum(high - low, 0)
    return [*low.tolist(), *sides.tolist()], float(sides.prod() / max((box[2:] - box[:2]).prod(), 1e-9))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.studies.looks", description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=Path, help="pictures with masks and labels.json, every object labelled")
    parser.add_argument("--source", default="val2017", help="only pictures whose source says so (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="so many pictures at most, evenly spread")
    parser.add_argument(
        "--pans", type=int, default=60, help="so many of the pictures are panned (default: %(default)s)"
    )
    parser.add_argument("--videos", type=Path, help="a CocoVID, such as a composed benchmark, or ImageNet VID")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS), help="default: all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="looks")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    sets: dict[str, Callable[[], list[Scene]]] = {}
    if given.pictures:
        sets["pictures"] = lambda: stills(read_labelled_pictures(given.pictures, given.source, given.limit))
        if given.pans:
            sets["pans"] = lambda: pans(read_labelled_pictures(given.pictures, given.source, given.pans))
    if given.videos:
        sets["videos"] = lambda: videos(given.videos)
    if not sets:
        parser.error("name at least one of --pictures, --videos")
    rows: list[dict[str, Any]] = []
    for name, read in sets.items():
        rows += score(name, read(), given.methods)
        sys.stdout.write(markdown_table(rows))  # each set as it is done: a run takes long
    names = {path: name for path, name in ((given.pictures, "COCO"), (given.videos, "COMPOSED")) if path}
    command = command_line(words, names).replace("streamvos", "python -m eval.studies.looks", 1)
    meta = {"command": command, "data": ", ".join(sets), "seed": 0, "fps": None, "threads": given.threads}
    write_results(given.name, rows, meta, given.out, _headline(rows))


def _headline(rows: Sequence[Mapping[str, Any]]) -> Headline | None:
    """One quarter chosen by memory against one drawn at random, on the last set that has both."""
    last = {row["looks"]: row for row in rows if row["data"] == rows[-1]["data"]}
    ours, control = last.get("1 quarter"), last.get("control: 1 at random")
    if ours is None or control is None:
        return None
    return Headline(f"AP50, 1 quarter, {ours['data']}", ours["AP50"], control["AP50"], "1 quarter at random")


if __name__ == "__main__":
    main()
