"""Detections made into tracks without masks: by overlap alone, by ByteTrack, by OC-SORT.

ByteTrack (Zhang et al., ECCV 2022) and OC-SORT (Cao et al., CVPR 2023) as the package `trackers` has them, with its own
thresholds. Both leave classes out: boxes of any class are linked. Where the detector does not run on every frame, they
get the frames on which it runs, with the rate of these; in between stands the Kalman filter's prediction of every track
that was found at the last run. The package is installed apart (see `INSTALL`): it asks for opencv-python, which
overwrites the opencv-python-headless that this project uses.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from pipelines.graph.build import GraphConfig
from pipelines.session import Session
from streamvos.boxes import box_iou
from streamvos.errors import InputError
from streamvos.export.boxes import box_line
from streamvos.records import Detections

INSTALL = "pip install --no-deps 'trackers>=2.6' 'supervision>=0.26' defusedxml pydeprecate"
KALMAN_LINKERS = {"ByteTrack": "ByteTrackTracker", "OC-SORT": "OCSORTTracker"}  # name: class of the package
LOWEST_SCORE = 0.1  # of detections that they get; ByteTrack's second association needs the doubtful ones
Track = tuple[int, np.ndarray, float]  # object_id, (4,) box xyxy, score
# An (H, W, 3) uint8 RGB frame and its time in seconds in, its lines of a MOT file out.
Follower = Callable[[np.ndarray, float], str]


class IouLinker:
    """The simplest tracker: no motion, no appearance; a box that fits none of the frame before is a new object.

    Args:
        min_iou: boxes that overlap less are two objects.
    """

    def __init__(self, min_iou: float = 0.3) -> None:
        self._min_iou, self._next_id = min_iou, 1
        self._last: list[tuple[int, np.ndarray, int]] = []  # object_id, (4,) box xyxy, class_id

    def link(self, found: Detections) -> list[Track]:
        """The detections of the next frame, each with an identity."""
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


class KalmanLinker:
    """A tracker of the package `trackers` with its default thresholds.

    Args:
        name: out of `KALMAN_LINKERS`.
        rate: of the frames that it gets, each second; it scales how long lost tracks are kept.

    Raises:
        InputError: the package is not installed.
    """

    def __init__(self, name: str, rate: Fraction) -> None:
        self._tracker = _tracker_class(name)(frame_rate=float(rate))
        self._scores: dict[int, float] = {}

    def link(self, found: Detections) -> list[Track]:
        """The detections of the next frame that belong to a confirmed track."""
        linked = self._tracker.update(found.to_supervision())
        ids = np.asarray(linked.tracker_id, np.int64)
        rows = [row for row in range(len(linked)) if ids[row] >= 0]
        tracks = [(int(ids[row]) + 1, linked.xyxy[row], float(linked.confidence[row])) for row in rows]
        self._scores = {object_id: score for object_id, _, score in tracks}
        return tracks

    def predict(self, share: float) -> list[Track]:
        """Where the tracks of the last frame are, a share of the time to the next one later."""
        tracks = []
        for track in self._tracker.tracks:
            if track.tracker_id + 1 in self._scores and track.time_since_update == 0:
                state = copy.deepcopy(track.state_estimator)
                state.predict(share)
                box = np.asarray(state.state_to_bbox(), np.float64).reshape(4)
                tracks.append((track.tracker_id + 1, box, self._scores[track.tracker_id + 1]))
        return tracks


def require_trackers() -> None:
    """Raise `InputError` where the package `trackers` is missing, before anything has run."""
    for name in KALMAN_LINKERS:
        _tracker_class(name)


def default_thresholds(name: str) -> str:
    """The package's thresholds of a linker, for the notes of a result."""
    parameters = inspect.signature(_tracker_class(name).__init__).parameters.values()
    numbers = (each for each in parameters if isinstance(each.default, (int, float)) and each.name != "frame_rate")
    return ", ".join(f"{each.name} {each.default}" for each in numbers)


def follow_by_overlap(config: GraphConfig) -> Follower:
    """Each frame seen alone, and boxes of one class that overlap most from frame to frame take over the identity."""
    session, linker = _detector(config), IouLinker()

    def follow(image: np.ndarray, time_s: float) -> str:
        result = session.step(image, time_s)
        return _lines(result.frame_index, linker.link(result.detections))

    return follow


def follow_by_kalman(name: str, config: GraphConfig, rate: Fraction, every: int) -> Follower:
    """Every `every`-th frame seen alone, down to doubtful detections, and linked; predicted in between.

    Args:
        name: out of `KALMAN_LINKERS`. config: of the graph. rate: frames of the video each second.
        every: 1 for the detector on every frame.
    """
    scores = replace(config.scores, detect=min(LOWEST_SCORE, config.scores.detect))
    session, linker = _detector(replace(config, scores=scores)), KalmanLinker(name, rate / every)
    index = -1

    def follow(image: np.ndarray, time_s: float) -> str:
        nonlocal index
        index += 1
        if index % every:
            return _lines(index, linker.predict(index % every / every))
        return _lines(index, linker.link(session.step(image, time_s).detections))

    return follow


def _detector(config: GraphConfig) -> Session:
    detect = replace(config.detect, every=1, memory=False)
    return Session(replace(config, stages=("detect",), detect=detect))


def _lines(frame_index: int, tracks: list[Track]) -> str:
    return "".join(box_line(frame_index, *track) for track in tracks)


def _tracker_class(name: str) -> Any:
    try:
        import trackers  # an optional package
    except ImportError as error:
        raise InputError(
            f"eval mot --baseline links by {' and '.join(KALMAN_LINKERS)} of the package trackers, which is not "
            f"installed ({error}): {INSTALL}"
        ) from None
    return getattr(trackers, KALMAN_LINKERS[name])
