"""When a view is written and which one is dropped, in numbers, policy by policy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from memory_bank.keyframes.config import KeyFrameConfig, policy_settings
from memory_bank.keyframes.policy import KeptViews, View, choose_views
from memory_bank.keyframes.published import Dam4SamPolicy, DmaotPolicy, FifoPolicy, GapPolicy, RmemPolicy
from memory_bank.keyframes.smart import SmartPolicy
from streamvos.errors import InputError

SMART = SmartPolicy(min_gap_frames=5, min_confidence=0.8, min_novelty=0.1, min_similarity=0.3, max_anchors=2)
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
    ("change", "taken", "reason", "numbers"),
    [
        ({}, True, "it shows something new", {"confidence": 0.9, "area_ratio": 1.0, "novelty": 0.1}),
        ({"confidence": 0.8}, True, "new", {"confidence": 0.8}),
        ({"area_ratio": 0.6}, True, "new", {"area_ratio": 0.6}),
        ({"area_ratio": 1.67}, True, "new", {"area_ratio": 1.67}),
        ({"area_px": 0}, False, "it is not visible", {}),
        ({"gap_frames": 4}, False, "it is too soon after the last one", {"gap_frames": 4, "min_gap_frames": 5}),
        ({"confidence": 0.79}, False, "the mask is not sure enough", {"confidence": 0.79, "min_confidence": 0.8}),
        ({"area_ratio": 0.59}, False, "its area is unlike that of recent frames", {"area_ratio": 0.59}),
        ({"area_ratio": 1.68}, False, "its area is unlike", {"area_ratio": 1.68}),
        ({"novelty": 0.09}, False, "it shows nothing new", {"novelty": 0.09}),
        ({"similarity": 0.3}, True, "new", {}),
        ({"similarity": 0.29}, False, "it is not like its first view", {"similarity": 0.29}),
        ({"similarity": 0.75, "nearest_other": 0.625}, True, "new", {}),
        ({"similarity": 0.74, "nearest_other": 0.65}, False, "too much like another object", {"nearest_other": 0.65}),
        ({"similarity": 0.74, "nearest_other": 0.65, "distractor": 0.9}, False, "too much like another object", {}),
        ({"novelty": 0.0, "distractor": 0.5}, True, "something beside it looks alike", {"distractor": 0.5}),
        ({"confidence": 0.79, "distractor": 0.9}, False, "not sure enough", {}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_each_condition_of_smart(change: dict[str, float], taken: bool, reason: str, numbers: dict[str, float]) -> None:
    decision = SMART.judge(dataclasses.replace(GOOD, **change))
    assert decision.taken is taken and reason in decision.reason
    assert numbers.items() <= decision.numbers.items()
    assert decision.anchor is (taken and "distractor" in change)


@pytest.mark.parametrize(
    ("setting", "value"), [("min_confidence", 1.1), ("min_gap_frames", -1), ("max_anchors", 1.5)], ids=str
)
def test_settings_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"setting keyframes.smart.{setting}: expected"):
        SmartPolicy(**{setting: value})


def test_every_policy_is_its_own_settings() -> None:
    kinds = policy_settings()
    assert set(kinds.values()) == {type(policy) for policy in ALL}
    assert all(type(KeyFrameConfig(policy=name).rules) is kind for name, kind in kinds.items())


def test_smart_alone_tells_what_may_be_learned() -> None:
    slid = dataclasses.replace(GOOD, similarity=0.6, nearest_other=0.55)
    assert not SMART.trusts(slid) and SMART.trusts(GOOD)
    assert all(policy.trusts(slid) for policy in ALL[1:])


def test_without_slots_for_anchors_there_are_none() -> None:
    decision = dataclasses.replace(SMART, max_anchors=0).judge(dataclasses.replace(GOOD, distractor=1.0))
    assert decision.taken and not decision.anchor


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
    assert policy.drop(kept([9, 4, 7], [0, 90, 1]), False, 3) == (1, "it is the oldest", {"candidates": 3})


def test_dmaot_drops_what_is_least_like_now() -> None:
    drop = DmaotPolicy().drop(kept([9, 4, 7], [10, 60, -80], now=20), False, 3)
    assert drop.row == 2 and drop.reason == "it is the least like what is seen now"
    assert drop.numbers["similarity"] == pytest.approx(np.cos(np.radians(100)), abs=1e-6)


def test_rmem_drops_the_lowest_bound_by_hand() -> None:
    policy = RmemPolicy(freshness=0.1)
    views = kept([1, 2, 3], [0, 0, 0], attention=[0.5, 0.2, 0.3], num_reads=[10, 10, 1])
    # T = 21, 2 log T = 6.089: bounds 0.5 + 0.078, 0.2 + 0.078, 0.3 + 0.247
    drop = policy.drop(views, False, 3)
    assert drop.row == 1 and drop.numbers == {"bound": pytest.approx(0.278, abs=5e-4), "attention": 0.2, "reads": 10}
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
    decision = Dam4SamPolicy().judge(dataclasses.replace(GOOD, **change))
    assert (decision.taken, decision.anchor) == (taken, anchor)


def test_recent_views_and_anchors_of_dam4sam_do_not_push_each_other_out() -> None:
    policy = Dam4SamPolicy()
    views = kept([1, 2, 3, 4, 5], [0] * 5, anchors=(0, 3))
    assert policy.drop(views, True, 5).row == 0  # two of two anchors
    assert policy.drop(views, False, 5).row == 1  # three of three recent ones
    assert policy.drop(views, True, 6) is None and policy.drop(views, False, 6).row == 1
    assert policy.drop(kept([5], [0]), True, 1).row == 0  # one slot has no room for two kinds


def test_of_the_most_alike_pair_the_older_goes() -> None:
    drop = SMART.drop(kept([4, 30, 12, 20], [0, 50, 100, 52]), False, 4)
    assert drop.row == 3 and drop.numbers["to_frame"] == 30
    drop = SMART.drop(kept([20, 12, 30, 4], [0, 50, 100, 52]), False, 4)
    assert drop.row == 3 and drop.numbers["to_frame"] == 12


def test_what_stays_and_what_comes_make_a_view_redundant() -> None:
    views, more = [4, 30, 12], [0.0, 50.0, 100.0]
    drop = SMART.drop(kept(views, more, fixed=(99,)), False, 3)
    assert drop.row == 2 and drop.reason.endswith("like one that stays")
    drop = SMART.drop(kept(views, more, now=49), False, 3)
    assert drop.row == 1 and drop.reason.endswith("like what is seen now")
    assert SMART.drop(kept([5], [0]), False, 1).row == 0


def test_anchors_of_smart_give_way_to_anchors_alone() -> None:
    views = kept([1, 2, 3, 4], [0, 1, 60, 120], anchors=(0, 1))
    assert SMART.drop(views, False, 4).row in (2, 3)
    assert SMART.drop(views, True, 9).row == 0  # as many as there may be, though there is room
    assert SMART.drop(kept([1, 2], [0, 1], anchors=(0,)), True, 9) is None
    assert SMART.drop(kept([1, 2], [0, 90], anchors=(0, 1), now=91), False, 2).row == 1  # nothing else is there


@pytest.mark.parametrize(
    ("count", "most", "similarity", "rows"),
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
def test_which_views_are_read(count: int, most: int, similarity: list[float] | None, rows: list[int]) -> None:
    chosen = choose_views(count, most, None if similarity is None else np.array(similarity, float))
    assert chosen.dtype == np.int64 and chosen.tolist() == rows
