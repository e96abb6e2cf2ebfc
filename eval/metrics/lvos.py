"""LVOS (Hong et al., ICCV 2023; v2: T-PAMI 2025): J, F and V of each object on every fifth frame of its range.

The same numbers as the official evaluation package (lvos-evaluation), in our own words. An object is scored on frames
start, start + 5, start + 10, ... before `end` of its range in the meta file, without the first of them, and without the
one whose number in that row is the count of annotated frames less one. V, the instability, is the standard deviation of
(J + F) / 2 over time; the package rounds the variance to 4 digits. Means are over objects; the final figures are means
of those of seen and unseen videos.

Where the meta file counts more frames than its range holds, the package scores the missing ones 0; so do we.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.datasets.lvos import FrameRange
from eval.metrics.davis import score_frame
from streamvos.errors import InputError

MEASURES = ("J", "F", "V")


@dataclass(frozen=True)
class ObjectScore:
    """J and F of one object, (T,) float64 each, by scored frame; `frames` are their numbers."""

    frames: tuple[int, ...]
    region: np.ndarray
    boundary: np.ndarray

    def percents(self) -> dict[str, float]:
        """J, F and V in percent, by the names in `MEASURES`."""
        both = (self.region + self.boundary) / 2
        instability = math.sqrt(round(float(np.square(both - both.mean()).mean()), 4))
        values = (float(self.region.mean()), float(self.boundary.mean()), instability)
        return {name: 100 * value for name, value in zip(MEASURES, values, strict=True)}


def score_sequence(
    frames: Iterable[tuple[int, np.ndarray, np.ndarray | None]], ranges: Mapping[int, FrameRange]
) -> dict[int, ObjectScore]:
    """Score a sequence; one frame is held at a time.

    Args:
        frames: number, prediction (H, W) and truth (H, W), or None where there is none, of all frames.
        ranges: of the objects.

    Raises:
        InputError: a frame to be scored does not come, or has no truth, or sizes differ.
    """
    wanted = {key: one.scored() for key, one in ranges.items()}
    ids_of: dict[int, list[int]] = {}
    for object_id, numbers in wanted.items():
        for number in numbers:
            ids_of.setdefault(number, []).append(object_id)
    found: dict[int, dict[int, tuple[float, float]]] = {object_id: {} for object_id in ranges}
    for number, prediction, truth in frames:
        ids = ids_of.get(number, [])
        if ids and truth is not None:
            for object_id, *scores in zip(ids, *score_frame(number, prediction, truth, ids), strict=True):
                found[object_id][number] = (scores[0], scores[1])
    return {key: _object_score(key, wanted[key], found[key], one.num_frames - 2) for key, one in ranges.items()}


def final_means(objects: Sequence[Mapping[str, float]], unseen: Sequence[bool]) -> dict[str, float | None]:
    """The package's table in percent: J&F, J, F, V, and each for seen and unseen videos apart.

    Args:
        objects: J, F and V of all objects.
        unseen: of each, whether its video is of an unseen class.

    Returns:
        None where there is no such video; then the other's mean is the overall one (the package gives NaN).
    """
    table: dict[str, float | None] = {}
    for measure in MEASURES:
        parts = {
            kind: [one[measure] for one, is_unseen in zip(objects, unseen, strict=True) if is_unseen == flag]
            for kind, flag in (("seen", False), ("unseen", True))
        }
        means = {kind: float(np.mean(values)) if values else None for kind, values in parts.items()}
        there = [value for value in means.values() if value is not None]
        table[measure] = float(np.mean(there)) if there else None
        table |= {f"{measure} {kind}": value for kind, value in means.items()}
    j, f = table["J"], table["F"]
    return {"J&F": None if j is None or f is None else (j + f) / 2, **table}


def _object_score(
    object_id: int, numbers: Sequence[int], found: Mapping[int, tuple[float, float]], length: int
) -> ObjectScore:
    missing = [number for number in numbers if number not in found]
    if missing:
        raise InputError(
            f"object {object_id}: expected an annotated frame {missing[0]:08d} ({len(missing)} of {len(numbers)} "
            "frames to be scored are not there); complete the data, or take the meta file that belongs to it"
        )
    scores = np.zeros((2, length))
    scores[:, : len(numbers)] = np.array([found[number] for number in numbers], np.float64).reshape(-1, 2).T
    return ObjectScore(tuple(numbers), scores[0], scores[1])
