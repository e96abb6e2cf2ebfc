"""How far estimated depth is from the true depth: AbsRel, RMSE and the share within a factor (Eigen et al., NIPS 2014).

Measures of a frame are over the pixels that have both depths, and means are over frames, as is usual. Coverage is said
beside them, because an estimate may choose where it is sure. Depth of unknown scale is aligned by medians: with one
factor for a whole map, or with one for each frame (Zhou et al., CVPR 2017), which forgives drift of the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamvos.errors import InputError

RATIO = 1.25  # an estimate counts as near where it is within this factor of the truth


@dataclass(frozen=True)
class DepthErrors:
    """Result of `evaluate`.

    Args:
        num_frames: frames that had an estimate.
        frame_coverage: these over all frames.
        coverage: pixels with an estimate over pixels with true depth, of all frames.
        abs_rel: mean of |estimate - truth| / truth. rmse_m: root mean square error, metres.
        delta: share of pixels within a factor of 1.25. All three None where nothing was estimated.
    """

    num_frames: int
    frame_coverage: float
    coverage: float
    abs_rel: float | None
    rmse_m: float | None
    delta: float | None


@dataclass(frozen=True)
class DepthPairs:
    """What one frame contributes.

    Args:
        estimate, truth: (P,) float32 depths of the pixels that have both, or an even sample of them.
        num_estimated: how many pixels have both.
        num_true: how many have true depth.
        map_id: frames of one map share one scale.
    """

    estimate: np.ndarray
    truth: np.ndarray
    num_estimated: int
    num_true: int
    map_id: int = 0


def pairs(estimate: np.ndarray | None, truth: np.ndarray, map_id: int = 0, max_pixels: int | None = None) -> DepthPairs:
    """Take the pixels that have both depths.

    Args:
        estimate, truth: (h, w), 0 where unknown; None for no estimate.
        map_id: see `DepthPairs`.
        max_pixels: keep no more of them, evenly in picture order.
    """
    if estimate is None:
        return DepthPairs(np.zeros(0, np.float32), np.zeros(0, np.float32), 0, int((truth > 0).sum()), map_id)
    if estimate.shape != truth.shape:
        raise InputError(f"depth: expected the size of the truth {truth.shape}, got {estimate.shape}")
    both = (estimate > 0) & (truth > 0)
    have, want = estimate[both].astype(np.float32), truth[both].astype(np.float32)
    count = len(have)
    if max_pixels is not None and count > max_pixels:
        rows = np.linspace(0, count - 1, max_pixels).astype(np.int64)
        have, want = have[rows], want[rows]
    return DepthPairs(have, want, count, int((truth > 0).sum()), map_id)


def evaluate(frames: Sequence[DepthPairs], align: str = "none") -> DepthErrors:
    """Errors over frames.

    Args:
        frames: see `pairs`.
        align: "none" for metres; "map" for one factor a map, the median over its frames of the factor that fits the
            frame's medians; "frame" for that factor itself.

    Raises:
        InputError: no frames, or another word for `align`.
    """
    if not frames:
        raise InputError("depth: expected at least one frame to score")
    scales = _scales(frames, align)
    with_estimate = [(one, scale) for one, scale in zip(frames, scales, strict=True) if one.num_estimated]
    found = [frame_errors(scale * one.estimate.astype(np.float64), one.truth) for one, scale in with_estimate]
    means = [float(value) for value in np.mean(found, axis=0)] if found else [None, None, None]
    num_true = sum(one.num_true for one in frames)
    return DepthErrors(
        len(found),
        len(found) / len(frames),
        sum(one.num_estimated for one in frames) / num_true if num_true else 0.0,
        *means,
    )


def frame_errors(estimate: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """AbsRel, RMSE and share within 1.25 of depths (P,), all known, P >= 1."""
    gap = np.abs(estimate - truth)
    near = np.maximum(estimate / truth, truth / estimate) < RATIO
    return float((gap / truth).mean()), float(np.sqrt((gap**2).mean())), float(near.mean())


def _scales(frames: Sequence[DepthPairs], align: str) -> list[float]:
    if align == "none":
        return [1.0] * len(frames)
    if align not in ("map", "frame"):
        raise InputError(f"align: expected none, map or frame, got {align!r}")
    own = [float(np.median(one.truth) / np.median(one.estimate)) if one.num_estimated else 1.0 for one in frames]
    if align == "frame":
        return own
    by_map: dict[int, list[float]] = {}
    for one, scale in zip(frames, own, strict=True):
        if one.num_estimated:
            by_map.setdefault(one.map_id, []).append(scale)
    return [float(np.median(by_map.get(one.map_id, [1.0]))) for one in frames]
