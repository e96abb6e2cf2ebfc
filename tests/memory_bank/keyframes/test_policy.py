"""When a view is written and which one is dropped, in numbers, policy by policy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from memory_bank.keyframes.policy import KeptViews, SmartPolicy, View, choose_views
from memory_bank.keyframes.published import Dam4SamPolicy, DmaotPolicy, FifoPolicy, GapPolicy, RmemPolicy

SMART = SmartPolicy(
    min_confidence=0.8,
    min_area_ratio=0.5,
    max_area_ratio=2.0,
    min_gap_frames=5,
    min_novelty=0.1,
    min_likeness=0.3,
    rival_margin=0.25,
    min_distractor=0.5,
    max_anchors=2,
)
GOOD = View(area_px=100, confidence=0.9, area_ratio=1.0, gap_frames=5, novelty=0.1)
ALL = [SMART, FifoPolicy(), GapPolicy(), DmaotPolicy(), RmemPolicy(), Dam4SamPolicy()]


def unit(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32).reshape(-1, 2)


def kept(
    frames: list[int],
    degrees: list[float],
    anchors: tuple[int, ...] = (),
    now: float = 180,
    fixed: tuple[float, ...] = (),
    attention: list[float] | None = None,
    num_reads: list[int] | None = None,
) -> KeptViews:
    """Views at angles of a plane, seen in `frames`; `anchors` are rows."""
    return KeptViews(
        np.array(frames),
        unit(*degrees),
        np.isin(np.arange(len(frames)), anchors),
        np.array(attention or [0.0] * len(frames)),
        np.array(num_reads or [0] * len(frames)),
        unit(now)[0],
        unit(*fixed),
    )


@pytest.mark.parametrize(
    ("change", "taken", "reason"),
    [
        ({}, True, "confidence 0.90, area ratio 1.00, novelty 0.100"),
        ({"confidence": 0.8}, True, "confidence 0.80"),
        ({"area_ratio": 0.5}, True, "area ratio 0.50"),
        ({"area_ratio": 2.0}, True, "area ratio 2.00"),
        ({"area_px": 0}, False, "not visible"),
        ({"gap_frames": 4}, False, "4 frames since the last key frame < 5"),
        ({"confidence": 0.79}, False, "confidence 0.79 < 0.80"),
        ({"area_ratio": 0.49}, False, "area 0.49 of the recent median, outside 0.50-2.00"),
        ({"area_ratio": 2.01}, False, "area 2.01 of the recent median"),
        ({"novelty": 0.09}, False, "novelty 0.090 < 0.100"),
        ({"likeness": 0.3}, True, "confidence 0.90"),
        ({"likeness": 0.29}, False, "likeness 0.29 to its first view (expected 0.30)"),
        ({"likeness": 0.75, "rival": 0.5}, True, "confidence 0.90"),
        ({"likeness": 0.74, "rival": 0.5}, False, "0.50 to another object's (margin 0.25)"),
        ({"likeness": 0.74, "rival": 0.5, "distractor": 0.9}, False, "0.50 to another object's (margin 0.25)"),
        ({"novelty": 0.0, "distractor": 0.5}, True, "anchor: distractor 0.50"),
        ({"confidence": 0.79, "distractor": 0.9}, False, "confidence 0.79 < 0.80"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_each_condition_of_smart(change: dict[str, float], taken: bool, reason: str) -> None:
    verdict = SMART.judge(dataclasses.replace(GOOD, **change))
    assert verdict.taken is taken and reason in verdict.reason
    assert verdict.anchor is (taken and "distractor" in change)


def test_smart_alone_tells_what_may_be_learned() -> None:
    slid = dataclasses.replace(GOOD, likeness=0.6, rival=0.5)
    assert not SMART.trusts(slid) and SMART.trusts(GOOD)
    assert all(policy.trusts(slid) for policy in ALL[1:])


def test_without_slots_for_anchors_there_are_none() -> None:
    verdict = dataclasses.replace(SMART, max_anchors=0).judge(dataclasses.replace(GOOD, distractor=1.0))
    assert verdict.taken and not verdict.anchor


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: type(policy).__name__)
def test_nobody_writes_what_is_not_visible_and_drops_where_there_is_room(policy) -> None:
    assert not policy.judge(dataclasses.replace(GOOD, area_px=0)).taken
    assert policy.judge(GOOD).taken
    views = kept([3, 9], [0, 40])
    assert policy.drop(views, False, 5) is None and policy.drop(views, True, 5) is None
    assert policy.drop(views, False, 2) is not None and policy.drop(kept([3], [0]), True, 1) is not None


@pytest.mark.parametrize("policy", [GapPolicy(5), DmaotPolicy(5), RmemPolicy(5)], ids=["gap", "dmaot", "rmem"])
def test_a_view_every_few_frames_however_doubtful(policy) -> None:
    doubtful = View(area_px=1, confidence=0.1, area_ratio=9.0, gap_frames=5, novelty=0.0)
    assert policy.judge(doubtful).taken
    assert not policy.judge(dataclasses.replace(doubtful, gap_frames=4)).taken
    assert FifoPolicy().judge(dataclasses.replace(doubtful, gap_frames=1)).taken


@pytest.mark.parametrize("policy", [FifoPolicy(), GapPolicy()], ids=["fifo", "gap"])
def test_oldest_goes_first(policy) -> None:
    assert policy.drop(kept([9, 4, 7], [0, 90, 1]), False, 3) == (1, "oldest of 3")


def test_dmaot_drops_what_is_least_like_now() -> None:
    drop = DmaotPolicy().drop(kept([9, 4, 7], [10, 60, -80], now=20), False, 3)
    assert drop.row == 2 and drop.reason == "similarity -0.174 to now, the lowest of 3"


def test_rmem_drops_the_lowest_bound_by_hand() -> None:
    policy = RmemPolicy(freshness=0.1)
    views = kept([1, 2, 3], [0, 0, 0], attention=[0.5, 0.2, 0.3], num_reads=[10, 10, 1])
    # T = 21, 2 log T = 6.089: bounds 0.5 + 0.078, 0.2 + 0.078, 0.3 + 0.247
    drop = policy.drop(views, False, 3)
    assert drop.row == 1 and drop.reason == "bound 0.278: attention 0.200 in 10 reads"
    old_and_used = kept([1, 2], [0, 0], attention=[0.3, 0.2], num_reads=[100, 1])
    assert policy.drop(old_and_used, False, 2).row == 0  # 0.3 + 0.030 against the fresh one's 0.2 + 0.304
    never_read = kept([1, 2], [0, 0], attention=[0.0, 0.0], num_reads=[0, 0])
    assert policy.drop(never_read, False, 2).row == 0


@pytest.mark.parametrize(
    ("change", "taken", "anchor"),
    [
        ({}, True, False),
        ({"distractor": 0.6}, True, True),
        ({"distractor": 0.4}, True, False),
        ({"distractor": 0.6, "confidence": 0.8}, True, False),
        ({"distractor": 0.6, "area_ratio": 1.21}, True, False),
        ({"distractor": 0.6, "area_ratio": 0.81}, True, True),
        ({"distractor": 0.6, "gap_frames": 4}, False, False),
    ],
    ids=str,
)
def test_conditions_of_dam4sam(change: dict[str, float], taken: bool, anchor: bool) -> None:
    verdict = Dam4SamPolicy().judge(dataclasses.replace(GOOD, **change))
    assert (verdict.taken, verdict.anchor) == (taken, anchor)


def test_recent_views_and_anchors_of_dam4sam_do_not_push_each_other_out() -> None:
    policy = Dam4SamPolicy()
    views = kept([1, 2, 3, 4, 5], [0] * 5, anchors=(0, 3))
    assert policy.drop(views, True, 5).row == 0  # two of two anchors
    assert policy.drop(views, False, 5).row == 1  # three of three recent ones
    assert policy.drop(views, True, 6) is None and policy.drop(views, False, 6).row == 1
    assert policy.drop(kept([5], [0]), True, 1).row == 0  # one slot has no room for two kinds


def test_of_the_most_alike_pair_the_older_goes() -> None:
    drop = SMART.drop(kept([4, 30, 12, 20], [0, 50, 100, 52]), False, 4)
    assert drop.row == 3 and drop.reason.endswith("to frame 30")
    drop = SMART.drop(kept([20, 12, 30, 4], [0, 50, 100, 52]), False, 4)
    assert drop.row == 3 and drop.reason.endswith("to frame 12")


def test_what_stays_and_what_comes_make_a_view_redundant() -> None:
    views, more = [4, 30, 12], [0.0, 50.0, 100.0]
    drop = SMART.drop(kept(views, more, fixed=(99,)), False, 3)
    assert drop.row == 2 and drop.reason.endswith("to a view that stays")
    drop = SMART.drop(kept(views, more, now=49), False, 3)
    assert drop.row == 1 and drop.reason.endswith("to now")
    assert SMART.drop(kept([5], [0]), False, 1).row == 0


def test_anchors_of_smart_give_way_to_anchors_alone() -> None:
    views = kept([1, 2, 3, 4], [0, 1, 60, 120], anchors=(0, 1))
    assert SMART.drop(views, False, 4).row in (2, 3)
    assert SMART.drop(views, True, 9).row == 0  # as many as there may be, though there is room
    assert SMART.drop(kept([1, 2], [0, 1], anchors=(0,)), True, 9) is None
    assert SMART.drop(kept([1, 2], [0, 90], anchors=(0, 1), now=91), False, 2).row == 1  # nothing else is there


@pytest.mark.parametrize(
    ("count", "most", "likeness", "rows"),
    [
        (0, 3, None, []),
        (1, 3, None, [0]),
        (5, 1, None, [0]),
        (5, 3, None, [0, 3, 4]),
        (2, 8, None, [0, 1]),
        (5, 3, [9, 1, 5, 4, 2], [0, 2, 3]),
        (5, 3, [0, 3, 3, 3, 3], [0, 3, 4]),
        (3, 9, [0, 1, 2], [0, 1, 2]),
        (0, 2, [], []),
    ],
)
def test_which_views_are_read(count: int, most: int, likeness: list[float] | None, rows: list[int]) -> None:
    chosen = choose_views(count, most, None if likeness is None else np.array(likeness, float))
    assert chosen.dtype == np.int64 and chosen.tolist() == rows
