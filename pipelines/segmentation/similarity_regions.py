"""Regions of a similarity map: where a lost object may be, and how much a mask looks like an object. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_BEST_CELLS = 9  # whose mean is the peak of a region
_FEWEST_CELLS = 6  # a region of fewer cells counts as if the rest were 0


@dataclass(frozen=True)
class Region:
    """A place that looks like an object.

    Args:
        cells: (h, w) bool.
        mean: similarity of its cells.
        peak: mean similarity of its best cells.
    """

    cells: np.ndarray
    mean: float
    peak: float


def inside(similarity: np.ndarray, share: np.ndarray) -> float:
    """Mean of an (h, w) similarity under an (h, w) share of cells; border cells count where there are no others."""
    weights = np.where(share > 0.5, share, 0.0) if np.count_nonzero(share > 0.5) > 1 else share
    total = float(weights.sum())
    return float((similarity * weights).sum() / total) if total > 0 else 0.0


def cells_of(share: np.ndarray) -> np.ndarray:
    """(h, w) bool: the cells that are mostly covered; of what is smaller than a cell, those that it touches."""
    mostly = share > 0.5
    return mostly if mostly.any() else share > 0


def best_region(similarity: np.ndarray, free: np.ndarray, least: float, reach: float) -> Region | None:
    """The most convincing connected region, with parts of like quality nearby: an occluder may split an object.

    Args:
        similarity: (h, w).
        free: (h, w) bool, cells that may be the object's.
        least: smoothed similarity from which a cell belongs to a region.
        reach: in cells, how far from the best part another may lie.
    """
    own = np.where(free, similarity, 0.0).astype(np.float32)
    smooth = cv2.blur(own, (3, 3), borderType=cv2.BORDER_REPLICATE)
    count, labels, numbers, centres = cv2.connectedComponentsWithStats(
        (smooth > least).astype(np.uint8), connectivity=8
    )
    parts = []
    for label in range(1, count):
        cells = (labels == label) & free
        values = np.sort(own[cells])[::-1]
        if len(values):
            parts.append((float(values[:_BEST_CELLS].sum() / min(_BEST_CELLS, max(_FEWEST_CELLS, len(values)))), label))
    if not parts:
        return None
    peak, best = max(parts)
    chosen = [best]
    for other_peak, label in parts:
        if label != best and other_peak > 0.75 * peak and _gap(numbers[best], numbers[label]) <= reach:
            chosen.append(label)
    cells = np.isin(labels, chosen) & free
    return Region(cells, float(own[cells].mean()), peak)


def overlaps(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two (h, w) bool regions of successive frames may be the same thing, a little moved."""
    grown = cv2.dilate(one.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return bool((grown & other).sum() > 0.3 * min(one.sum(), other.sum()))


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Cells between the boxes of two components."""
    apart = [
        max(other[low] - one[low] - one[size], one[low] - other[low] - other[size], 0)
        for low, size in ((cv2.CC_STAT_LEFT, cv2.CC_STAT_WIDTH), (cv2.CC_STAT_TOP, cv2.CC_STAT_HEIGHT))
    ]
    return float(np.hypot(*apart))
