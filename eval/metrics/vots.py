"""The measures of the VOTS challenges on objects segmented through a video: quality, accuracy, robustness and more.

Kristan et al., "The first visual object tracking segmentation VOTS2023 challenge results", ICCVW 2023, section 3, as
`vot-toolkit` 0.9.0 computes them for `multiobject` experiments, in our own words. For each object, over its frames:

- quality: the mean overlap (IoU) over all annotated frames; two empty masks overlap by 1.
- accuracy: the mean overlap over the frames where the object is there and the overlap is above 0.
- robustness: the share of frames where the object is there and the overlap is above 0.
- NRE, not-reported error: the share of frames where it is there and the tracker says that it is not.
- DRE, drift-rate error: the share of frames where it is there and the tracker is somewhere else.
- ADQ, absence-detection quality: the share of frames where it is away and the tracker says so; only of objects that are
  away for more than 10 frames.

Objects are averaged within their sequence, then sequences are averaged, all alike; what is not defined is left out,
but an object without any overlap counts as 0 in quality and accuracy. A frame without truth is not counted. On the
first frame the tracker is given the truth, and the toolkit keeps a mark in the place of its answer: that counts as an
overlap of 0, also in accuracy, and as not reported; so a perfect tracker scores (T - 1) / T over T frames, and its NRE
is 1 / T. Pixels of the truth's ignore mask are in no overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.datasets.vot_regions import (
    FAILURE,
    INITIALIZATION,
    UNKNOWN,
    Mask,
    Rectangle,
    Region,
    Special,
    bounds,
    in_frame,
)
from streamvos.errors import InputError

MEASURES = ("quality", "accuracy", "robustness", "nre", "dre", "adq")
MIN_ABSENT_FRAMES = 11  # fewer frames away say too little about noticing it


@dataclass(frozen=True)
class FrameCounts:
    """Frames of one object, by what the tracker did.

    Args:
        tracked: there, and overlapped.
        drifted: there, and the answer is elsewhere.
        missed: there, and the answer is empty.
        imagined: away, and the answer is not empty.
        noticed: away, and the answer is empty.
    """

    tracked: int
    drifted: int
    missed: int
    imagined: int
    noticed: int


@dataclass(frozen=True)
class ObjectFrame:
    """One frame of one object, as far as the measures need it; the masks themselves are not kept.

    Args:
        overlap: of what the tracker said and what is true.
        is_known: something is known of this frame.
        is_there, says_there: the object, in truth and as the tracker says.
        is_given, is_stopped: in place of an answer stands that the truth was given, or that the tracker was stopped.
    """

    overlap: float
    is_known: bool
    is_there: bool
    says_there: bool
    is_given: bool
    is_stopped: bool


@dataclass(frozen=True)
class VotsScores:
    """The six measures, each in [0, 1]; None where no frame defines it."""

    quality: float | None
    accuracy: float | None
    robustness: float | None
    nre: float | None
    dre: float | None
    adq: float | None


def score_sequence(
    results: Mapping[str, Sequence[Region]],
    truth: Mapping[str, Sequence[Region]],
    size: tuple[int, int],
    ignore: Sequence[Region] | None = None,
) -> VotsScores:
    """Score a sequence: the mean over its objects.

    Args:
        results: a region for each frame, by object; masks or special codes.
        truth: the same objects; special code 0 where nothing is known.
        size: (H, W) of the frames; what lies outside is not counted.
        ignore: a region for each frame whose pixels are in no overlap, or None.

    Raises:
        InputError: other objects, other lengths, or rectangles.
    """
    if set(results) != set(truth) or not truth:
        raise InputError(f"expected results for objects {sorted(truth)}, got {sorted(results)}")
    objects = [score_object(results[name], truth[name], size, ignore) for name in truth]
    return VotsScores(
        quality=_mean(one.quality or 0.0 for one in objects),
        accuracy=_mean(one.accuracy or 0.0 for one in objects),
        **{name: _mean(getattr(one, name) for one in objects) for name in MEASURES[2:]},
    )


def mean_scores(sequences: Iterable[VotsScores]) -> VotsScores:
    """The mean over sequences, each measure over those that define it."""
    scores = list(sequences)
    return VotsScores(**{name: _mean(getattr(one, name) for one in scores) for name in MEASURES})


def score_object(
    result: Sequence[Region], truth: Sequence[Region], size: tuple[int, int], ignore: Sequence[Region] | None = None
) -> VotsScores:
    """Score one object; see `score_sequence` for the arguments."""
    if len(result) != len(truth) or (ignore is not None and len(ignore) != len(truth)):
        raise InputError(f"expected a region for each of {len(truth)} frames, got {len(result)} results")
    hidden = [None] * len(truth) if ignore is None else ignore
    frames = [_judge(*regions, size) for regions in zip(result, truth, hidden, strict=True)]
    quality = [one.overlap for one in frames if one.is_known and not one.is_stopped]
    counts = count_frames(frames)
    there = counts.tracked + counts.drifted + counts.missed
    away = counts.imagined + counts.noticed
    return VotsScores(
        quality=_mean(quality),
        accuracy=_mean(one.overlap for one in frames if _is_accurate(one)),
        robustness=counts.tracked / there if there else None,
        nre=counts.missed / there if there else None,
        dre=counts.drifted / there if there else None,
        adq=counts.noticed / away if away >= MIN_ABSENT_FRAMES else None,
    )


def count_frames(frames: Iterable[ObjectFrame]) -> FrameCounts:
    """Sort the annotated frames of one object by what the tracker did."""
    counts = dict.fromkeys(FrameCounts.__dataclass_fields__, 0)
    for one in frames:
        if not one.is_known:
            continue
        if not one.is_there:
            kind = "imagined" if one.says_there else "noticed"
        elif one.overlap > 0:
            kind = "tracked"
        else:
            kind = "drifted" if one.says_there else "missed"
        counts[kind] += 1
    return FrameCounts(**counts)


def overlap(said: Region, true: Region, ignore: Region | None, size: tuple[int, int]) -> float:
    """Intersection over union of two regions inside the frame, without the pixels of `ignore`.

    As in the toolkit, two regions whose common bounds have no extent (both empty, or both in one row or column) overlap
    by 1, and bounds that are one pixel thin within the frame by 0.
    """
    (left, top, right, bottom) = _union(_bounds(said), _bounds(true))
    if left >= right or top >= bottom:
        return 1.0
    if max(left, 0) >= min(right, size[1] - 1) or max(top, 0) >= min(bottom, size[0] - 1):
        return 0.0
    a, b = _pixels(said, size), _pixels(true, size)
    both, either = a & b, a | b
    if isinstance(ignore, Mask):
        counted = ~in_frame(ignore, size)
        both, either = both & counted, either & counted
    num_either = int(either.sum())
    return int(both.sum()) / num_either if num_either else 0.0


def is_empty(region: Region) -> bool:
    """Whether a region says that the object is away; a cropped mask one pixel wide or high counts as empty, too."""
    if isinstance(region, Mask):
        _, _, right, bottom = bounds(region.pixels)
        return right == 0 or bottom == 0
    _refuse(region)
    return True


def _judge(said: Region, true: Region, ignore: Region | None, size: tuple[int, int]) -> ObjectFrame:
    return ObjectFrame(
        overlap=overlap(said, true, ignore, size),
        is_known=true != Special(UNKNOWN),
        is_there=not is_empty(true),
        says_there=not is_empty(said),
        is_given=said == Special(INITIALIZATION),
        is_stopped=said == Special(FAILURE),
    )


def _is_accurate(one: ObjectFrame) -> bool:
    """Whether the frame counts for accuracy."""
    return one.is_known and one.is_there and not one.is_stopped and (one.overlap > 0 or one.is_given)


def _bounds(region: Region) -> tuple[int, int, int, int]:
    if not isinstance(region, Mask):
        _refuse(region)
        return 0, 0, 0, 0
    left, top, right, bottom = bounds(region.pixels)
    return left + region.x, top + region.y, right + region.x, bottom + region.y


def _union(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _pixels(region: Region, size: tuple[int, int]) -> np.ndarray:
    return in_frame(region, size) if isinstance(region, Mask) else np.zeros(size, bool)


def _refuse(region: Region) -> None:
    if isinstance(region, Rectangle):
        raise InputError("VOTS measures are of masks; got a rectangle")


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
