import numpy as np
import pytest

from eval.metrics.depth import evaluate, pairs
from streamvos.errors import InputError

TRUTH = np.array([[1.0, 2.0, 0.0], [4.0, 4.0, 2.0]], np.float32)


def test_hand_computed_errors():
    estimate = np.array([[1.0, 3.0, 5.0], [4.0, 3.0, 0.0]], np.float32)
    errors = evaluate([pairs(estimate, TRUTH)])
    # Known on both sides: 1 for 1, 3 for 2, 4 for 4, 3 for 4.
    assert errors.abs_rel == pytest.approx((0 + 1 / 2 + 0 + 1 / 4) / 4)
    assert errors.rmse_m == pytest.approx(np.sqrt(2 / 4))
    assert errors.delta == pytest.approx(2 / 4)  # 3 for 4 is off by 1.33
    assert errors.coverage == pytest.approx(4 / 5) and errors.frame_coverage == 1


def test_perfect_up_to_scale():
    errors = evaluate([pairs(TRUTH / 7, TRUTH), pairs(TRUTH / 7, TRUTH)], align="map")
    assert (errors.abs_rel, errors.delta, errors.coverage) == (pytest.approx(0, abs=1e-7), 1, 1)
    assert evaluate([pairs(TRUTH / 7, TRUTH)]).delta == 0


def test_one_scale_a_map_shows_drift_and_one_a_frame_does_not():
    frames = [pairs(TRUTH * factor, TRUTH) for factor in (0.5, 1.0, 2.0)]
    assert evaluate(frames, align="frame").abs_rel == pytest.approx(0, abs=1e-7)
    assert evaluate(frames, align="map").abs_rel == pytest.approx((0.5 + 0 + 1) / 3)
    maps = [pairs(TRUTH * factor, TRUTH, map_id) for map_id, factor in enumerate((0.5, 1.0, 2.0))]
    assert evaluate(maps, align="map").abs_rel == pytest.approx(0, abs=1e-7)


def test_nothing_estimated():
    errors = evaluate([pairs(None, TRUTH), pairs(np.zeros_like(TRUTH), TRUTH)], align="map")
    assert (errors.abs_rel, errors.rmse_m, errors.delta) == (None, None, None)
    assert (errors.coverage, errors.frame_coverage, errors.num_frames) == (0, 0, 0)
    half = evaluate([pairs(None, TRUTH), pairs(TRUTH, TRUTH)])
    assert (half.abs_rel, half.frame_coverage, half.coverage) == (0, 0.5, 0.5)


def test_agrees_with_the_formulas_of_eigen():
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.5, 8, (4, 30, 40)).astype(np.float32)
    estimate = (truth * rng.lognormal(0, 0.2, truth.shape)).astype(np.float32)
    abs_rel, rmse, delta = [], [], []
    for have, want in zip(estimate, truth, strict=True):
        have = have * np.median(want) / np.median(have)
        abs_rel.append(np.mean(np.abs(want - have) / want))
        rmse.append(np.sqrt(np.mean((want - have) ** 2)))
        delta.append(np.mean(np.maximum(want / have, have / want) < 1.25))
    errors = evaluate([pairs(*both) for both in zip(estimate, truth, strict=True)], align="frame")
    assert (errors.abs_rel, errors.rmse_m) == pytest.approx((np.mean(abs_rel), np.mean(rmse)), rel=1e-5)
    assert errors.delta == pytest.approx(np.mean(delta))


def test_a_sample_keeps_the_counts():
    found = pairs(TRUTH, TRUTH, max_pixels=2)
    assert (len(found.truth), found.num_estimated, found.num_true) == (2, 5, 5)


def test_bad_input():
    with pytest.raises(InputError, match="size of the truth"):
        pairs(TRUTH[:1], TRUTH)
    with pytest.raises(InputError, match="at least one frame"):
        evaluate([])
    with pytest.raises(InputError, match="none, map or frame"):
        evaluate([pairs(TRUTH, TRUTH)], align="both")
