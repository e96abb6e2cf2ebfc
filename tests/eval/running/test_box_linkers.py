"""Linkers of boxes: by overlap as computed by hand, ByteTrack and OC-SORT of `trackers` on straight paths."""

import importlib.util
import sys
from fractions import Fraction

import numpy as np
import pytest

from eval.running.box_linkers import (
    INSTALL,
    KALMAN_LINKERS,
    LOWEST_SCORE,
    IouLinker,
    KalmanLinker,
    default_thresholds,
    follow_by_kalman,
    require_trackers,
)
from pipelines.graph.build import GraphConfig
from streamvos.errors import InputError
from streamvos.records import Detections
from streamvos.video.sources import open_source

needs_trackers = pytest.mark.skipif(
    importlib.util.find_spec("trackers") is None, reason=f"trackers is not installed: {INSTALL}"
)
both = pytest.mark.parametrize("name", KALMAN_LINKERS)


def detections(*things: tuple[float, int], score: float = 0.5, side: float = 10) -> Detections:
    boxes = np.array([[left, 0, left + side, side] for left, _ in things], np.float32).reshape(-1, 4)
    kinds, count = np.array([kind for _, kind in things], np.int64), len(things)
    return Detections(boxes, np.full(count, score, np.float32), kinds, ("x",) * count, np.full(count, -1, np.int64))


def test_overlap_and_class_give_identities():
    linker = IouLinker(min_iou=0.3)

    def ids(*things: tuple[float, int]) -> list[int]:
        return [object_id for object_id, _, _ in linker.link(detections(*things))]

    assert ids() == []
    assert ids((0, 1), (50, 1)) == [1, 2]
    assert ids((51, 1), (1, 1)) == [2, 1]  # in any order
    assert ids((51, 3), (5, 1)) == [3, 1]  # another class is another thing
    assert ids((7, 1), (5, 1)) == [4, 1]  # the better fit keeps the identity
    assert ids((30, 1)) == [5]
    assert ids() == [] and ids((30, 1)) == [6]  # no memory of what was gone for a frame


@needs_trackers
@both
def test_two_who_cross_keep_their_identities(name: str):
    linker = KalmanLinker(name, Fraction(30))
    for time in range(30):
        tracks = linker.link(detections((20.0 * time, 1), (600 - 20.0 * time, 1), score=0.9, side=100))
    left = {object_id: box[0] for object_id, box, _ in tracks}
    assert sorted(left) == [1, 2] and sorted(left.values()) == [20, 580]
    assert linker.link(detections()) == []


@needs_trackers
@both
def test_prediction_between_two_frames(name: str):
    linker = KalmanLinker(name, Fraction(6))
    for time in range(12):
        linker.link(detections((40.0 * time, 1), score=0.9, side=100))
    moved = [linker.predict(share)[0][1] for share in (0.25, 0.5, 0.25)]
    assert [box[0] - 440 for box in moved] == pytest.approx([10, 20, 10], abs=3)  # asking changes nothing
    assert [box[2] - box[0] for box in moved] == pytest.approx([100] * 3, abs=3)
    linker.link(detections((480.0, 1), (900.0, 1), score=0.9, side=100))
    assert len(linker.predict(0.5)) == 1  # a track of one frame is not confirmed
    linker.link(detections())
    assert linker.predict(0.5) == []  # lost ones are not shown


@needs_trackers
def test_doubtful_detections_keep_a_track_alive():
    linker = KalmanLinker("ByteTrack", Fraction(30))
    for score in (0.9, 0.9, 0.2, 0.15):
        tracks = linker.link(detections((5, 1), score=score))
    assert [object_id for object_id, _, _ in tracks] == [1]


@needs_trackers
@both
def test_as_many_runs_as_ours(name: str, monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []
    link = KalmanLinker.link

    def watch(self: KalmanLinker, found: Detections) -> list:
        asked.extend(found.scores)
        return link(self, found)

    monkeypatch.setattr(KalmanLinker, "link", watch)
    config = GraphConfig(stages=("detect", "segment"))
    lines, runs = [], []
    with open_source("sample:bikes", start_index=30, max_frames=43) as source:
        follow = follow_by_kalman(name, config, Fraction(30), 4)
        for frame in source:
            before = len(asked)
            lines.append(follow(frame.image, float(frame.time_s)).splitlines())
            runs.append(len(asked) > before)
    assert runs == [index % 4 == 0 for index in range(len(runs))]
    assert LOWEST_SCORE <= min(asked) < config.scores.detect
    assert {line.split(",")[0] for line in lines[-2]} == {str(len(lines) - 1)}
    assert [line.split(",")[1] for line in lines[9]] == [line.split(",")[1] for line in lines[8]] != []


@needs_trackers
def test_thresholds_are_told():
    assert "track_activation_threshold 0.7" in default_thresholds("ByteTrack")
    assert "high_conf_det_threshold 0.6" in default_thresholds("OC-SORT")


def test_missing_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(InputError, match="pip install --no-deps 'trackers>=2.6'"):
        require_trackers()
