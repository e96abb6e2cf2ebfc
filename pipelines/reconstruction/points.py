"""From pixels to points of the scene: by depth, by parallax between key frames, by the ground under an object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.reconstruction import geometry, policy
from pipelines.reconstruction.feature_tracks import MIN_CORNER, at_pixels, corners, flow
from pipelines.reconstruction.records import WorkingFrame

# Chosen by hand on the ray-cast room of the tests and on 7-Scenes, and not swept, where nothing else is said.
_ONE_VIEW = 0.5  # confidence of one measurement at its best: two that agree have 0.75, three 0.88
_EXACT_M = 1.5  # depth cameras err with the square of the distance; up to here one measurement counts in full
_LEAST_SHARE = 0.02  # of that confidence which a measurement far away keeps
_DEPTH_EDGE = 1.05  # ratio of depths that neighbouring pixels of one surface do not exceed

_WEAK_CORNER = 0.25  # of the least corner strength: texture too faint to be tracked, but enough to be matched once
_WEAK_DISTANCE_PX = 5  # that these keep
_MAX_ERROR_PX = 0.7  # of a point seen by two key frames whose poses are known
_FULL_ANGLE_DEG = 5.0  # from which the angle of two rays makes a point as good as it gets

_MIN_PIXELS = 8  # of an object that say how far it is
_SPREADS, _THICKNESS = 4, 0.05  # median deviations and share of its distance within which an object lies
_FEET_SHARE, _FEET_PX = (
    0.15,
    6.0,
)  # under an object, of its height but no less, where the ground at its feet is searched
_SIDE_SHARE, _SIDE_PX = 0.1, 4  # beside it, of its width and on top
_MIN_GROUND, _MAX_GROUND_SPREAD = 5, 0.15  # points there, and how far they may disagree, of their distance
_GROUND_CONFIDENCE = 0.1  # of a distance that was only inferred

_BEHIND_SHARE, _BEHIND_M = 1.08, 0.03  # what was measured behind a point must be further by so much to make it doubtful


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


def from_depth(frame: WorkingFrame, pose: np.ndarray, stride_px: int, max_depth_m: float) -> Points:
    """Points of every `stride_px`-th static pixel of a frame with depth, where that is not beyond `max_depth_m`."""
    depth = frame.depth
    rows, columns = np.mgrid[stride_px // 2 : depth.shape[0] : stride_px, stride_px // 2 : depth.shape[1] : stride_px]
    rows, columns = rows.ravel(), columns.ravel()
    z = depth[rows, columns]
    good = (z > 0) & (z < max_depth_m) & frame.static[rows, columns] & ~_at_depth_edge(depth)[rows, columns]
    rows, columns, z = rows[good], columns[good], z[good].astype(np.float64)
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    xyz = geometry.transform(geometry.invert(pose), geometry.rays(xy, frame.intrinsics) * z[:, None])
    return Points(xyz, frame.image[rows, columns], depth_confidence(z))


def depth_confidence(depth: np.ndarray) -> np.ndarray:
    """Confidence of one measurement in metres: half up to 1.5 m, falling with the square of the distance."""
    return _ONE_VIEW * np.minimum(1.0, (_EXACT_M / np.maximum(depth, 1e-6)) ** 2).clip(_LEAST_SHARE)


def from_parallax(before: KeyView, frame: WorkingFrame, pose: np.ndarray, count: int) -> Points:
    """Semi-dense points: `count` weak corners of a key frame, found in the last one and checked by both poses."""
    if before.grey.shape != frame.size:
        return NO_POINTS
    xy = corners(frame.grey, frame.static, count, _WEAK_DISTANCE_PX, _WEAK_CORNER * MIN_CORNER)[:count]
    if not len(xy):
        return NO_POINTS
    there, found = flow(frame.grey, before.grey, xy)
    xy, there = xy[found].astype(np.float64), there[found].astype(np.float64)
    xyz, angle_deg, error = geometry.triangulate(before.pose, pose, there, xy, frame.intrinsics)
    good = (angle_deg > policy.MIN_ANGLE_DEG) & (error < _MAX_ERROR_PX)
    return Points(xyz[good], at_pixels(frame.image, xy[good]), _ONE_VIEW * angle_confidence(angle_deg[good]))


def angle_confidence(angle_deg: np.ndarray) -> np.ndarray:
    """Confidence of a triangulated point by the angle of its rays: half at 5 degrees and more."""
    return _ONE_VIEW * np.minimum(1.0, angle_deg / _FULL_ANGLE_DEG)


def of_object_by_depth(mask: np.ndarray, frame: WorkingFrame, pose: np.ndarray, count: int) -> Points:
    """At most `count` points of a moving object inside its mask (h, w), in a frame with depth.

    Depths far from the object's median belong to what is behind it.
    """
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, columns = np.nonzero(inside & (frame.depth > 0))
    if len(rows) < _MIN_PIXELS:
        return NO_POINTS
    z = frame.depth[rows, columns].astype(np.float64)
    middle = np.median(z)
    spread = np.median(np.abs(z - middle))
    good = np.abs(z - middle) < _SPREADS * spread + _THICKNESS * middle
    rows, columns, z = _thinned(rows[good], columns[good], z[good], count)
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    xyz = geometry.transform(geometry.invert(pose), geometry.rays(xy, frame.intrinsics) * z[:, None])
    return Points(xyz, frame.image[rows, columns], depth_confidence(z))


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

    One camera does not see how far a moving object is; what stands on the ground is as far as the ground at its feet.
    None where its feet are out of the picture, or fewer than five points lie there, or they disagree by over 15%.

    Args:
        mask: (h, w) bool.
        static_xy, static_depth: (N, 2) pixels and (N,) depths of static points in view.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows) or rows.max() >= mask.shape[0] - 3:
        return NO_POINTS
    left, right, bottom = columns.min(), columns.max(), rows.max()
    reach = max(_FEET_SHARE * (bottom - rows.min()), _FEET_PX)
    x, y = static_xy.T
    margin = _SIDE_SHARE * (right - left) + _SIDE_PX
    under = (x > left - margin) & (x < right + margin) & (y > bottom - 2) & (y < bottom + reach)
    z = static_depth[under]
    if len(z) < _MIN_GROUND or np.median(np.abs(z - np.median(z))) > _MAX_GROUND_SPREAD * np.median(z):
        return NO_POINTS
    rows, columns, _ = _thinned(rows, columns, rows.astype(np.float64), count)
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    xyz = geometry.transform(geometry.invert(pose), geometry.rays(xy, intrinsics) * np.median(z))
    return Points(xyz, image[rows, columns], np.full(len(xyz), _GROUND_CONFIDENCE))


def looked_through(xyz: np.ndarray, pose: np.ndarray, depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Which points (N,) the camera saw through: something well behind them was measured, all around."""
    xy, z = geometry.project(pose, xyz.astype(np.float64), intrinsics)
    inside = in_picture(xy, z, depth.shape)
    nearest = cv2.erode(np.where(depth > 0, depth, 0).astype(np.float32), np.ones((5, 5), np.uint8))
    behind = np.zeros(len(xyz))
    behind[inside] = at_pixels(nearest, xy[inside])
    return inside & (behind > _BEHIND_SHARE * z + _BEHIND_M)


def in_picture(xy: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which projections (N,) fall into a picture of (h, w)."""
    columns_fit = (xy[:, 0] >= 0) & (xy[:, 0] <= size[1] - 1)
    return columns_fit & (xy[:, 1] >= 0) & (xy[:, 1] <= size[0] - 1) & (depth > geometry.MIN_DEPTH)


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
    return cv2.dilate(depth, kernel) > _DEPTH_EDGE * np.maximum(cv2.erode(depth, kernel), geometry.MIN_DEPTH)


def _thinned(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    """At most `count` of the pixels, evenly in picture order."""
    keep = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)
    return rows[keep], columns[keep], values[keep]
