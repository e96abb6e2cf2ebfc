"""Relocalisation: binary descriptors of map points, matched against the key frames of the scene memory.

Upright ORB descriptors (Rublee et al., ICCV 2011) at the corners that the odometry follows anyway. Upright, because
cameras seldom roll, and a descriptor without an estimated angle matches more surely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from memory_bank.scene.places import THUMBNAIL_SIZE, Place
from pipelines.reconstruction import geometry, policy

FindPlaces = Callable[[np.ndarray, int, int], list[Place]]  # thumbnail, map id, count -> best first
_PATCH_PX = 31  # of ORB
_MAX_PLACES = 3  # most similar key frames that are matched, best first
_MAX_DISTANCE_BITS = 64  # of the 256 of a descriptor: a quarter; chance differs by half
_MAX_RATIO = 0.8  # to the second best match (Lowe, IJCV 2004)
_MIN_AGREEING = 0.4  # share of the matches that must fit the pose


@dataclass(frozen=True)
class Relocalised:
    """A pose (4, 4), camera from world, with the pixels (N, 2) and landmarks (N, 3) that agree with it."""

    pose: np.ndarray
    xy: np.ndarray
    xyz: np.ndarray


def thumbnail(grey: np.ndarray) -> np.ndarray:
    """The (12, 16) uint8 picture by which key frames are chosen."""
    return cv2.resize(grey, THUMBNAIL_SIZE[::-1], interpolation=cv2.INTER_AREA)


def describe(grey: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors (N, 32) uint8 at pixels (M, 2), and the rows (N,) of the pixels; too near the edge have none."""
    points = [cv2.KeyPoint(float(x), float(y), _PATCH_PX, 0.0, 1.0, 0, row) for row, (x, y) in enumerate(xy.tolist())]
    orb = cv2.ORB_create(nlevels=1, edgeThreshold=_PATCH_PX // 2 + 1)
    kept, descriptors = orb.compute(grey, points)
    if descriptors is None:
        return np.zeros((0, 32), np.uint8), np.zeros(0, np.int64)
    return descriptors, np.array([point.class_id for point in kept], np.int64)


def make_place(
    frame_index: int, map_id: int, grey: np.ndarray, pose: np.ndarray, xy: np.ndarray, xyz: np.ndarray
) -> Place:
    """The key frame as the memory keeps it."""
    descriptors, rows = describe(grey, xy)
    centre = geometry.invert(pose)[:3, 3]
    return Place(frame_index, map_id, descriptors, xyz[rows].astype(np.float32), thumbnail(grey), centre)


def relocalise(
    grey: np.ndarray, xy: np.ndarray, intrinsics: np.ndarray, find: FindPlaces, map_id: int, seed: int
) -> Relocalised | None:
    """Recognise one of the most similar key frames of a map, and the pose towards it; None where none is sure.

    Args:
        grey: (h, w) uint8.
        xy: (N, 2) static corners of it.
        find: asks the memory for key frames.
        seed: of the vote for a pose.
    """
    descriptors, rows = describe(grey, xy)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    for place in find(thumbnail(grey), map_id, _MAX_PLACES):
        if min(len(descriptors), len(place.descriptors)) < policy.MIN_INLIERS:
            continue
        pairs = [
            (best.queryIdx, best.trainIdx)
            for best, second in matcher.knnMatch(descriptors, place.descriptors, k=2)
            if best.distance < _MAX_DISTANCE_BITS and best.distance < _MAX_RATIO * second.distance
        ]
        if len(pairs) < policy.MIN_INLIERS:
            continue
        here, there = np.array(pairs).T
        pixels, xyz = xy[rows[here]].astype(np.float64), place.xyz[there].astype(np.float64)
        pose = geometry.pose_from_points(xyz, pixels, intrinsics, policy.THRESHOLD_PX, seed)
        if pose is None:
            continue
        pose = geometry.refine_pose(pose, xyz, pixels, intrinsics, policy.THRESHOLD_PX)
        good = geometry.reprojection_error(pose, xyz, pixels, intrinsics) < policy.THRESHOLD_PX
        if good.sum() >= max(policy.MIN_INLIERS, _MIN_AGREEING * len(pairs)):
            return Relocalised(pose, pixels[good], xyz[good])
    return None
