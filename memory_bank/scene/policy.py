"""When the scene memory keeps, drops and carries: pure functions of numbers, apart from the stores."""

from __future__ import annotations

import numpy as np


def fuse_confidence(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Confidence in [0, 1] after an agreeing observation: the doubts multiply."""
    return 1.0 - (1.0 - old) * (1.0 - new)


def weaken_confidence(old: np.ndarray, doubt: float = 0.5) -> np.ndarray:
    """Confidence in [0, 1] after the camera looked through the point."""
    return old * (1.0 - doubt)


def rows_to_keep(confidence: np.ndarray, map_ids: np.ndarray, current_map: int, count: int) -> np.ndarray:
    """Rows (count,) of the points worth keeping, ascending: most confident first, ties to the current map.

    Points of earlier maps count for half: nothing can be localised against them any more.
    """
    worth = np.where(map_ids == current_map, confidence, 0.5 * confidence)
    order = np.argsort(-worth, kind="stable")
    return np.sort(order[: max(count, 0)])


def key_frame_to_drop(map_ids: np.ndarray, centres: np.ndarray, current_map: int) -> int:
    """Position of the key frame to give up: the oldest of another map, else the most crowded of this one.

    Args:
        map_ids: (K,) map of each key frame, oldest first.
        centres: (K, 3) positions of the cameras.
        current_map: the newest key frame, last, is never dropped, nor is the first of this map.
    """
    others = np.flatnonzero(map_ids != current_map)
    if len(others):
        return int(others[0])
    if len(centres) < 3:
        return 0
    gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    return 1 + int(np.argmin(gaps[:-1] + gaps[1:]))


def velocity_of(times_s: np.ndarray, centres: np.ndarray, min_span_s: float) -> np.ndarray:
    """Constant velocity (3,) that fits centres (T, 3) at times (T,) by least squares; zero for too short a span."""
    if len(times_s) < 2 or times_s.max() - times_s.min() < min_span_s:
        return np.zeros(3)
    offsets = times_s - times_s.mean()
    return offsets @ (centres - centres.mean(axis=0)) / (offsets @ offsets)
