"""Masks as one polygon each, for formats that know no run lengths.

The polygon goes through the middles of the border's pixels, so that filling it (border included, as `cv2.fillPoly`
does) gives the mask back. One polygon cannot have holes: they are filled. Parts that lie apart are joined by a line
one pixel wide, between the two pixels that are nearest, as Ultralytics' converters do.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamvos.errors import InputError


def outline_of(mask: np.ndarray) -> np.ndarray:
    """The (P, 2) int32 xy pixels of one closed polygon around an (H, W) bool mask; empty where the mask is."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rings = sorted((ring[:, 0] for ring in found), key=lambda ring: (-cv2.contourArea(ring), ring.tolist()))
    if not rings:
        return np.zeros((0, 2), np.int32)
    joined = rings[0]
    for ring in rings[1:]:
        joined = _join(joined, ring)
    if len(joined) < 3:  # a pixel or a line of them: readers expect a corner more
        joined = np.concatenate([joined, np.repeat(joined[-1:], 3 - len(joined), axis=0)])
    return joined


def fill(polygon: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The (H, W) bool mask of a (P, 2) polygon in pixels, where a pixel's middle is at a half.

    Raises:
        InputError: it is no polygon, or a corner lies a whole picture or more outside.
    """
    far = max(size)
    if polygon.ndim != 2 or polygon.shape[1:] != (2,) or not len(polygon) or not (np.abs(polygon) <= 2 * far).all():
        raise InputError(f"a polygon: expected corners x,y within the picture of {size[1]}x{size[0]} pixels")
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.floor(polygon).astype(np.int32)], 1)
    return mask.astype(bool)


def _join(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Go round `one`, over to `other` at the nearest corners, round it, and back."""
    gaps = np.square(one[:, None].astype(np.int64) - other[None]).sum(axis=2)
    here, there = np.unravel_index(gaps.argmin(), gaps.shape)
    return np.concatenate([one[: here + 1], other[there:], other[: there + 1], one[here:]])
