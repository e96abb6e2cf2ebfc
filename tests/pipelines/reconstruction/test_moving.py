"""What may move: boxes of movable classes, held for some frames, and corners against the camera."""

import dataclasses

import numpy as np

from pipelines.reconstruction.moving import MovableFinder, contradicting_area, find_movable
from streamvos.records import Detections, Frame, StepResult

MOVABLE = frozenset({"box"})
DETECTIONS = Detections(
    np.array([[20, 40, 60, 80]], np.float32),
    np.array([0.9], np.float32),
    np.array([1], np.int64),
    ("box",),
    np.array([-1], np.int64),
)


def result_at(index: int, detections: Detections | None = None, is_cut: bool = False) -> StepResult:
    frame = Frame("s", index, index / 30, np.zeros((192, 256, 3), np.uint8))
    return dataclasses.replace(StepResult.of(frame), detections=detections, is_cut=is_cut)


def test_boxes_are_scaled_with_the_picture_and_count_by_class_and_score():
    area = find_movable((96, 128), (192, 256), None, DETECTIONS, MOVABLE, 0.4).area
    assert area.sum() == 20 * 20
    for classes, min_score in ((frozenset({"person"}), 0.4), (MOVABLE, 0.95)):
        assert not find_movable((96, 128), (192, 256), None, DETECTIONS, classes, min_score).area.any()


def test_boxes_hold_for_some_frames_until_a_cut_a_reset_or_newer_ones():
    finder = MovableFinder(MOVABLE, 0.4, hold_frames=3)

    def areas(*results: StepResult) -> list[bool]:
        return [bool(finder.find(result, (192, 256)).area.any()) for result in results]

    assert areas(result_at(0, DETECTIONS), *map(result_at, range(1, 5))) == [True, True, True, True, False]
    assert areas(result_at(5, DETECTIONS), result_at(6, is_cut=True)) == [True, False]
    nothing = Detections(
        *(array[:0] for array in (DETECTIONS.boxes_xyxy, DETECTIONS.scores, DETECTIONS.class_ids)),
        (),
        DETECTIONS.object_ids[:0],
    )
    assert areas(result_at(7, DETECTIONS), result_at(8, nothing)) == [True, False]
    assert areas(result_at(9, DETECTIONS)) == [True]
    finder.reset()
    assert areas(result_at(10)) == [False]


def test_corners_against_the_camera_count_only_in_company():
    crowd = np.array([[50.0, 50], [55, 52], [60, 48]])
    assert contradicting_area((100, 100), crowd)[50, 55]
    assert not contradicting_area((100, 100), crowd[:2]).any()
