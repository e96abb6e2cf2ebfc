"""Robust visual odometry on the static part of the picture; a pose is found or the camera is lost, never made up.

Corners are followed by Lucas-Kanade. Until there is parallax the camera is taken to rotate on the spot (a camera that
stands still is the usual case). Enough parallax, or depth in the input, gives the first points; from then on each
frame's pose comes from the points it sees, key frames add points and are adjusted together. Where too few corners
agree the camera is lost: it is relocalised by the key frames of the memory, and after a while a new map begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from pipelines.reconstruction import geometry, policy
from pipelines.reconstruction.feature_tracks import at_pixels, corners_to_match
from pipelines.reconstruction.mapping import LocalMapper, measure, supports_pose
from pipelines.reconstruction.pose_estimation import points_by_first_parallax, pose_by_landmarks, rotation_between
from pipelines.reconstruction.records import OdometryConfig, OdometryStep, WorkingFrame
from pipelines.reconstruction.relocalisation import FindPlaces, relocalise

Mode = Literal["empty", "rotating", "mapped", "lost"]

_KEPT_IN_VIEW = (
    0.6  # share of the corners of the view that parallax is measured against; below, another takes its place
)


class Odometry:
    """Camera pose, frame by frame.

    Args:
        config: sizes and patience.
        seed: of all random choices, with the frame index.
    """

    def __init__(self, config: OdometryConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self._mapper = LocalMapper(config)
        self.reset()

    def reset(self) -> None:
        self.mode: Mode = "empty"
        self.map_id = 0
        self.metric = False  # the map began with depth, and is in metres
        self._map_used = False  # a pose of this map was given out
        self._grey: np.ndarray | None = None  # one picture
        self._pose = np.eye(4)  # last pose that was sure, camera from world
        self._motion = np.eye(4)  # from the frame before it to that frame
        self._frames_lost = 0
        self._mapper.reset()

    def step(self, frame: WorkingFrame, is_cut: bool, find: FindPlaces) -> OdometryStep:
        """Take one frame; frames come in order.

        Args:
            frame: at working size.
            is_cut: nothing of the last frame is in this one.
            find: asks the memory for key frames when the camera is lost.
        """
        new_map = self._begin_map("scene cut", always=True) if is_cut else ""
        self._mapper.follow(self._grey, frame)
        self._grey = frame.grey
        outcome = self._track(frame, find)
        if outcome is None:
            self._frames_lost += 1
            if policy.begins_new_map(self.mode, self._frames_lost, self.config.patience_frames):
                new_map = self._begin_map(f"lost for {self._frames_lost} frames") or new_map
                outcome = self._start(frame)
        if outcome is None:
            outcome = OdometryStep(None, self.map_id)
        else:
            self._frames_lost, self._map_used = 0, True
        return replace(outcome, new_map=new_map, metric=self.metric)

    def _track(self, frame: WorkingFrame, find: FindPlaces) -> OdometryStep | None:
        if self.mode == "empty":
            return self._start(frame)
        if self.mode == "rotating":
            return self._rotate(frame)
        if not self.metric and frame.depth is not None:
            frame = replace(frame, depth=None)  # a map without scale cannot take metres in
        outcome = self._follow_map(frame) if self.mode == "mapped" else None
        return outcome if self.mode == "mapped" else self._relocalise(frame, find)

    def _begin_map(self, why: str, always: bool = False) -> str:
        """Forget the local map; a map that gave out a pose is closed, and the next one has a new number."""
        next_map = always or self._map_used
        self.map_id += int(next_map)
        self._map_used = self.metric = False
        self.mode = "empty"
        self._frames_lost = 0
        self._pose, self._motion = np.eye(4), np.eye(4)
        self._mapper.clear()
        return why if next_map else ""

    def _start(self, frame: WorkingFrame) -> OdometryStep | None:
        """The first frame of a map is its origin, if there is enough to hold on to."""
        if not supports_pose(frame, self._mapper.find_corners(frame)):
            return None
        self._pose, self._motion = np.eye(4), np.eye(4)
        step = self._start_with_depth(frame)
        if step is not None:
            return step
        self.mode = "rotating"
        self._mapper.refer(frame, self._pose)
        return OdometryStep(self._pose, self.map_id)

    def _start_with_depth(self, frame: WorkingFrame) -> OdometryStep | None:
        """The first points of a map in metres, where the input's depth gives enough of them; the pose is known."""
        if frame.depth is None:
            return None
        xy = self._mapper.tracks.xy
        if not supports_pose(frame, xy[at_pixels(frame.depth, xy) > 0]):
            return None
        self._mapper.local.reset()
        self.mode, self.metric = "mapped", True
        return self._key_frame(frame)

    def _rotate(self, frame: WorkingFrame) -> OdometryStep | None:
        """No points yet: the camera rotated on the spot, or there is parallax and the map can start."""
        tracks, local = self._mapper.tracks, self._mapper.local
        values, seen = local.observed(0, tracks.ids)
        before, now = values[seen, :2], tracks.xy[seen].astype(np.float64)
        if not supports_pose(frame, now):
            return None
        seed = self.seed + frame.index
        rotated = rotation_between(before, now, frame.intrinsics, frame.size, seed)
        if rotated.is_all:
            relative = np.eye(4)
            relative[:3, :3] = rotated.rotation
            self._pose = relative @ local.poses[0]
            if seen.sum() < _KEPT_IN_VIEW * len(local.seen_ids[0]):
                self._mapper.refer(frame, self._pose)
            step = self._start_with_depth(frame)
            return step or OdometryStep(self._pose, self.map_id, outliers=now[~rotated.agrees])
        first = points_by_first_parallax(before, now, rotated.residual, frame.intrinsics, frame.size, seed)
        if first is None:
            return None
        reference = local.poses[0]
        local.add(tracks.ids[seen][first.good], geometry.transform(geometry.invert(reference), first.xyz))
        self._pose = first.relative @ reference
        self.mode = "mapped"
        return self._key_frame(replace(frame, depth=None))  # moved by an unknown distance before any depth came

    def _follow_map(self, frame: WorkingFrame) -> OdometryStep | None:
        """Pose from the landmarks in view; lost where too few agree."""
        ids, xy, xyz = self._mapper.landmarks()
        measured = measure(frame, xy) if frame.depth is not None else xy
        pose = pose_by_landmarks(self._motion @ self._pose, xyz, measured, frame.intrinsics, self.seed + frame.index)
        if pose is not None:
            error = geometry.reprojection_error(pose, xyz, xy, frame.intrinsics)
            good = error < policy.THRESHOLD_PX
        if pose is None or not (supports_pose(frame, xy[good]) and policy.is_majority(int(good.sum()), len(good))):
            self.mode = "lost"
            self._mapper.tracks.clear()
            self._motion = np.eye(4)
            return None
        self._motion = pose @ geometry.invert(self._pose)
        self._pose = pose
        wrong = error > 2 * policy.THRESHOLD_PX
        self._mapper.drop(ids[wrong])
        self._mapper.count_frame()
        depth = np.median(geometry.transform(pose, xyz[~wrong])[:, 2])
        if self._mapper.needs_key_frame(pose, depth, int((~wrong).sum())):
            return replace(self._key_frame(frame), outliers=xy[wrong])
        return OdometryStep(pose, self.map_id, outliers=xy[wrong])

    def _relocalise(self, frame: WorkingFrame, find: FindPlaces) -> OdometryStep | None:
        """Recognise a key frame of this map."""
        xy = corners_to_match(frame.grey, frame.static, self.config.max_tracks)
        found = relocalise(frame.grey, xy, frame.intrinsics, find, self.map_id, self.seed + frame.index)
        if found is None or not supports_pose(frame, found.xy):
            return None
        self._mapper.take_over(found)
        self._pose, self._motion = found.pose, np.eye(4)
        self.mode = "mapped"
        return self._key_frame(frame)

    def _key_frame(self, frame: WorkingFrame) -> OdometryStep:
        key_frame = self._mapper.make_key_frame(frame, self._pose, self.map_id)
        self._pose = key_frame.pose
        return OdometryStep(self._pose, self.map_id, key_frame=key_frame)

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
            "mapper": self._mapper.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mode, self.map_id = state["mode"], state["map_id"]
        self.metric, self._map_used = state["metric"], state["map_used"]
        self._grey = None if state["grey"] is None else state["grey"].copy()
        self._pose, self._motion = state["pose"].copy(), state["motion"].copy()
        self._frames_lost = state["frames_lost"]
        self._mapper.load_state_dict(state["mapper"])
