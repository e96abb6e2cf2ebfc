"""Foreground masks against the labels of CDnet 2014 (Wang et al., CVPR Workshops 2014), by its seven measures.

Pixels are pooled over the frames of a video; a category is the mean of its videos, the whole the mean of its
categories. A shadow is background. What is outside the region of interest or unknown is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamvos.errors import InputError

STATIC, SHADOW, OUTSIDE, UNKNOWN, MOVING = 0, 50, 85, 170, 255
MEASURES = ("recall", "specificity", "FPR", "FNR", "PWC", "precision", "F")


@dataclass(frozen=True)
class Confusion:
    """Pixels counted; `+` pools them.

    Args:
        tp, fp, fn, tn: true and false positives and negatives; positive is moving.
        shadow: false positives that lie on shadows.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0
    shadow: int = 0

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(*(getattr(self, name) + getattr(other, name) for name in ("tp", "fp", "fn", "tn", "shadow")))


class Measures(NamedTuple):
    """Shares in [0, 1], PWC in percent; None where nothing was there to divide by."""

    recall: float | None
    specificity: float | None
    fpr: float | None
    fnr: float | None
    pwc: float | None
    precision: float | None
    f: float | None


def confusion(foreground: np.ndarray, labels: np.ndarray) -> Confusion:
    """Count one frame.

    Args:
        foreground: (H, W) bool, what was judged to move.
        labels: (H, W) uint8, the truth.

    Raises:
        InputError: sizes differ, or a label is none of CDnet's.
    """
    if foreground.shape != labels.shape:
        raise InputError(f"foreground: expected the size of the truth {labels.shape}, got {foreground.shape}")
    counts = np.stack([np.bincount(labels[foreground == side], minlength=256) for side in (False, True)])
    known = [STATIC, SHADOW, OUTSIDE, UNKNOWN, MOVING]
    odd = sorted(set(np.flatnonzero(counts.sum(axis=0)).tolist()) - set(known))
    if odd:
        raise InputError(f"labels: expected {', '.join(map(str, known))}, got {odd[:5]}")
    tn, fp = (int(side[STATIC] + side[SHADOW]) for side in counts)
    return Confusion(int(counts[1, MOVING]), fp, int(counts[0, MOVING]), tn, int(counts[1, SHADOW]))


def measures(pixels: Confusion) -> Measures:
    """The seven measures of pooled pixels."""
    tp, fp, fn, tn = pixels.tp, pixels.fp, pixels.fn, pixels.tn
    return Measures(
        recall=_share(tp, tp + fn),
        specificity=_share(tn, tn + fp),
        fpr=_share(fp, fp + tn),
        fnr=_share(fn, tp + fn),
        pwc=_share(100 * (fn + fp), tp + fp + fn + tn),
        precision=_share(tp, tp + fp),
        f=_share(2 * tp, 2 * tp + fp + fn),
    )


def mean_measures(parts: Iterable[Measures]) -> Measures:
    """Mean of each measure over the parts that have it."""
    columns = zip(*parts, strict=True)
    values = [[value for value in column if value is not None] for column in columns]
    return Measures(*(float(np.mean(column)) if column else None for column in values))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
