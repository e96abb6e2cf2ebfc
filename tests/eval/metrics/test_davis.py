import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.metrics.davis import boundary_map, boundary_measure, region_similarity, score_sequence, statistics
from streamvos.errors import InputError


def square(top: int, left: int, side: int = 10, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[top : top + side, left : left + side] = True
    return mask


EMPTY = np.zeros((60, 80), bool)


@pytest.mark.parametrize(
    "prediction, truth, expected",
    [
        pytest.param(square(10, 10), square(10, 10), 1.0, id="perfect"),
        pytest.param(EMPTY, EMPTY, 1.0, id="both-empty"),
        pytest.param(EMPTY, square(10, 10), 0.0, id="missed"),
        pytest.param(square(10, 10), EMPTY, 0.0, id="invented"),
        pytest.param(square(10, 10), square(10, 15), 50 / 150, id="half-shifted"),
    ],
)
def test_region_similarity(prediction, truth, expected):
    assert region_similarity(prediction, truth) == pytest.approx(expected)


def test_boundary_map_by_hand():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    expected = [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert boundary_map(mask).tolist() == expected


def test_boundary_map_at_the_border():
    mask = np.zeros((3, 3), bool)
    mask[1:, 1:] = True  # reaches the last row and column, where nothing lies beyond
    assert boundary_map(mask).tolist() == [[1, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert not boundary_map(np.ones((3, 3), bool)).any()


@pytest.mark.parametrize(
    "prediction, truth, expected",
    [
        pytest.param(square(10, 10), square(10, 10), 1.0, id="perfect"),
        pytest.param(EMPTY, EMPTY, 1.0, id="both-empty"),
        pytest.param(EMPTY, square(10, 10), 0.0, id="missed"),
        pytest.param(square(10, 10), EMPTY, 0.0, id="invented"),
        pytest.param(square(10, 10), square(10, 11), 1.0, id="within-the-tolerance-of-1px"),
        pytest.param(square(10, 10), square(40, 60), 0.0, id="far-away"),
    ],
)
def test_boundary_measure(prediction, truth, expected):
    assert math.ceil(0.008 * math.hypot(60, 80)) == 1
    assert boundary_measure(prediction, truth) == pytest.approx(expected)


def test_boundary_measure_by_hand():
    # Two vertical edges, after columns 9 and 19, against the first of them: all of the truth's 60 pixels are
    # met, half of the prediction's 120.
    prediction, truth = EMPTY.copy(), EMPTY.copy()
    prediction[:, 10:20] = True
    truth[:, 10:] = True
    assert boundary_measure(prediction, truth) == pytest.approx(2 * 0.5 * 1.0 / 1.5)


def test_boundary_measure_equals_the_uncropped_definition():
    rng = np.random.default_rng(3)
    for _ in range(20):
        masks = [cv2.blur(rng.random((150, 220)).astype(np.float32), (15, 15)) > 0.51 for _ in range(2)]
        edges = [boundary_map(mask) for mask in masks]
        away = [cv2.distanceTransform(1 - edge, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for edge in edges]
        radius = math.ceil(0.008 * math.hypot(150, 220))
        precision = (away[1][edges[0] > 0] <= radius + 1e-3).mean()
        recall = (away[0][edges[1] > 0] <= radius + 1e-3).mean()
        expected = 2 * precision * recall / (precision + recall)
        assert boundary_measure(*masks) == pytest.approx(expected)


def test_statistics_by_hand():
    # Quarters of 8 frames by the toolkit: edges at 0, 2, 4, 5, 7 with halves rounded up, ends included.
    got = statistics(np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.2, 0.2, 0.2]))
    assert got.mean == pytest.approx(4.6 / 8)
    assert got.recall == pytest.approx(3 / 8)  # 0.5 itself does not count
    assert got.decay == pytest.approx(1.0 - 0.2)


def test_first_and_last_frame_are_not_scored():
    truth = square(10, 10).astype(np.uint8)
    wrong = np.zeros_like(truth)
    score = score_sequence([wrong, truth, truth, wrong], [truth] * 4)
    assert score.region.tolist() == [[1.0, 1.0]]
    assert score.boundary.tolist() == [[1.0, 1.0]]
    assert score.jf_mean == 1.0


def test_objects_are_averaged_and_void_is_no_object():
    truth = square(10, 10).astype(np.uint8) + 2 * square(30, 50).astype(np.uint8)
    truth[0, 0] = 255
    half = np.where(truth == 1, 1, 0)  # the second object is missed
    score = score_sequence([truth, half, half, half], [truth] * 4)
    assert score.object_ids == (1, 2)
    assert score.percents()["J mean"] == [100.0, 0.0] and score.percents()["F recall"] == [100.0, 0.0]
    assert score.jf_mean == 0.5


@pytest.mark.parametrize(
    "predictions, truths, message",
    [
        pytest.param([square(1, 1)] * 2, [square(1, 1)] * 2, "at least 3 frames", id="too-short"),
        pytest.param([square(1, 1)] * 3, [square(1, 1)] * 4, "predictions end after 3", id="unequal"),
        pytest.param([EMPTY] * 3, [EMPTY] * 3, "no object", id="no-object"),
        pytest.param([EMPTY[1:]] * 3, [square(1, 1)] * 3, "expected a prediction of", id="wrong-size"),
    ],
)
def test_bad_input(predictions, truths, message):
    with pytest.raises(InputError, match=message):
        score_sequence(predictions, truths)


FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
OFFICIAL = json.loads((FIXTURES / "davis_official.json").read_text())["davis"]


@pytest.mark.parametrize("name", OFFICIAL)
def test_agrees_with_the_official_toolkit(name):
    with np.load(FIXTURES / "davis_masks.npz") as maps:
        truth, ours = maps[f"davis_{name}_truth"], maps[f"davis_{name}_ours"]
    got = score_sequence(ours, truth).percents()
    for measure in "JF":
        for part, statistic in (("M", "mean"), ("R", "recall"), ("D", "decay")):
            expected = np.multiply(100, OFFICIAL[name][measure][part])
            np.testing.assert_allclose(got[f"{measure} {statistic}"], expected, rtol=0, atol=1e-6)


def test_late_objects_are_scored_from_the_frame_after():
    first, second = square(10, 10).astype(np.uint8), 2 * square(30, 50).astype(np.uint8)
    truths = [first, first, first + second, first + second, first + second, first]
    predictions = [first, first, first, first + second, first, first]  # given in frame 2, right in 3, missed in 4
    score = score_sequence(predictions, truths, {1: 0, 2: 2})
    assert score.object_ids == (1, 2)
    assert score.region[0].tolist() == [1.0] * 4
    np.testing.assert_array_equal(score.region[1], [np.nan, np.nan, 1.0, 0.0])
    np.testing.assert_array_equal(score.boundary[1], [np.nan, np.nan, 1.0, 0.0])
    assert score.percents()["J mean"] == [100.0, 50.0] and score.percents()["J recall"] == [100.0, 50.0]
    assert score.jf_mean == 0.75


def test_objects_given_too_late_are_left_out(caplog):
    truth = square(10, 10).astype(np.uint8)
    score = score_sequence([truth] * 4, [truth] * 4, {1: 0, 2: 2})
    assert score.object_ids == (1,) and "objects [2]" in caplog.text
    with pytest.raises(InputError, match="no frame to score objects"):
        score_sequence([truth] * 4, [truth] * 4, {2: 3})
