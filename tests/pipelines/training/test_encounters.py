"""Things of one class meet as their script says."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.training.encounters import KINDS, tracks, visit

SIZE, CANVAS = 40.0, 256


def distances(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(T,) of two things, and (2, T, 2) their courses; seeds in which neither leaves."""
    courses = tracks(np.random.default_rng(seed), kind, 2, 21, CANVAS, SIZE)
    return np.linalg.norm(courses[0] - courses[1], axis=1), courses


def inside(courses: np.ndarray) -> bool:
    return bool(((courses > 0) & (courses < CANVAS)).all())  # nobody leaves over the border


@pytest.mark.parametrize("kind", ["cross", "touch", "together"])
def test_they_come_near_and_part(kind: str) -> None:
    met = 0
    for seed in range(30):
        apart, courses = distances(kind, seed)
        if not inside(courses):
            continue
        met += 1
        assert apart.min() < 1.3 * SIZE, f"seed {seed}: they never meet"
        assert apart[-1] > apart.min() + 0.1 * SIZE, f"seed {seed}: they do not part"
    assert met >= 10


def test_those_that_cross_change_sides_and_those_that_touch_do_not() -> None:
    for kind, expected in (("cross", -1.0), ("touch", 1.0)):
        signs = []
        for seed in range(40):
            _, courses = distances(kind, seed)
            if inside(courses):
                before, after = courses[0, 0] - courses[1, 0], courses[0, -1] - courses[1, -1]
                signs.append(np.sign(before @ after))
        assert np.mean(signs) * expected > 0.8, kind


def changes(kind: str, first: int, last: int) -> float:
    """Mean change of where one is, seen from the other, between two of 21 frames, in sizes."""
    both = [courses for _, courses in (distances(kind, seed) for seed in range(40)) if inside(courses)]
    relative = [(courses[0] - courses[1])[[first, last]] for courses in both]
    return float(np.mean([np.linalg.norm(after - before) for before, after in relative])) / SIZE


def test_those_that_go_together_stay_side_by_side_for_a_while_and_part() -> None:
    assert changes("together", 8, 12) < 0.25 < 0.3 < changes("cross", 8, 12)
    assert changes("together", 12, 20) > 0.5


def test_who_overtakes_gains() -> None:
    assert changes("overtake", 0, 20) > 0.7


def test_a_visitor_is_there_first_leaves_and_mostly_returns() -> None:
    returned = 0
    for seed in range(20):
        course = visit(np.random.default_rng(seed), 24, CANVAS, SIZE)
        outside = ((course < -0.5 * SIZE) | (course > CANVAS + 0.5 * SIZE)).any(axis=1)
        assert not outside[0] and outside.any(), f"seed {seed}"
        returned += not outside[-1]
    assert returned >= 5


@pytest.mark.parametrize("count", [2, 6])
def test_shapes(count: int) -> None:
    for kind in KINDS:
        courses = tracks(np.random.default_rng(1), kind, count, 5, CANVAS, SIZE)
        assert courses.shape == (count, 5, 2) and np.isfinite(courses).all()
