"""The local map of the odometry: the last few key frames, what they measured, and the points they share."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.reconstruction import bundle_adjustment

_WINDOW = 7  # key frames adjusted together, as in DSO (Engel et al., PAMI 2018); more drift less, and cost time
_MIN_MEASURED = 20  # measurements that an adjustment needs to say anything
_MISFIT = 3  # thresholds; a landmark that an adjusted key frame saw further off is dropped


class LocalMap:
    """Key frames and landmarks that the camera is tracked against.

    It keeps what `max_key_frames` key frames measured, 32 bytes of each of their tracks, and the landmarks that these
    and the live tracks saw, 32 bytes each: with 350 tracks at most 0.2 MB, whatever the length of the video.

    Args:
        max_key_frames: key frames kept; more steady the map, and make the adjustment slower.
    """

    def __init__(self, max_key_frames: int = _WINDOW) -> None:
        self.max_key_frames = max_key_frames
        self.reset()

    def reset(self) -> None:
        self.poses = np.zeros((0, 4, 4))  # camera from world
        self.seen_ids: list[np.ndarray] = []  # for each key frame the tracks it saw, ascending
        self.measured: list[np.ndarray] = []  # for each key frame (N, 3): pixel and disparity, NaN where unknown
        self.ids = np.zeros(0, np.int64)  # landmarks, ascending
        self.xyz = np.zeros((0, 3))

    def __len__(self) -> int:
        return len(self.seen_ids)

    def append(self, pose: np.ndarray, ids: np.ndarray, measured: np.ndarray) -> None:
        """Add a key frame; the oldest leaves when there are too many."""
        order = np.argsort(ids, kind="stable")
        self.poses = np.concatenate([self.poses, pose[None]])
        self.seen_ids.append(ids[order])
        self.measured.append(measured[order])
        if len(self.seen_ids) > self.max_key_frames:
            self.poses = self.poses[1:]
            self.seen_ids, self.measured = self.seen_ids[1:], self.measured[1:]

    def lookup(self, ids: np.ndarray) -> np.ndarray:
        """Coordinates (N, 3) of landmarks, NaN for tracks that have none yet."""
        xyz = np.full((len(ids), 3), np.nan)
        place, found = _find(self.ids, ids)
        xyz[found] = self.xyz[place[found]]
        return xyz

    def observed(self, key_frame: int, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a key frame measured (N, 3) of tracks, and whether (N,) it saw them."""
        place, found = _find(self.seen_ids[key_frame], ids)
        values = np.full((len(ids), 3), np.nan)
        values[found] = self.measured[key_frame][place[found]]
        return values, found

    def first_views(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The oldest key frame of the window that saw each track: pose (N, 4, 4), pixel (N, 2), and if any (N,)."""
        poses, xy = np.tile(np.eye(4), (len(ids), 1, 1)), np.zeros((len(ids), 2))
        known = np.zeros(len(ids), bool)
        for key_frame in range(len(self) - 1, -1, -1):
            values, found = self.observed(key_frame, ids)
            poses[found], xy[found] = self.poses[key_frame], values[found, :2]
            known |= found
        return poses, xy, known

    def add(self, ids: np.ndarray, xyz: np.ndarray) -> None:
        """Add landmarks that are not there yet."""
        all_ids = np.concatenate([self.ids, ids])
        order = np.argsort(all_ids, kind="stable")
        self.ids, self.xyz = all_ids[order], np.concatenate([self.xyz, xyz])[order]

    def drop(self, ids: np.ndarray) -> None:
        """Drop landmarks; what key frames measured of them counts no more."""
        keep = ~np.isin(self.ids, ids)
        self.ids, self.xyz = self.ids[keep], self.xyz[keep]

    def prune(self, live_ids: np.ndarray) -> None:
        """Forget the landmarks that neither a key frame of the window nor a live track saw."""
        keep = np.isin(self.ids, np.concatenate([live_ids, *self.seen_ids]))
        self.ids, self.xyz = self.ids[keep], self.xyz[keep]

    def adjust(self, intrinsics: np.ndarray, with_depth: bool, threshold_px: float) -> np.ndarray:
        """Bundle adjustment over the window; returns the ids of landmarks that do not fit, which are dropped."""
        pose_rows, point_rows, measured = self._observations()
        counts = np.bincount(point_rows, minlength=len(self.ids))
        used = counts >= 2  # a point seen once goes along with its pose
        keep = used[point_rows]
        pose_rows, point_rows, measured = pose_rows[keep], point_rows[keep], measured[keep]
        # Two fixed poses hold the scale of a map without depth, but the first two are no better than two views
        # alone can be: while the window is young only one is fixed (damping holds the scale).
        num_fixed = 1 if with_depth or len(self) < 4 else 2
        if len(self) <= num_fixed or len(measured) < _MIN_MEASURED:
            return np.zeros(0, np.int64)
        rows = np.flatnonzero(used)
        compact = np.cumsum(used) - 1
        values = measured if with_depth else measured[:, :2]
        poses, xyz = bundle_adjustment.adjust(
            self.poses,
            self.xyz[rows],
            pose_rows,
            compact[point_rows],
            values,
            intrinsics,
            num_fixed,
            threshold_px,
        )
        self.poses = poses
        self.xyz[rows] = xyz
        error = bundle_adjustment.errors(poses, xyz, pose_rows, compact[point_rows], measured[:, :2], intrinsics)
        worst = np.zeros(len(rows))
        np.maximum.at(worst, compact[point_rows], error)
        bad = self.ids[rows[worst > _MISFIT * threshold_px]]
        self.drop(bad)
        return bad

    def _observations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All measurements of landmarks: key frame (M,), landmark row (M,), values (M, 3)."""
        pose_rows, point_rows, measured = [], [], []
        for key_frame, (ids, values) in enumerate(zip(self.seen_ids, self.measured, strict=True)):
            place, found = _find(self.ids, ids)
            pose_rows.append(np.full(int(found.sum()), key_frame, np.int64))
            point_rows.append(place[found])
            measured.append(values[found])
        return np.concatenate(pose_rows), np.concatenate(point_rows), np.concatenate(measured)

    def state_dict(self) -> dict[str, Any]:
        return {
            "poses": self.poses.copy(),
            "seen_ids": [ids.copy() for ids in self.seen_ids],
            "measured": [values.copy() for values in self.measured],
            "ids": self.ids.copy(),
            "xyz": self.xyz.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.poses, self.ids, self.xyz = (state[name].copy() for name in ("poses", "ids", "xyz"))
        self.seen_ids = [ids.copy() for ids in state["seen_ids"]]
        self.measured = [values.copy() for values in state["measured"]]


def _find(sorted_ids: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (N,) of ids in an ascending array, and whether (N,) they are there."""
    place = np.searchsorted(sorted_ids, ids)
    found = place < len(sorted_ids)
    found[found] = sorted_ids[place[found]] == ids[found]
    return place, found
