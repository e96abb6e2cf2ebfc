"""Probability maps at the working size and masks at full size: to and fro, and clean."""

from __future__ import annotations

import cv2
import numpy as np


def drop_islands(probability: np.ndarray, min_share: float) -> None:
    """Set to 0, in place, the parts of an (h, w) probability map whose area is small beside the largest part."""
    count, labels, numbers, _ = cv2.connectedComponentsWithStats((probability > 0.5).astype(np.uint8), connectivity=8)
    if count <= 2:
        return
    areas = numbers[1:, cv2.CC_STAT_AREA]
    small = np.flatnonzero(areas < min_share * areas.max()) + 1
    if len(small):
        probability[np.isin(labels, small)] = 0.0


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


def keep_parts(probability: np.ndarray, parts: list[np.ndarray], kept: list[bool]) -> None:
    """Set to 0, in place, the parts of an (h, w) probability map that are not kept."""
    for part, is_kept in zip(parts, kept, strict=True):
        if not is_kept:
            probability[part] = 0.0


def withdraw(probabilities: np.ndarray, row: int) -> None:
    """Empty one of (N, h, w) shares in place, and give the others what it took from them (a softmax without it)."""
    own = probabilities[row].copy()
    probabilities[row] = 0.0
    there = own > 0.02
    if there.any() and len(probabilities) > 1:
        probabilities[:, there] = np.minimum(probabilities[:, there] / np.maximum(1.0 - own[there], 1e-3), 1.0)
