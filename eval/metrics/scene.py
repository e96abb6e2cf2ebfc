"""What a map of points is worth beside true depth: ghosts in it, and where moving things are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.reconstruction import geometry
from pipelines.reconstruction.feature_tracks import at_pixels
from pipelines.reconstruction.points import in_picture

_TOLERANCE_M, _TOLERANCE_RATIO = 0.1, 0.05  # a point this near to the true surface lies on it


@dataclass(frozen=True)
class Sight:
    """What a camera truly saw.

    Args:
        depth_m: (H, W) metres, 0 where unknown.
        labels: (H, W) ids of moving things, 0 elsewhere.
        intrinsics: (3, 3). world_from_camera: (4, 4), true.
    """

    depth_m: np.ndarray
    labels: np.ndarray
    intrinsics: np.ndarray
    world_from_camera: np.ndarray


def ghost_share(xyz: np.ndarray, sights: Sequence[Sight]) -> float | None:
    """Share of the map's points that stand where nothing stays.

    A point is a ghost where cameras saw through it more often than they saw a static surface there; where a thing moves
    in front of it, or it is hidden, nothing is said. Points that no camera speaks of are left out.

    Args:
        xyz: (N, 3) in the world of the true poses.

    Returns:
        In [0, 1]; None where no camera speaks of any point.
    """
    through, there = np.zeros(len(xyz), np.int64), np.zeros(len(xyz), np.int64)
    for sight in sights:
        xy, z = geometry.project(geometry.invert(sight.world_from_camera), xyz.astype(np.float64), sight.intrinsics)
        rows = np.flatnonzero(in_picture(xy, z, sight.depth_m.shape))
        depth = at_pixels(sight.depth_m, xy[rows])
        gap, tolerance = depth - z[rows], np.maximum(_TOLERANCE_M, _TOLERANCE_RATIO * z[rows])
        known, moves = depth > 0, at_pixels(sight.labels, xy[rows]) > 0
        through[rows] += known & (gap > tolerance)
        there[rows] += known & ~moves & (np.abs(gap) <= tolerance)
    judged = through + there > 0
    return float((through > there)[judged].mean()) if judged.any() else None


def object_centres(
    depth_m: np.ndarray, labels: np.ndarray, intrinsics: np.ndarray, least_px: int = 50
) -> dict[int, np.ndarray]:
    """Median (3,) of each object's visible surface, camera coordinates; objects of fewer pixels are left out."""
    centres = {}
    for object_id in np.unique(labels[labels > 0]).tolist():
        inside = cv2.erode((labels == object_id).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        rows, columns = np.nonzero(inside & (depth_m > 0))
        if len(rows) >= least_px:
            xy = np.stack([columns, rows], axis=1).astype(np.float64)
            xyz = geometry.rays(xy, intrinsics) * depth_m[rows, columns, None]
            centres[object_id] = np.median(xyz, axis=0)
    return centres


def matches(found: Mapping[int, np.ndarray], labels: np.ndarray, least: float = 0.3) -> dict[int, int]:
    """The true object that each found mask (H, W) bool covers best, where their IoU is at least `least`."""
    pairs = {}
    for object_id, mask in found.items():
        counts = np.bincount(labels[mask].astype(np.int64), minlength=2)
        counts[0] = 0
        best = int(counts.argmax())
        union = mask.sum() + (labels == best).sum() - counts[best]
        if counts[best] and counts[best] / union >= least:
            pairs[object_id] = best
    return pairs
