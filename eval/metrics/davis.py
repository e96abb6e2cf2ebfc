"""Region similarity J and boundary measure F of DAVIS (Perazzi et al., CVPR 2016, section 5), frame by frame.

The same numbers as the official toolkit (davis-2017): its boundary map, a disk of ceil(0.008 * diagonal),
two empty masks score 1, the first and the last frame are not scored, statistics are averaged over objects.
What we changed: the work is cut to the rows and columns that hold a boundary, frames are scored one by one
so that no sequence is held in memory, the decay's quarters are counted with Python integers (the toolkit's
bytes wrap after 255 frames), and ids that the first frame skips are no objects (the toolkit scores all up to
the largest, and two empty masks score 1). Objects that are given later are scored from the frame after on.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from streamvos.errors import InputError
from streamvos.masks import ids_in

logger = logging.getLogger(__name__)

BOUNDARY_TOLERANCE = 0.008  # of the picture's diagonal
RECALL_THRESHOLD = 0.5
MEASURES = ("J mean", "J recall", "J decay", "F mean", "F recall", "F decay")


class Statistics(NamedTuple):
    """Mean, recall (share of frames above 0.5) and decay (first quarter minus last quarter) of a measure."""

    mean: float
    recall: float
    decay: float


@dataclass(frozen=True)
class SequenceScore:
    """Scores of one sequence.

    Args:
        object_ids: (N,) ascending.
        region: (N, T - 2) float64, J of each object and scored frame; NaN up to the frame that gives the object.
        boundary: (N, T - 2) float64, F, likewise.
    """

    object_ids: tuple[int, ...]
    region: np.ndarray
    boundary: np.ndarray

    @property
    def jf_mean(self) -> float:
        """J&F: the mean over objects of J's and F's means, in [0, 1]."""
        return float((np.nanmean(self.region, axis=1) + np.nanmean(self.boundary, axis=1)).mean() / 2)

    def percents(self) -> dict[str, list[float]]:
        """Mean, recall and decay of J and F of each object, in percent, by the names in `MEASURES`."""
        statistics_of = [[*statistics(j), *statistics(f)] for j, f in zip(self.region, self.boundary, strict=True)]
        return {name: [100 * row[column] for row in statistics_of] for column, name in enumerate(MEASURES)}


def score_sequence(
    predictions: Iterable[np.ndarray], truths: Iterable[np.ndarray], starts: Mapping[int, int] | None = None
) -> SequenceScore:
    """Score a sequence of label maps; only one frame of each is held at a time.

    Args:
        predictions: T label maps (H, W), any integer type, 0 the background, first frame included.
        truths: T label maps of the same size.
        starts: the objects to score, each with the frame in which it is given, from 0; where None, those of the first
            truth. An object without a frame to be scored on is left out.

    Raises:
        InputError: fewer than 3 frames, unequal lengths or sizes, no object.
    """
    waiting: tuple[int, np.ndarray, np.ndarray] | None = None  # scored once the next frame shows it is not last
    rows: list[tuple[list[float], list[float]]] = []
    count = 0
    for index, (prediction, truth) in enumerate(itertools.zip_longest(predictions, truths)):
        if prediction is None or truth is None:
            short = "predictions" if prediction is None else "truths"
            raise InputError(f"expected as many predictions as truths; {short} end after {index} frames")
        if starts is None:
            starts = dict.fromkeys(ids_in(truth), 0)
        if not starts:
            raise InputError("the truth of the first frame holds no object to score; give starts")
        if waiting is not None:
            rows.append(_score_started(*waiting, starts))
        waiting = (index, prediction, truth) if index else None
        count = index + 1
    if not rows:
        raise InputError(f"expected at least 3 frames (first and last are not scored), got {count}")
    region, boundary = (np.array(values, np.float64).T for values in zip(*rows, strict=True))
    return _without_unscored(sorted(starts or {}), region, boundary)


def score_frame(
    index: int, prediction: np.ndarray, truth: np.ndarray, object_ids: Sequence[int]
) -> tuple[list[float], list[float]]:
    """J and F of each object in one frame."""
    if prediction.shape != truth.shape or truth.ndim != 2:
        raise InputError(
            f"frame {index}: expected a prediction of {truth.shape} pixels (H, W) like the truth, "
            f"got {prediction.shape}; resize it (nearest neighbour) before scoring"
        )
    pairs = [(prediction == object_id, truth == object_id) for object_id in object_ids]
    return [region_similarity(*pair) for pair in pairs], [boundary_measure(*pair) for pair in pairs]


def region_similarity(prediction: np.ndarray, truth: np.ndarray) -> float:
    """J: intersection over union of two (H, W) bool masks; 1 where both are empty."""
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def boundary_measure(prediction: np.ndarray, truth: np.ndarray) -> float:
    """F: harmonic mean of boundary precision and recall of two (H, W) bool masks; 1 where both are empty."""
    radius = math.ceil(BOUNDARY_TOLERANCE * math.hypot(*truth.shape))
    ours, theirs = boundary_map(prediction), boundary_map(truth)
    num_ours, num_theirs = np.count_nonzero(ours), np.count_nonzero(theirs)
    if num_ours == 0 or num_theirs == 0:
        return float(num_ours == num_theirs)
    window = _window(ours | theirs)
    ours, theirs = ours[window], theirs[window]
    disk = _disk(radius)
    precision = np.count_nonzero(ours & (cv2.dilate(theirs, disk) > 0)) / num_ours
    recall = np.count_nonzero(theirs & (cv2.dilate(ours, disk) > 0)) / num_theirs
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """The toolkit's seg2bmap: (H, W) uint8, 1 where the right, lower or lower right neighbour differs.

    In the last row and column only the neighbour that exists is compared; the last pixel is 0.
    """
    inside = np.ascontiguousarray(mask, bool)
    border = np.zeros(inside.shape, bool)
    border[:, :-1] |= inside[:, :-1] ^ inside[:, 1:]
    border[:-1] |= inside[:-1] ^ inside[1:]
    border[:-1, :-1] |= inside[:-1, :-1] ^ inside[1:, 1:]
    return border.view(np.uint8)


def statistics(values: np.ndarray) -> Statistics:
    """Mean, recall and decay of one object's (T,) scores, NaN left out; the toolkit's quarters overlap by one frame."""
    values = values[~np.isnan(values)]
    edges = [math.floor(edge + 0.5 + 1e-10) - 1 for edge in np.linspace(1, len(values), 5)]
    first, last = values[: edges[1] + 1], values[edges[3] : edges[4] + 1]
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )


def _score_started(
    index: int, prediction: np.ndarray, truth: np.ndarray, starts: Mapping[int, int]
) -> tuple[list[float], list[float]]:
    """J and F of all objects in ascending order, NaN for those that are not given before this frame."""
    started = [object_id for object_id in sorted(starts) if starts[object_id] < index]
    scores = (dict(zip(started, values, strict=True)) for values in score_frame(index, prediction, truth, started))
    region, boundary = ([score.get(object_id, math.nan) for object_id in sorted(starts)] for score in scores)
    return region, boundary


def _without_unscored(ids: Sequence[int], region: np.ndarray, boundary: np.ndarray) -> SequenceScore:
    scored = ~np.isnan(region).all(axis=1)
    if not scored.any():
        raise InputError(f"no frame to score objects {list(ids)} on: they are given too late")
    kept = tuple(object_id for object_id, keep in zip(ids, scored, strict=True) if keep)
    if len(kept) < len(ids):
        logger.warning("not scored, given too late: objects %s", sorted(set(ids) - set(kept)))
    return SequenceScore(kept, region[scored], boundary[scored])


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    rows, cols = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)


@functools.cache
def _disk(radius: int) -> np.ndarray:
    """The toolkit's structuring element (skimage's disk): all pixels whose centres lie within the radius."""
    x, y = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)
