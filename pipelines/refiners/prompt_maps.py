"""Prompts as pictures: what the embedded refiner's network is told of a crop besides its pixels.

The last channel is what needs no training: the log-odds of object against background by colour histograms that start
from the prompt (as in `grabcut.py`), so that the network is told of colours that it never saw in training.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipelines.refiners.grabcut_parts import colour_bins, log_ratio

CHANNELS = 9  # box, is there a box, clicks on and off the object, coarse mask, is there one, x, y, odds
ODDS = 8
# The network was trained with all of these, so that none can change without new weights.
_SLOPE, _EVEN = 4.0, 1.2  # of the prior in a box or around clicks, see `GrabCutRules`
_REACH = 0.35  # of clicks, as a share of the crop's side: where the prior ends
_CLICK_SPREAD = 0.025  # standard deviation of a click's disc, as a share of the crop's side
_MASK_SLOPE, _MASK_BLUR = 3.0, 0.02  # of the prior in a coarse mask; its blur as a share of the crop's side
_COLOUR_ROUNDS = 2  # in which colours are learned from the prior and the odds from colours
_MOST = 6.0  # log-odds beyond it are cut off
_ODDS_LIMIT = 30.0  # beyond it a share is 0 or 1 in every way that matters


def prompt_maps(
    image: np.ndarray,
    box: np.ndarray | None = None,
    points: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    coarse: np.ndarray | None = None,
) -> np.ndarray:
    """All prompts of one object in a crop, (CHANNELS, S / 2, S / 2) float32; at least one is given.

    Args:
        image: (S, S, 3) uint8 RGB, S even.
        box: (4,) xyxy in pixels of the crop; it may reach beyond it.
        points: (P, 2) xy in pixels of the crop, with `labels` (P,) bool, True on the object.
        coarse: (S, S) float32 in [0, 1].
    """
    side = image.shape[0] // 2
    maps = np.zeros((CHANNELS, side, side), np.float32)
    centres = np.arange(side, dtype=np.float32) + 0.5
    x, y = centres[None, :], centres[:, None]
    if box is not None:
        x1, y1, x2, y2 = (float(value) / 2 for value in box)
        across = np.clip(np.minimum(x - x1, x2 - x) + 0.5, 0, 1)
        maps[0] = across * np.clip(np.minimum(y - y1, y2 - y) + 0.5, 0, 1)
        maps[1] = 1.0
    if points is not None:
        for (px, py), on in zip(points / 2, labels, strict=True):
            away = ((x - px) ** 2 + (y - py) ** 2) / (2 * (_CLICK_SPREAD * side) ** 2)
            row = 2 if on else 3
            np.maximum(maps[row], np.exp(-away), out=maps[row])
    if coarse is not None:
        maps[4] = 2.0 * _half(coarse) - 1.0
        maps[5] = 1.0
    maps[6], maps[7] = 2.0 * x / side - 1.0, 2.0 * y / side - 1.0
    maps[ODDS] = np.clip(_odds(image, maps, box, points, labels), -_MOST, _MOST) / _MOST
    return maps


def _odds(
    image: np.ndarray,
    maps: np.ndarray,
    box: np.ndarray | None,
    points: np.ndarray | None,
    labels: np.ndarray | None,
) -> np.ndarray:
    """(S / 2, S / 2) log-odds of the object: a prior from the prompt and, twice, the colours that follow from it."""
    side = maps.shape[1]
    if maps[5, 0, 0]:
        prior = _MASK_SLOPE * cv2.GaussianBlur(maps[4], (0, 0), _MASK_BLUR * side)
        inside = np.ones_like(prior)
    elif box is not None:
        x1, y1, x2, y2 = (float(value) / 2 for value in box)
        x, y = (maps[6] + 1) * side / 2, (maps[7] + 1) * side / 2
        radius = np.hypot((x - (x1 + x2) / 2) / max(1.0, (x2 - x1) / 2), (y - (y1 + y2) / 2) / max(1.0, (y2 - y1) / 2))
        prior, inside = _SLOPE * (_EVEN - radius), maps[0]
    else:
        prior, inside = _around_points(maps, points[labels] / 2), np.ones((side, side), np.float32)
    bins = colour_bins(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA))
    odds = prior
    for _ in range(_COLOUR_ROUNDS):
        share = inside / (1.0 + np.exp(-np.clip(odds, -_ODDS_LIMIT, _ODDS_LIMIT)))
        odds = prior + log_ratio(bins, share)
    return np.where(inside > 0, odds, -_MOST)


def _around_points(maps: np.ndarray, on: Sequence[np.ndarray]) -> np.ndarray:
    side = maps.shape[1]
    x, y = (maps[6] + 1) * side / 2, (maps[7] + 1) * side / 2
    away = np.min([np.hypot(x - px, y - py) for px, py in on], axis=0)
    return _SLOPE * (1.0 - away / (_REACH * side))


def _half(mask: np.ndarray) -> np.ndarray:
    side = mask.shape[0] // 2
    return cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
