"""Probability maps at the working size and masks at full size: to and fro, and clean. Nothing is edited in place."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

_FAR = 0.35  # of the square root of a mask's area: a leg behind a table is nearer, another thing often is not


def without_islands(probability: np.ndarray, min_share: float) -> np.ndarray:
    """An (h, w) probability map without the parts whose area is small beside the largest part."""
    count, labels, numbers, _ = cv2.connectedComponentsWithStats((probability > 0.5).astype(np.uint8), connectivity=8)
    if count <= 2:
        return probability
    areas = numbers[1:, cv2.CC_STAT_AREA]
    small = np.flatnonzero(areas < min_share * areas.max()) + 1
    return np.where(np.isin(labels, small), np.float32(0), probability) if len(small) else probability


def without_far_parts(mask: np.ndarray) -> np.ndarray:
    """An (H, W) bool mask without the parts that lie far from its largest: a box holds other things, too."""
    parts = parts_of(mask)
    if len(parts) < 2:
        return mask
    away = cv2.distanceTransform((~parts[0]).astype(np.uint8), cv2.DIST_L2, 5)
    reach = _FAR * np.sqrt(np.count_nonzero(mask))
    return np.logical_or.reduce([part for part in parts if away[part].min() <= reach])


def at_full_size(probability: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) probability to (H, W)."""
    return cv2.resize(probability, size[::-1], interpolation=cv2.INTER_LINEAR)


def shrink(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool to (h, w) bool."""
    return cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA) > 0


def parts_of(probability: np.ndarray) -> list[np.ndarray]:
    """(h, w) bool connected parts of a probability map or mask, the largest first."""
    count, labels, numbers, _ = cv2.connectedComponentsWithStats((probability > 0.5).astype(np.uint8), connectivity=8)
    order = np.argsort(-numbers[1:, cv2.CC_STAT_AREA], kind="stable") + 1
    return [labels == label for label in order[: count - 1]]


def without_parts(probability: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """An (h, w) probability map that is 0 in some of its parts."""
    return np.where(np.logical_or.reduce(parts), np.float32(0), probability) if parts else probability


def withdrawn(probabilities: np.ndarray, rows: Iterable[int]) -> np.ndarray:
    """(N, h, w) shares without some of them, the others with what these took from them (a softmax without them)."""
    rest = probabilities.copy()
    for row in rows:
        own = rest[row].copy()
        rest[row] = 0.0
        there = own > 0.02
        if there.any() and len(rest) > 1:
            rest[:, there] = np.minimum(rest[:, there] / np.maximum(1.0 - own[there], 1e-3), 1.0)
    return rest
