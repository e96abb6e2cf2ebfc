from __future__ import annotations

import numpy as np
import pytest

from apps.live.history import History, Moment, encode_jpeg, fitted
from streamvos import masks
from streamvos.records import Frame, ObjectMasks, SceneEstimate, StepResult


def moment(index: int, size: tuple[int, int] = (60, 80)) -> Moment:
    image = np.full((*size, 3), 10 * (index % 20), np.uint8)
    return Moment(image, StepResult.of(Frame("s", index, index / 10, image)))


def test_the_nearest_moment_comes_back():
    history = History(1 << 20)
    assert history.at(1.0) is None
    for index in range(10):
        history.add(moment(index))
    for asked, found in ((0.0, 0), (0.33, 3), (0.36, 4), (-5.0, 0), (99.0, 9)):
        assert history.at(asked).result.frame_index == found
    np.testing.assert_allclose(history.at(0.3).image.mean(), 30, atol=2)


def test_the_budget_holds_and_the_whole_video_stays_covered():
    budget = 40_000
    history = History(budget)
    for index in range(2000):
        history.add(moment(index))
        assert history.num_bytes <= budget
    gaps = np.diff([history.at(time_s).result.frame_index for time_s in np.linspace(0, 200, 21)])
    assert len(history) >= 6 and gaps.max() <= 3 * 2000 / len(history) + 100
    assert history.at(0.0).result.frame_index == 0


def test_a_moment_larger_than_the_budget_is_not_kept():
    history = History(100)
    history.add(moment(0))
    assert len(history) == 0 and history.num_bytes == 0


def test_depth_and_decisions_are_not_kept():
    image = np.zeros((60, 80, 3), np.uint8)
    scene = SceneEstimate(0, np.eye(4), np.eye(3), "metric", "ok", depth_m=np.ones((60, 80), np.float32))
    result = StepResult("s", 0, 0.0, (60, 80), scene=scene)
    history = History(1 << 20)
    history.add(Moment(image, result))
    assert history.at(0.0).result.scene is None


@pytest.mark.parametrize("max_side_px", [40, 80, 500])
def test_masks_and_boxes_are_fitted_with_the_picture(max_side_px):
    mask = np.zeros((60, 80), bool)
    mask[20:40, 40:60] = True
    image = np.zeros((60, 80, 3), np.uint8)
    image[mask] = 200
    seen = ObjectMasks(
        (60, 80), np.array([7], np.int64), (masks.encode(mask),), masks.tight_box(mask)[None].astype(np.float32),
        np.ones(1, np.float32), ("tracked",), ("dog",),
    )  # fmt: skip
    small = fitted(image, StepResult("s", 0, 0.0, (60, 80), masks=seen), max_side_px)
    side = min(max_side_px, 80)
    assert small.image.shape == (side * 3 // 4, side, 3) and small.result.masks.size == small.image.shape[:2]
    inside = masks.decode(small.result.masks.rles[0])
    assert small.image[inside].min() > 150 and small.image[~inside].max() < 50
    np.testing.assert_allclose(small.result.masks.boxes_xyxy[0], np.array([40, 20, 60, 40]) * side / 80)


def test_jpeg_keeps_the_order_of_colours():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 220
    history = History(1 << 20)
    history.add(Moment(red, StepResult("s", 0, 0.0, (16, 16))))
    assert history.at(0).image[..., 0].mean() > 180 > 60 > history.at(0).image[..., 2].mean()
    assert encode_jpeg(red)[:2] == b"\xff\xd8"
