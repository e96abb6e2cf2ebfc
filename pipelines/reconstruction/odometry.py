"""Robust visual odometry on the static part of the picture; a pose is found or the camera is lost, never made up.

Corners are followed by Lucas-Kanade. Until there is parallax the camera is taken to turn on the spot (a camera that
stands still is the usual case). Enough parallax, or depth in the input, gives the first points; from then on each
frame's pose comes from the points it sees, key frames add points and are adjusted together. Where too few corners
agree the camera is lost: it is sought among the key frames of the memory, and after a while a new map begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from pipelines.reconstruction import geometry
from pipelines.reconstruction import policy as odometry_policy
from pipelines.reconstruction import relocalisation as odometry_places
from pipelines.reconstruction.feature_tracks import FeatureTracks, at_pixels, corners, covered_cells, spread
from pipelines.reconstruction.local_map import LocalMap
from pipelines.reconstruction.records import OdometryConfig, OdometryStep, View

Mode = Literal["empty", "turning", "mapped", "lost"]


class Odometry:
    """Camera pose, frame by frame.

    Args:
        config: thresholds.
        seed: of all random choices, with the frame index.
    """

    def __init__(self, config: OdometryConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.tracks = FeatureTracks(config.max_tracks, config.min_distance_px, config.min_corner)
        self.local = LocalMap(config.window)
        self.reset()

    def reset(self) -> None:
        self.mode: Mode = "empty"
        self.map_id = 0
        self.metric = False  # the map began with depth, and is in metres
        self._map_used = False  # a pose of this map was given out
        self._grey: np.ndarray | None = None
        self._pose = np.eye(4)  # last pose that was sure, camera from world
        self._motion = np.eye(4)  # from the frame before it to that frame
        self._frames_lost = 0
        self._frames_since_key = 0
        self._key_tracked = 0  # landmarks tracked when the last key frame was made
        self.tracks.reset()
        self.local.reset()

    def step(self, view: View, cut: bool, find: odometry_places.FindPlaces) -> OdometryStep:
        """Take one frame; frames come in order.

        Args:
            view: the frame at working size.
            cut: nothing of the last frame is in this one.
            find: asks the memory for key frames when the camera is lost.
        """
        new_map = self._begin_map("scene cut", always=True) if cut else ""
        if self._grey is not None and self._grey.shape == view.grey.shape:
            self.tracks.follow(self._grey, view.grey)
        else:
            self.tracks.clear()
        self.tracks.drop_where(~view.static)
        self._grey = view.grey
        outcome = self._track(view, find)
        if outcome is None:
            self._frames_lost += 1
            if odometry_policy.gives_up(self.mode, self._frames_lost, self.config.patience_frames):
                new_map = self._begin_map(f"lost for {self._frames_lost} frames") or new_map
                outcome = self._start(view)
        if outcome is None:
            outcome = OdometryStep(None, self.map_id)
        else:
            self._frames_lost, self._map_used = 0, True
        return replace(outcome, new_map=new_map, metric=self.metric)

    def _track(self, view: View, find: odometry_places.FindPlaces) -> OdometryStep | None:
        if self.mode == "empty":
            return self._start(view)
        if self.mode == "turning":
            return self._turn(view)
        if not self.metric and view.depth is not None:
            view = replace(view, depth=None)  # a map without scale cannot take metres in
        outcome = self._follow_map(view) if self.mode == "mapped" else None
        return outcome if self.mode == "mapped" else self._find_back(view, find)

    def _begin_map(self, why: str, always: bool = False) -> str:
        """Forget the local map; a map that gave out a pose is closed, and the next one has a new number."""
        next_map = always or self._map_used
        self.map_id += int(next_map)
        self._map_used = self.metric = False
        self.mode = "empty"
        self._frames_lost = 0
        self._pose, self._motion = np.eye(4), np.eye(4)
        self.tracks.clear()
        self.local.reset()
        return why if next_map else ""

    def _start(self, view: View) -> OdometryStep | None:
        """The first frame of a map is its origin, if there is enough to hold on to."""
        self.tracks.clear()
        self.tracks.refill(view.grey, view.static)
        if not self._enough(self.tracks.xy):
            return None
        self._pose, self._motion = np.eye(4), np.eye(4)
        self.local.reset()
        step = self._start_with_depth(view)
        if step is not None:
            return step
        self.mode = "turning"
        self._refer(view)
        return OdometryStep(self._pose, self.map_id)

    def _start_with_depth(self, view: View) -> OdometryStep | None:
        """The first points of a map in metres, where the input's depth gives enough of them; the pose is known."""
        if view.depth is None or not self._enough(self.tracks.xy[at_pixels(view.depth, self.tracks.xy) > 0]):
            return None
        self.local.reset()
        self.mode, self.metric = "mapped", True
        return self._key_frame(view)

    def _refer(self, view: View) -> None:
        """Make this frame the one that parallax is measured against."""
        self.local.reset()
        self.tracks.refill(view.grey, view.static)
        self.local.append(self._pose, self.tracks.ids, self._measure(view, self.tracks.xy))

    def _turn(self, view: View) -> OdometryStep | None:
        """No points yet: the camera turned on the spot, or there is parallax and the map can start."""
        config = self.config
        values, seen = self.local.observed(0, self.tracks.ids)
        before, now = values[seen, :2], self.tracks.xy[seen].astype(np.float64)
        if not self._enough(now):
            return None
        seed = self.seed + view.index
        # A small picture shows less parallax: what passes for none must be smaller too.
        none_px = config.threshold_px * min(view.grey.shape) / 384
        rotation, residual = geometry.fit_rotation(before, now, view.intrinsics, none_px, seed)
        good = residual < none_px
        still = bool(np.median(np.linalg.norm(now - before, axis=1)) < 0.5)
        share, wide_share = (
            covered_cells(now[near], view.grey.shape) / covered_cells(now, view.grey.shape)
            for near in (good, residual < 3 * none_px)
        )
        if odometry_policy.only_turned(share, wide_share, still):
            if still:
                rotation = np.eye(3)  # no jitter from noise
            turn = np.eye(4)
            turn[:3, :3] = rotation
            self._pose = turn @ self.local.poses[0]
            if seen.sum() < 0.6 * len(self.local.seen_ids[0]):
                self._refer(view)
            step = self._start_with_depth(view)
            return step or OdometryStep(self._pose, self.map_id, outliers=now[~good])
        view = replace(view, depth=None)  # moved by an unknown distance before any depth came
        if np.median(residual) < config.start_parallax_px * min(view.grey.shape) / 384:
            return None
        return self._start_from_parallax(view, seen, before, now, residual)

    def _start_from_parallax(
        self, view: View, seen: np.ndarray, before: np.ndarray, now: np.ndarray, residual: np.ndarray
    ) -> OdometryStep | None:
        config, reference = self.config, self.local.poses[0]
        pair = geometry.two_view_pose(before, now, view.intrinsics, config.threshold_px / 2, self.seed + view.index)
        if pair is None:
            return None
        relative, inliers = pair
        xyz, angle, error = geometry.triangulate(np.eye(4), relative, before, now, view.intrinsics)
        good = inliers & (angle > config.min_angle_deg) & (error < config.threshold_px)
        if not odometry_policy.two_views_agree(inliers, good, residual > config.threshold_px):
            return None
        if not self._enough(now[good]):
            return None
        scale = 1.0 / np.median(xyz[good, 2])  # the unit of a map without depth: the median depth at its start
        relative[:3, 3] *= scale
        self.local.add(self.tracks.ids[seen][good], geometry.transform(geometry.invert(reference), xyz[good] * scale))
        self._pose = relative @ reference
        self.mode = "mapped"
        return self._key_frame(view)

    def _follow_map(self, view: View) -> OdometryStep | None:
        """Pose from the landmarks in view; lost where too few agree."""
        config = self.config
        xyz = self.local.lookup(self.tracks.ids)
        known = np.isfinite(xyz[:, 0])
        points, xy = xyz[known], self.tracks.xy[known].astype(np.float64)
        pose = self._pose_of(view, points, xy)
        error = geometry.reprojection_error(pose, points, xy, view.intrinsics) if pose is not None else None
        if pose is None or error is None or not self._agree(error, xy):
            self.mode = "lost"
            self.tracks.clear()
            self._motion = np.eye(4)
            return None
        self._motion = pose @ geometry.invert(self._pose)
        self._pose = pose
        wrong = error > 2 * config.threshold_px
        outliers = xy[wrong]
        ids = self.tracks.ids[known][wrong]
        self.local.drop(ids)
        self.tracks.keep(~np.isin(self.tracks.ids, ids))
        self._frames_since_key += 1
        depth = np.median(geometry.transform(pose, points[~wrong])[:, 2])
        tracked = int((~wrong).sum())
        if self._needs_key_frame(pose, depth, tracked):
            step = self._key_frame(view)
            return replace(step, outliers=outliers)
        return OdometryStep(pose, self.map_id, outliers=outliers, xy=xy[~wrong], xyz=points[~wrong])

    def _pose_of(self, view: View, xyz: np.ndarray, xy: np.ndarray) -> np.ndarray | None:
        """Pose by refining the predicted one; where that convinces less than most corners, also by voting."""
        config = self.config
        if len(xyz) < config.min_inliers:
            return None
        measured = self._measure(view, xy)
        if view.depth is None:
            measured = measured[:, :2]
        best, best_count = None, -1
        for voting in (False, True):
            pose: np.ndarray | None = self._motion @ self._pose
            if voting:
                seed = self.seed + view.index
                pose = geometry.pose_from_points(xyz, xy, view.intrinsics, config.threshold_px, seed)
            if pose is None:
                continue
            pose = geometry.refine_pose(pose, xyz, measured, view.intrinsics, config.threshold_px)
            error = geometry.reprojection_error(pose, xyz, xy, view.intrinsics)
            count = int((error < config.threshold_px).sum())
            if count > best_count:
                best, best_count = pose, count
            if best_count > 0.75 * len(xyz):
                break
        return best

    def _needs_key_frame(self, pose: np.ndarray, depth: float, tracked: int) -> bool:
        between = pose @ geometry.invert(self.local.poses[-1])
        angle = np.degrees(np.arccos(np.clip((np.trace(between[:3, :3]) - 1) / 2, -1, 1)))
        shift = float(np.linalg.norm(between[:3, 3])) / max(depth, 1e-9)
        return odometry_policy.needs_key_frame(
            self._frames_since_key, tracked, self._key_tracked, self.config.max_tracks, float(angle), shift
        )

    def _key_frame(self, view: View) -> OdometryStep:
        """Add the frame to the local map, give its corners points where that is possible, and adjust."""
        self.tracks.refill(view.grey, view.static)
        self._add_points(view)
        self.local.append(self._pose, self.tracks.ids, self._measure(view, self.tracks.xy))
        bad = self.local.adjust(view.intrinsics, view.depth is not None, self.config.threshold_px / 2)
        self.tracks.keep(~np.isin(self.tracks.ids, bad))
        self._pose = self.local.poses[-1]
        self.local.prune(self.tracks.ids)
        xyz = self.local.lookup(self.tracks.ids)
        known = np.isfinite(xyz[:, 0])
        self._frames_since_key, self._key_tracked = 0, int(known.sum())
        xy, points = self.tracks.xy[known].astype(np.float64), xyz[known]
        place = odometry_places.make_place(view.index, self.map_id, view.grey, self._pose, xy, points)
        return OdometryStep(self._pose, self.map_id, key_frame=True, xy=xy, xyz=points, place=place)

    def _add_points(self, view: View) -> None:
        """Points for corners that have none: by depth, else by parallax against the oldest view of them."""
        config = self.config
        rows = np.flatnonzero(~np.isfinite(self.local.lookup(self.tracks.ids)[:, 0]))
        if view.depth is not None:
            depth = at_pixels(view.depth, self.tracks.xy[rows])
            good = depth > 0
            xy = self.tracks.xy[rows[good]].astype(np.float64)
            xyz = geometry.rays(xy, view.intrinsics) * depth[good, None]
            self.local.add(self.tracks.ids[rows[good]], geometry.transform(geometry.invert(self._pose), xyz))
            rows = rows[~good]
        poses, before, known = self.local.first_views(self.tracks.ids[rows])
        rows, poses, before = rows[known], poses[known], before[known]
        if not len(rows):
            return
        now = self.tracks.xy[rows].astype(np.float64)
        xyz, angle, error = geometry.triangulate(poses, self._pose, before, now, view.intrinsics)
        good = (angle > config.min_angle_deg) & (error < config.threshold_px)
        self.local.add(self.tracks.ids[rows[good]], xyz[good])
        crossed = (angle > 2 * config.min_angle_deg) & (error > 2 * config.threshold_px)
        keep = np.ones(len(self.tracks), bool)
        keep[rows[crossed]] = False  # moves by itself, or was never one point
        self.tracks.keep(keep)

    def _find_back(self, view: View, find: odometry_places.FindPlaces) -> OdometryStep | None:
        """Recognise a key frame of this map."""
        config = self.config
        xy = corners(view.grey, view.static, config.max_tracks, config.min_distance_px // 2, config.min_corner)
        xy = spread(xy, np.zeros((0, 2), np.float32), view.grey.shape, 2 * config.max_tracks)
        found = odometry_places.find_back(
            view.grey,
            xy,
            view.intrinsics,
            find,
            self.map_id,
            config.min_inliers,
            config.threshold_px,
            self.seed + view.index,
        )
        if found is None or not self._enough(found.xy):
            return None
        self.tracks.clear()
        self.local.reset()
        self.local.add(self.tracks.add(found.xy), found.xyz)
        self._pose, self._motion = found.pose, np.eye(4)
        self.mode = "mapped"
        step = self._key_frame(view)
        return replace(step, found=found.place.frame_index)

    def _measure(self, view: View, xy: np.ndarray) -> np.ndarray:
        depth = np.zeros(len(xy)) if view.depth is None else at_pixels(view.depth, xy)
        return geometry.measurement(xy, depth, view.intrinsics)

    def _enough(self, xy: np.ndarray) -> bool:
        assert self._grey is not None
        return odometry_policy.enough(
            len(xy), covered_cells(xy, self._grey.shape), self.config.min_inliers, self.config.min_cells
        )

    def _agree(self, error: np.ndarray, xy: np.ndarray) -> bool:
        good = error < self.config.threshold_px
        return self._enough(xy[good]) and odometry_policy.majority(int(good.sum()), len(good))

    def state_dict(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "map_id": self.map_id,
            "metric": self.metric,
            "map_used": self._map_used,
            "grey": None if self._grey is None else self._grey.copy(),
            "pose": self._pose.copy(),
            "motion": self._motion.copy(),
            "frames_lost": self._frames_lost,
            "frames_since_key": self._frames_since_key,
            "key_tracked": self._key_tracked,
            "tracks": self.tracks.state_dict(),
            "local": self.local.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mode, self.map_id = state["mode"], state["map_id"]
        self.metric, self._map_used = state["metric"], state["map_used"]
        self._grey = None if state["grey"] is None else state["grey"].copy()
        self._pose, self._motion = state["pose"].copy(), state["motion"].copy()
        self._frames_lost, self._frames_since_key = state["frames_lost"], state["frames_since_key"]
        self._key_tracked = state["key_tracked"]
        self.tracks.load_state_dict(state["tracks"])
        self.local.load_state_dict(state["local"])
