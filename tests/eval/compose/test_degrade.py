"""Schedules keep their share and their times; each degradation does what its name says, more at each strength."""

from __future__ import annotations

import numpy as np
import pytest

from eval.compose.degrade import KINDS, PICTURE_KINDS, FramePlan, degrade, schedule
from eval.compose.settings import PRESETS
from streamvos.errors import InputError


def _picture() -> np.ndarray:
    rows, cols = np.mgrid[:480, :320]
    checks = ((rows // 10 + cols // 10) % 2 * 160 + 40).astype(np.uint8)
    return np.dstack([checks, 255 - checks, np.full_like(checks, 90)])


@pytest.mark.parametrize("seed", range(3))
def test_share_of_degraded_frames(seed: int) -> None:
    plans = schedule(PRESETS["degraded"], 3000, np.random.default_rng(seed))
    assert len(plans) == 3000
    assert abs(np.mean([plan.kind is not None for plan in plans]) - 0.4) < 0.04
    assert {(plan.kind, plan.strength) for plan in plans if plan.kind} == {(k, s) for k in KINDS for s in (1, 2, 3)}


def test_times_run_and_gaps_are_named() -> None:
    plans = schedule(PRESETS["degraded"], 600, np.random.default_rng(0))
    for before, plan in zip(plans, plans[1:], strict=False):
        step = plan.tick - before.tick
        assert (step > 1) == (plan.kind == "dropped")
        assert plan.shown_tick == (before.shown_tick if plan.kind == "frozen" else plan.tick)


def test_no_bursts_where_none_are_wanted() -> None:
    plans = schedule(PRESETS["dynamic"], 50, np.random.default_rng(0))
    assert [(plan.tick, plan.shown_tick, plan.kind) for plan in plans] == [(i, i, None) for i in range(50)]


@pytest.mark.parametrize("kind", PICTURE_KINDS)
def test_each_strength_is_worse(kind: str) -> None:
    picture = _picture()
    damage = []
    for strength in (1, 2, 3):
        plan = FramePlan(4, 4, kind, strength, angle=0.3)
        result = degrade(picture, plan, seed=1)
        assert result.shape == picture.shape and result.dtype == np.uint8
        assert np.array_equal(result, degrade(picture, plan, seed=1))
        damage.append(float(np.abs(result.astype(float) - picture).mean()))
    assert 1 < damage[0] < damage[1] < damage[2]


def test_dark_is_dark_and_a_smear_has_a_direction() -> None:
    picture = _picture()
    assert degrade(picture, FramePlan(0, 0, "dark", 3), 0).mean() < 0.3 * picture.mean()
    stripes = np.repeat((np.arange(320) // 8 % 2 * 200).astype(np.uint8)[None], 480, axis=0)
    stripes = np.dstack([stripes] * 3)
    along = degrade(stripes, FramePlan(0, 0, "motion_blur", 3, angle=np.pi / 2), 0)
    across = degrade(stripes, FramePlan(0, 0, "motion_blur", 3, angle=0.0), 0)
    assert along.std() > 0.95 * stripes.std() > 2 * across.std()


def test_clean_frozen_and_dropped_pictures_are_not_touched() -> None:
    picture = _picture()
    for kind in (None, "frozen", "dropped"):
        assert degrade(picture, FramePlan(3, 2, kind, 1), 0) is picture


def test_unknown_preset() -> None:
    from eval.compose.settings import preset_of

    with pytest.raises(InputError, match="did you mean 'degraded'"):
        preset_of("degradd")
