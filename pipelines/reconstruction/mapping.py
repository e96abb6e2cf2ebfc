"""Feature tracks and the local map that they are located in: landmarks, key frames, new points."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.reconstruction import geometry, policy
from pipelines.reconstruction.feature_tracks import FeatureTracks, at_pixels, covered_cells
from pipelines.reconstruction.local_map import LocalMap
from pipelines.reconstruction.records import KeyFrame, OdometryConfig, WorkingFrame
from pipelines.reconstruction.relocalisation import Relocalised, make_place


class LocalMapper:
    """What the camera is tracked against; see `FeatureTracks` and `LocalMap` for what bounds them.

    Args:
        config: `max_tracks`.
    """

    def __init__(self, config: OdometryConfig) -> None:
        self.tracks = FeatureTracks(config.max_tracks)
        self.local = LocalMap()
        self.reset()

    def reset(self) -> None:
        self.tracks.reset()
        self.local.reset()
        self._frames_since_key = 0
        self._key_tracked = 0  # landmarks tracked when the last key frame was made

    def clear(self) -> None:
        """Forget map and tracks; ids of tracks are not used again."""
        self.tracks.clear()
        self.local.reset()

    def follow(self, before: np.ndarray | None, frame: WorkingFrame) -> None:
        """Carry the tracks into a frame, from the grey picture before; those on what may move are dropped."""
        if before is not None and before.shape == frame.size:
            self.tracks.follow(before, frame.grey)
        else:
            self.tracks.clear()
        self.tracks.drop_where(~frame.static)

    def find_corners(self, frame: WorkingFrame) -> np.ndarray:
        """Start anew on the corners of a frame; returns their pixels (N, 2)."""
        self.clear()
        self.tracks.refill(frame.grey, frame.static)
        return self.tracks.xy

    def refer(self, frame: WorkingFrame, pose: np.ndarray) -> None:
        """Make this frame the one that parallax is measured against."""
        self.local.reset()
        self.tracks.refill(frame.grey, frame.static)
        self.local.append(pose, self.tracks.ids, measure(frame, self.tracks.xy))

    def landmarks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tracks that have a place in the map: ids (M,), pixels (M, 2) and world points (M, 3), both float64."""
        xyz = self.local.lookup(self.tracks.ids)
        known = np.isfinite(xyz[:, 0])
        return self.tracks.ids[known], self.tracks.xy[known].astype(np.float64), xyz[known]

    def drop(self, ids: np.ndarray) -> None:
        """Drop landmarks and their tracks."""
        self.local.drop(ids)
        self.tracks.keep(~np.isin(self.tracks.ids, ids))

    def take_over(self, found: Relocalised) -> None:
        """Go on from landmarks that another key frame knew."""
        self.clear()
        self.local.add(self.tracks.add(found.xy), found.xyz)

    def count_frame(self) -> None:
        """One more frame since the last key frame."""
        self._frames_since_key += 1

    def needs_key_frame(self, pose: np.ndarray, depth: float, tracked: int) -> bool:
        """Whether the view has changed enough, from the pose, the median depth and the number of landmarks in view."""
        between = pose @ geometry.invert(self.local.poses[-1])
        angle = np.degrees(np.arccos(np.clip((np.trace(between[:3, :3]) - 1) / 2, -1, 1)))
        shift = float(np.linalg.norm(between[:3, 3])) / max(depth, 1e-9)
        return policy.needs_key_frame(
            self._frames_since_key, tracked, self._key_tracked, self.tracks.max_tracks, float(angle), shift
        )

    def make_key_frame(self, frame: WorkingFrame, pose: np.ndarray, map_id: int) -> KeyFrame:
        """Add the frame to the local map, give its corners points where that is possible, and adjust."""
        self.tracks.refill(frame.grey, frame.static)
        self._add_points(frame, pose)
        self.local.append(pose, self.tracks.ids, measure(frame, self.tracks.xy))
        bad = self.local.adjust(frame.intrinsics, frame.depth is not None, policy.THRESHOLD_PX / 2)
        self.tracks.keep(~np.isin(self.tracks.ids, bad))
        pose = self.local.poses[-1]
        self.local.prune(self.tracks.ids)
        _, xy, xyz = self.landmarks()
        self._frames_since_key, self._key_tracked = 0, len(xyz)
        return KeyFrame(pose, xy, xyz, make_place(frame.index, map_id, frame.grey, pose, xy, xyz))

    def _add_points(self, frame: WorkingFrame, pose: np.ndarray) -> None:
        """Points for corners that have none: by depth, else by parallax against the oldest view of them."""
        tracks, local = self.tracks, self.local
        rows = np.flatnonzero(~np.isfinite(local.lookup(tracks.ids)[:, 0]))
        if frame.depth is not None:
            depth = at_pixels(frame.depth, tracks.xy[rows])
            good = depth > 0
            xy = tracks.xy[rows[good]].astype(np.float64)
            xyz = geometry.rays(xy, frame.intrinsics) * depth[good, None]
            local.add(tracks.ids[rows[good]], geometry.transform(geometry.invert(pose), xyz))
            rows = rows[~good]
        poses, before, known = local.first_views(tracks.ids[rows])
        rows, poses, before = rows[known], poses[known], before[known]
        if not len(rows):
            return
        now = tracks.xy[rows].astype(np.float64)
        xyz, angle_deg, error = geometry.triangulate(poses, pose, before, now, frame.intrinsics)
        good = (angle_deg > policy.MIN_ANGLE_DEG) & (error < policy.THRESHOLD_PX)
        local.add(tracks.ids[rows[good]], xyz[good])
        crossed = (angle_deg > 2 * policy.MIN_ANGLE_DEG) & (error > 2 * policy.THRESHOLD_PX)
        keep = np.ones(len(tracks), bool)
        keep[rows[crossed]] = False  # moves by itself, or was never one point
        tracks.keep(keep)

    def state_dict(self) -> dict[str, Any]:
        return {
            "tracks": self.tracks.state_dict(),
            "local": self.local.state_dict(),
            "frames_since_key": self._frames_since_key,
            "key_tracked": self._key_tracked,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.tracks.load_state_dict(state["tracks"])
        self.local.load_state_dict(state["local"])
        self._frames_since_key, self._key_tracked = state["frames_since_key"], state["key_tracked"]


def measure(frame: WorkingFrame, xy: np.ndarray) -> np.ndarray:
    """What a frame measured at (N, 2) pixels: (N, 3) pixel and disparity, NaN where the depth is unknown."""
    depth = np.zeros(len(xy)) if frame.depth is None else at_pixels(frame.depth, xy)
    return geometry.measurement(xy, depth, frame.intrinsics)


def supports_pose(frame: WorkingFrame, xy: np.ndarray) -> bool:
    """Whether corners (N, 2) of a frame can carry a pose."""
    return policy.supports_pose(len(xy), covered_cells(xy, frame.size))
