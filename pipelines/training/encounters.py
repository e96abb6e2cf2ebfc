"""Where things of one class go when they meet: they cross, touch, walk together and part, overtake, leave and return.

Two people who cross became one mask, and then each other: clips whose objects wander on their own seldom show that.
"""

from __future__ import annotations

import numpy as np

KINDS = ("cross", "touch", "together", "overtake")
_LEAVE_SHARE = 0.2  # of things that also go out over the border and come back


def tracks(
    rng: np.random.Generator, kind: str, count: int, num_frames: int, canvas_px: int, size_px: float
) -> np.ndarray:
    """Courses of `count` things of about `size_px` that meet in the middle of a clip.

    Args:
        kind: "cross": they go through one another's place to the other side; "touch": they come near and turn back;
            "together": they join, go on side by side, and part; "overtake": one way, at different speeds.

    Returns:
        (count, T, 2) x and y of their centres in canvas pixels.
    """
    time = np.linspace(-1.0, 1.0, num_frames) + rng.uniform(-0.25, 0.25)  # they meet at 0
    meeting = rng.uniform(0.35, 0.65, 2) * canvas_px
    heading = _unit(rng.normal(0.0, 0.35) + (np.pi if rng.random() < 0.5 else 0.0))
    reach = size_px * rng.uniform(0.7, 1.4)
    found = np.empty((count, num_frames, 2))
    for index in range(count):
        side = -1.0 if index % 2 else 1.0
        rank = index // 2  # pairs that meet a little beside the first
        apart = size_px * np.array([rng.uniform(-0.35, 0.35), rng.uniform(-0.2, 0.2) + 0.3 * rank * side])
        moved = _script(rng, kind, time, side, index, reach, size_px)
        found[index] = meeting + apart + moved[:, None] * heading
        if kind == "together":
            found[index] += (0.5 * canvas_px * 0.3 * time)[:, None] * _unit(np.arctan2(heading[1], heading[0]) + 0.4)
        if rng.random() < _LEAVE_SHARE:
            found[index] += _excursion(rng, found[index], canvas_px, size_px)
    return found + rng.normal(0.0, 0.02 * size_px, found.shape)


def visit(rng: np.random.Generator, num_frames: int, canvas_px: int, size_px: float) -> np.ndarray:
    """(T, 2) course of one thing that is there, leaves over a border and comes back there or elsewhere."""
    start = rng.uniform(0.2, 0.8, 2) * canvas_px
    course = start + np.linspace(0.0, 1.0, num_frames)[:, None] * rng.uniform(-0.3, 0.3, 2) * canvas_px
    return course + _excursion(rng, course, canvas_px, size_px)


def _script(
    rng: np.random.Generator, kind: str, time: np.ndarray, side: float, index: int, reach: float, size_px: float
) -> np.ndarray:
    """(T,) pixels along the heading from where they meet."""
    if kind == "cross":
        return side * reach * rng.uniform(0.8, 1.2) * time
    near = size_px * rng.uniform(0.2, 0.45)
    if kind == "touch":
        return side * (near + reach * np.abs(time))
    if kind == "together":
        return side * (near + reach * np.clip(np.abs(time) - 0.45, 0.0, None) * 1.8)
    return reach * (0.5 + 0.6 * index) * time


def _excursion(rng: np.random.Generator, course: np.ndarray, canvas_px: int, size_px: float) -> np.ndarray:
    """(T, 2) to be added: out over a border at some time after the first frame, and back."""
    num_frames = len(course)
    middle, width = rng.uniform(0.3, 0.9) * num_frames, rng.uniform(0.2, 0.4) * num_frames
    bump = np.exp(-(((np.arange(num_frames) - middle) / width) ** 4))
    bump[0] = 0.0
    axis = int(rng.integers(2))
    border = -0.7 * size_px if rng.random() < 0.5 else canvas_px + 0.7 * size_px
    away = np.zeros((num_frames, 2))
    away[:, axis] = bump * (border - course[:, axis])
    return away


def _unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])
