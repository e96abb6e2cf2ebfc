"""What counts as blurred, noisy and dark, and when a lasting change becomes the new normal."""

import numpy as np
import pytest

from pipelines.frame_quality import GateConfig, QualityGate, judge_quality, measure_quality
from streamvos.errors import InputError


@pytest.mark.parametrize(
    ("now", "word"),
    [((10, 2, 100), None), ((5, 2, 100), "blurred"), ((30, 9, 100), "noisy"), ((4, 2, 30), "dark")],
    ids=["clean", "blurred", "noisy", "dark"],
)
def test_quality_is_judged_against_the_shot(now, word):
    reason = judge_quality(np.array(now, float), np.array([10.0, 2, 100]), GateConfig())
    assert (reason is None) if word is None else reason.startswith(word)


def test_quality_is_measured_in_the_right_direction():
    rng = np.random.default_rng(0)
    flat = np.full((60, 60), 120, np.uint8)
    checks = (np.indices((60, 60)).sum(axis=0) // 6 % 2 * 120 + 60).astype(np.uint8)
    noisy = np.clip(flat + rng.normal(0, 12, flat.shape), 0, 255).astype(np.uint8)
    assert measure_quality(flat).tolist() == [0, 0, 120]
    assert measure_quality(checks)[0] > 5 * measure_quality(checks // 10)[0]
    assert measure_quality(noisy)[1] == pytest.approx(12 * 0.84, rel=0.15)  # median of |n|, times sqrt(pi/2)


def bright(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 256, (80, 80, 3), dtype=np.uint8)


def test_a_lasting_change_becomes_the_new_normal():
    gate = QualityGate(GateConfig(), max_in_a_row=3)
    assert [gate.judge(bright()) for _ in range(4)] == [None] * 4
    reasons = [gate.judge(bright() // 8) for _ in range(6)]
    assert [reason is None for reason in reasons] == [False] * 3 + [True] * 3
    assert reasons[0].startswith("dark: brightness 22, usual in this shot ")


def test_the_first_frames_of_a_shot_are_not_judged():
    gate = QualityGate(GateConfig())
    for _ in range(3):
        gate.judge(bright())
    assert gate.judge(bright() // 8) is not None
    gate.reset()
    assert [gate.judge(image) is None for image in (bright() // 8, bright())] == [True, True]


def test_restored_it_judges_the_same_way():
    gate, other = QualityGate(GateConfig()), QualityGate(GateConfig())
    for seed in range(4):
        gate.judge(bright(seed))
    other.load_state_dict(gate.state_dict())
    for image in (bright() // 8, bright(), bright() // 8):
        assert gate.judge(image) == other.judge(image)


@pytest.mark.parametrize("wrong", [{"min_sharpness": -0.1}, {"max_noise": 0.5}, {"min_brightness": 1.5}], ids=str)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=f"setting detect.gate.{next(iter(wrong))}: expected a number"):
        GateConfig(**wrong)
