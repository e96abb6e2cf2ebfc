"""From pixels to points of the scene: by depth, by parallax between key frames, by the ground under an object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.reconstruction import geometry
from pipelines.reconstruction.feature_tracks import at_pixels, corners, flow


@dataclass(frozen=True)
class Points:
    """Measured points: (N, 3) world coordinates, (N, 3) uint8 colours, (N,) confidence in (0, 1]."""

    xyz: np.ndarray
    rgb: np.ndarray
    confidence: np.ndarray

    @classmethod
    def joined(cls, *parts: Points) -> Points:
        """All parts in one."""
        names = ("xyz", "rgb", "confidence")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class KeyView:
    """A key frame as the next one is matched against it: grey picture and pose, camera from world."""

    grey: np.ndarray
    pose: np.ndarray


NO_POINTS = Points(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0))


def from_depth(
    depth: np.ndarray,
    image: np.ndarray,
    allowed: np.ndarray,
    pose: np.ndarray,
    intrinsics: np.ndarray,
    stride_px: int,
    max_depth_m: float,
) -> Points:
    """Points of every `stride_px`-th pixel that has depth; depth cameras err with the square of the distance."""
    rows, columns = np.mgrid[stride_px // 2 : depth.shape[0] : stride_px, stride_px // 2 : depth.shape[1] : stride_px]
    rows, columns = rows.ravel(), columns.ravel()
    z = depth[rows, columns]
    good = (z > 0) & (z < max_depth_m) & allowed[rows, columns] & ~_at_depth_edge(depth)[rows, columns]
    rows, columns, z = rows[good], columns[good], z[good].astype(np.float64)
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    xyz = geometry.transform(geometry.invert(pose), geometry.rays(xy, intrinsics) * z[:, None])
    return Points(xyz, image[rows, columns], depth_confidence(z))


def depth_confidence(depth: np.ndarray) -> np.ndarray:
    """Confidence of one measurement: half up to 1.5 m, falling with the square of the distance."""
    return 0.5 * np.minimum(1.0, (1.5 / np.maximum(depth, 1e-6)) ** 2).clip(0.02)


def from_parallax(
    before: KeyView,
    now: KeyView,
    image: np.ndarray,
    allowed: np.ndarray,
    intrinsics: np.ndarray,
    count: int,
    min_angle_deg: float,
    min_corner: float,
) -> Points:
    """Semi-dense points: many weak corners of this key frame, found in the last one and checked by both poses."""
    if before.grey.shape != now.grey.shape:
        return NO_POINTS
    xy = corners(now.grey, allowed.astype(np.uint8), count, 5, min_corner / 4)[:count]
    if not len(xy):
        return NO_POINTS
    there, found = flow(now.grey, before.grey, xy)
    xy, there = xy[found].astype(np.float64), there[found].astype(np.float64)
    xyz, angle, error = geometry.triangulate(before.pose, now.pose, there, xy, intrinsics)
    good = (angle > min_angle_deg) & (error < 0.7)
    return Points(xyz[good], at_pixels(image, xy[good]), 0.5 * angle_confidence(angle[good]))


def angle_confidence(angle_deg: np.ndarray) -> np.ndarray:
    """Confidence of a triangulated point by the angle of its rays: half at 5 degrees and more."""
    return 0.5 * np.minimum(1.0, angle_deg / 5.0)


def of_object_by_depth(
    mask: np.ndarray,
    depth: np.ndarray,
    image: np.ndarray,
    pose: np.ndarray,
    intrinsics: np.ndarray,
    count: int,
) -> Points:
    """Points of a moving object inside its mask; depths far from the object's median belong to what is behind it."""
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, columns = np.nonzero(inside & (depth > 0))
    if len(rows) < 8:
        return NO_POINTS
    z = depth[rows, columns].astype(np.float64)
    middle = np.median(z)
    spread = np.median(np.abs(z - middle))
    good = np.abs(z - middle) < 4 * spread + 0.05 * middle
    rows, columns, z = _thinned(rows[good], columns[good], z[good], count)
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    xyz = geometry.transform(geometry.invert(pose), geometry.rays(xy, intrinsics) * z[:, None])
    return Points(xyz, image[rows, columns], depth_confidence(z))


def of_object_by_ground(
    mask: np.ndarray,
    static_xy: np.ndarray,
    static_depth: np.ndarray,
    image: np.ndarray,
    pose: np.ndarray,
    intrinsics: np.ndarray,
    count: int,
) -> Points:
    """Points of a moving object at the depth of the static points just under it, where these agree.

    One camera does not see how far a moving thing is; what stands on the ground is as far as the ground at its feet.
    None where its feet are out of the picture, or fewer than five points lie there, or they disagree by over 15%.

    Args:
        mask: (h, w) bool.
        static_xy, static_depth: (N, 2) pixels and (N,) depths of static points in view.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows) or rows.max() >= mask.shape[0] - 3:
        return NO_POINTS
    left, right, bottom = columns.min(), columns.max(), rows.max()
    reach = max(0.15 * (bottom - rows.min()), 6.0)
    x, y = static_xy.T
    margin = 0.1 * (right - left) + 4
    under = (x > left - margin) & (x < right + margin) & (y > bottom - 2) & (y < bottom + reach)
    z = static_depth[under]
    if len(z) < 5 or np.median(np.abs(z - np.median(z))) > 0.15 * np.median(z):
        return NO_POINTS
    rows, columns, _ = _thinned(rows, columns, rows.astype(np.float64), count)
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    xyz = geometry.transform(geometry.invert(pose), geometry.rays(xy, intrinsics) * np.median(z))
    return Points(xyz, image[rows, columns], np.full(len(xyz), 0.1))


def looked_through(xyz: np.ndarray, pose: np.ndarray, depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Which points (N,) the camera saw through: something well behind them was measured, all around."""
    xy, z = geometry.project(pose, xyz.astype(np.float64), intrinsics)
    inside = in_picture(xy, z, depth.shape)
    nearest = cv2.erode(np.where(depth > 0, depth, 0).astype(np.float32), np.ones((5, 5), np.uint8))
    behind = np.zeros(len(xyz))
    behind[inside] = at_pixels(nearest, xy[inside])
    return inside & (behind > 1.08 * z + 0.03)


def in_picture(xy: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which projections (N,) fall into a picture of (h, w)."""
    columns_fit = (xy[:, 0] >= 0) & (xy[:, 0] <= size[1] - 1)
    return columns_fit & (xy[:, 1] >= 0) & (xy[:, 1] <= size[0] - 1) & (depth > 1e-3)


def sparse_depth(
    xy: np.ndarray, depth: np.ndarray, confidence: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Depth and confidence pictures (h, w) float32 of points in view, the nearest in each pixel; 0 elsewhere."""
    picture, sure = np.zeros(size, np.float32), np.zeros(size, np.float32)
    order = np.argsort(-depth, kind="stable")  # the nearest is written last
    columns, rows = np.rint(xy[order]).astype(np.int64).T
    picture[rows, columns], sure[rows, columns] = depth[order], confidence[order]
    return picture, sure


def _at_depth_edge(depth: np.ndarray) -> np.ndarray:
    """Where depth jumps by over 5% between neighbours: there it belongs to neither side."""
    kernel = np.ones((3, 3), np.uint8)
    return cv2.dilate(depth, kernel) > 1.05 * np.maximum(cv2.erode(depth, kernel), 1e-3)


def _thinned(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    """At most `count` of the pixels, evenly in picture order."""
    keep = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)
    return rows[keep], columns[keep], values[keep]
