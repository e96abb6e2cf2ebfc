"""What key frames measure of the static world goes into the scene memory; frames in between see it from there."""

from __future__ import annotations

from typing import Any

import numpy as np

from memory_bank.scene.memory import SceneMemory
from pipelines.reconstruction import geometry, points
from pipelines.reconstruction.feature_tracks import at_pixels
from pipelines.reconstruction.records import KeyFrame, OdometryStep, WorkingFrame

_TRACKED_CONFIDENCE = 0.4  # of a point of the odometry, which several frames agree on; by hand
_MAX_VIEW_POINTS = 20_000  # of the map, of which a frame's depth picture is drawn; more is denser and slower
_VIEW_REACH = 0.75  # of the picture's sides from its centre: what may come into view until the next key frame


class StaticMapper:
    """Measures static points at key frames, and knows which of them are in view.

    Beside the memory it keeps the last key frame's grey picture and copies of at most `_MAX_VIEW_POINTS` points of 16
    bytes, whatever the length of the video.

    Args:
        memory: where points and key frames are kept.
        voxel_m, voxel_relative: points closer than this become one, in metres, or in units of a map without depth.
        depth_stride_px: every n-th pixel of a depth picture enters the map.
        max_depth_m: depth beyond is not kept.
        semi_dense: weak corners tried at each key frame without depth.
    """

    def __init__(
        self,
        memory: SceneMemory,
        voxel_m: float,
        voxel_relative: float,
        depth_stride_px: int,
        max_depth_m: float,
        semi_dense: int,
    ) -> None:
        self.memory = memory
        self.voxel_m, self.voxel_relative = voxel_m, voxel_relative
        self.depth_stride_px, self.max_depth_m = depth_stride_px, max_depth_m
        self.semi_dense = semi_dense
        self.reset()

    def reset(self) -> None:
        """Forget the view; the memory is reset by its owner."""
        self._last: points.KeyView | None = None
        self._view_xyz, self._view_confidence = np.zeros((0, 3), np.float32), np.zeros(0, np.float32)

    @property
    def is_empty(self) -> bool:
        """Whether no point of the map is near the view."""
        return not len(self._view_xyz)

    def write(self, frame: WorkingFrame, step: OdometryStep) -> None:
        """Write what a key frame measured, and the place itself."""
        key_frame = step.key_frame
        if key_frame is None:
            return
        if frame.depth is not None and step.metric:
            found = self._points_by_depth(frame, step.map_id, key_frame)
        else:
            found = self._points_by_parallax(frame, key_frame)
        voxel = self.voxel_m if step.metric else self.voxel_relative
        self.memory.write(frame.index, found.xyz, found.rgb, found.confidence, step.map_id, voxel)
        self.memory.write_place(key_frame.place)
        self._last = points.KeyView(frame.grey, key_frame.pose)
        self._choose_view_points(frame, step.map_id, key_frame)

    def in_view(self, frame: WorkingFrame, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels (N, 2), depths (N,) and confidences (N,) of the map points in the picture."""
        xy, depth = geometry.project(pose, self._view_xyz.astype(np.float64), frame.intrinsics)
        inside = points.in_picture(xy, depth, frame.size)
        return xy[inside], depth[inside], self._view_confidence[inside]

    def _points_by_depth(self, frame: WorkingFrame, map_id: int, key_frame: KeyFrame) -> points.Points:
        """What the depth camera measured, after doubting the map points that it looked through."""
        rows = self.memory.static.rows_of_map(map_id)
        xyz = self.memory.static.positions(rows)
        through = points.looked_through(xyz, key_frame.pose, frame.depth, frame.intrinsics)
        self.memory.look_through(frame.index, rows[through], map_id)
        return points.from_depth(frame, key_frame.pose, self.depth_stride_px, self.max_depth_m)

    def _points_by_parallax(self, frame: WorkingFrame, key_frame: KeyFrame) -> points.Points:
        """The odometry's own points, and many weaker corners matched with the last key frame."""
        confidence = np.full(len(key_frame.xyz), _TRACKED_CONFIDENCE)
        found = points.Points(key_frame.xyz, at_pixels(frame.image, key_frame.xy), confidence)
        if self._last is None:
            return found
        weak = points.from_parallax(self._last, frame, key_frame.pose, self.semi_dense)
        return points.Points.joined(found, weak)

    def _choose_view_points(self, frame: WorkingFrame, map_id: int, key_frame: KeyFrame) -> None:
        """The map points near this key frame's view, which depth pictures are drawn from until the next one."""
        rows = self.memory.static.rows_of_map(map_id)
        xyz = self.memory.static.positions(rows)
        xy, depth = geometry.project(key_frame.pose, xyz.astype(np.float64), frame.intrinsics)
        height, width = frame.size
        near = (np.abs(xy / (width, height) - 0.5) < _VIEW_REACH).all(axis=1) & (depth > geometry.MIN_DEPTH)
        rows = rows[near]
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAX_VIEW_POINTS)).astype(np.int64)]
        read = self.memory.static.read(chosen)
        self._view_xyz, self._view_confidence = read["xyz"], read["confidence"]

    def state_dict(self) -> dict[str, Any]:
        return {
            "last": None if self._last is None else {"grey": self._last.grey, "pose": self._last.pose},
            "view_xyz": self._view_xyz.copy(),
            "view_confidence": self._view_confidence.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._last = None if state["last"] is None else points.KeyView(**state["last"])
        self._view_xyz, self._view_confidence = state["view_xyz"].copy(), state["view_confidence"].copy()
