"""Connected parts of masks: which stay when a mask is made anew."""

from __future__ import annotations

import cv2
import numpy as np

from pipelines.refiners.grabcut_parts import clean

# Set by hand; neither was measured apart.
_LOST_SHARE = 0.1  # a part of a coarse mask of which less was found was not found
_SPECK_SHARE = 0.01  # of a coarse mask: smaller parts of it are not put back


def with_parts_of(coarse: np.ndarray, found: np.ndarray) -> np.ndarray:
    """A found mask, (h, w) bool, with the parts that a coarse mask says there are.

    Refining moves borders; whether something behind a tree is in two parts, the tracker knows. So a part that lies
    mostly in the coarse mask is no speck, and a part of the coarse mask that was not found at all stays.
    """
    if not found.any():
        return found
    mask = clean(found)
    labels, total, common = _parts(found, coarse)
    mask |= (2 * common > total)[labels] & found
    labels, total, common = _parts(coarse, mask)
    lost = (common < _LOST_SHARE * total) & (total > _SPECK_SHARE * np.count_nonzero(coarse))
    return mask | (lost[labels] & coarse)


def _parts(mask: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (h, w) of the connected parts of a mask, the pixels of each, and how many of them another mask has."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return labels, np.bincount(labels.ravel(), minlength=count), np.bincount(labels[other], minlength=count)
