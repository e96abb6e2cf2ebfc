"""What a map of points is worth beside true depth: ghosts in it, and where moving things are.

The camera's geometry stands here once more, apart from that of the pipeline, whose faults must not hide in its score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_TOLERANCE_M, _TOLERANCE_RATIO = 0.1, 0.05  # a point this near to the true surface lies on it
_NEAREST_M = 1e-3  # nothing nearer to a camera is seen


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
        points, columns, rows, z = visible(sight, xyz)
        depth = sight.depth_m[rows, columns]
        gap, tolerance = depth - z, np.maximum(_TOLERANCE_M, _TOLERANCE_RATIO * z)
        known, moves = depth > 0, sight.labels[rows, columns] > 0
        through[points] += known & (gap > tolerance)
        there[points] += known & ~moves & (np.abs(gap) <= tolerance)
    judged = through + there > 0
    return float((through > there)[judged].mean()) if judged.any() else None


def visible(sight: Sight, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where points fall into a picture, as if nothing hid them.

    Args:
        xyz: (N, 3) in the world.

    Returns:
        (V,) indices of the points before the camera and inside the picture; their columns and rows, rounded to the
        nearest pixel; their depths in metres.
    """
    rotation, position = sight.world_from_camera[:3, :3], sight.world_from_camera[:3, 3]
    camera = (xyz.astype(np.float64) - position) @ rotation  # the rows of a rotation's inverse are its columns
    points = np.flatnonzero(camera[:, 2] > _NEAREST_M)
    x, y, z = camera[points].T
    (fx, _, cx), (_, fy, cy), _ = sight.intrinsics
    column, row = fx * x / z + cx, fy * y / z + cy
    height, width = sight.depth_m.shape
    inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
    column, row = (np.rint(value[inside]).astype(np.int64) for value in (column, row))
    return points[inside], column, row, z[inside]


def object_centres(
    depth_m: np.ndarray, labels: np.ndarray, intrinsics: np.ndarray, least_px: int = 50
) -> dict[int, np.ndarray]:
    """Median (3,) of each object's visible surface, camera coordinates; objects of fewer pixels are left out."""
    centres = {}
    for object_id in np.unique(labels[labels > 0]).tolist():
        inside = cv2.erode((labels == object_id).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        rows, columns = np.nonzero(inside & (depth_m > 0))
        if len(rows) >= least_px:
            z = depth_m[rows, columns]
            x = (columns - intrinsics[0, 2]) / intrinsics[0, 0] * z
            y = (rows - intrinsics[1, 2]) / intrinsics[1, 1] * z
            centres[object_id] = np.median(np.stack([x, y, z], axis=1), axis=0)
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
