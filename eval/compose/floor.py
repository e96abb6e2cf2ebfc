"""The floor of a room, from depth and poses: the lowest large horizontal plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_STEP_PX = 8  # every so many-th pixel of a depth picture is used
_NEAR_M = 0.03  # points this near to a plane belong to it
_MAX_TILT = np.cos(np.radians(35))  # between the floor's normal and the mean up of the camera
_MIN_SHARE = 0.04  # of all points; less is a shelf, or noise


@dataclass(frozen=True)
class Plane:
    """Points x with `normal` · x + `offset` = 0; the normal points up. World frame, metres."""

    normal: np.ndarray
    offset: float

    def height(self, points: np.ndarray) -> np.ndarray:
        """(...,) metres of (..., 3) points above the plane."""
        return points @ self.normal + self.offset

    def drop(self, points: np.ndarray) -> np.ndarray:
        """The points straight below, on the plane."""
        return points - self.height(points)[..., None] * self.normal


def world_points(depth_m: np.ndarray, intrinsics: np.ndarray, world_from_camera: np.ndarray, step: int) -> np.ndarray:
    """(P, 3) world points of every `step`-th pixel with depth."""
    rows, cols = np.mgrid[step // 2 : depth_m.shape[0] : step, step // 2 : depth_m.shape[1] : step]
    depth = depth_m[rows, cols]
    known = depth > 0
    pixels = np.stack([cols[known], rows[known], np.ones(known.sum())], axis=1)
    camera = (pixels @ np.linalg.inv(intrinsics).T) * depth[known, None]
    return camera @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]


def find_floor(
    depths: Sequence[np.ndarray], intrinsics: np.ndarray, poses: Sequence[np.ndarray], rng: np.random.Generator
) -> Plane | None:
    """The floor, or None where no horizontal plane holds enough points below the camera."""
    points = np.concatenate(
        [world_points(d, intrinsics, pose, _STEP_PX) for d, pose in zip(depths, poses, strict=True)]
    )
    if len(points) < 200:
        return None
    up = -np.mean([pose[:3, 1] for pose in poses], axis=0)
    up /= np.linalg.norm(up)
    normal = _common_normal(points, up, rng)
    if normal is None:
        return None
    heights = points @ normal
    eye = np.mean([pose[:3, 3] for pose in poses], axis=0) @ normal
    edges = np.arange(heights.min(), heights.max() + 2 * _NEAR_M, _NEAR_M)
    counts, _ = np.histogram(heights, edges)
    smooth = np.convolve(counts, np.ones(3), "same")
    large = np.flatnonzero((smooth > _MIN_SHARE * len(points)) & (edges[:-1] < eye - 0.3))
    if not len(large):
        return None
    low = large[0] + int(smooth[large[0] : large[0] + 4].argmax())  # the peak, not its foot
    level = float(np.median(heights[np.abs(heights - edges[low] - _NEAR_M / 2) < 1.5 * _NEAR_M]))
    return _refined(points, Plane(normal, -level))


def _common_normal(points: np.ndarray, up: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """RANSAC over planes that are about horizontal; the normal of the one with most points."""
    best, best_count = None, 0
    sample = points[rng.choice(len(points), min(len(points), 4000), replace=False)]
    for _ in range(400):
        first, second, third = sample[rng.choice(len(sample), 3, replace=False)]
        normal = np.cross(second - first, third - first)
        length = np.linalg.norm(normal)
        if length < 1e-6:
            continue
        normal = normal / length * np.sign(normal @ up or 1.0)
        if normal @ up < _MAX_TILT:
            continue
        count = int((np.abs((sample - first) @ normal) < _NEAR_M / 2).sum())
        if count > best_count:
            best, best_count = normal, count
    return best


def _refined(points: np.ndarray, plane: Plane) -> Plane:
    for _ in range(3):
        near = points[np.abs(plane.height(points)) < _NEAR_M]
        centre = near.mean(axis=0)
        normal = np.linalg.svd(near - centre, full_matrices=False)[2][-1]
        normal *= np.sign(normal @ plane.normal)
        plane = Plane(normal, float(-normal @ centre))
    return plane
