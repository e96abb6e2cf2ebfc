"""The reconstruct stage, after Mem4D (Cai et al., 2508.07908, 2025): camera pose and a scene in two memories.

Of the paper we take the structure, a persistent memory of what stays and a transient one of what moves, queried in
turn; its networks are not public, so poses come from feature tracks on static pixels, points from the input's depth
or from parallax. What is not known is said to be: no pose while lost, no depth where nothing was triangulated.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from memory_bank.protocol import MemoryStats
from memory_bank.scene.memory import SceneMemory, SceneMemoryConfig
from pipelines.reconstruction import geometry, points
from pipelines.reconstruction.feature_tracks import at_pixels
from pipelines.reconstruction.moving import Movable, contradicting_area, find_movable, grow
from pipelines.reconstruction.odometry import Odometry
from pipelines.reconstruction.records import OdometryConfig, OdometryStep, View
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, SceneEstimate, StepResult


@dataclass(frozen=True)
class ReconstructConfig:
    """How the scene is reconstructed."""

    size: int = 384  # short side of the working picture, pixels; larger is more exact and slower
    focal_ratio: float = 0.9  # focal length over the longer side, where the camera is not known (58 degrees wide)
    mask_margin_px: int = 4  # movable masks grow by this before corners are taken; larger is safer, loses corners
    min_score: float = 0.4  # detections below are ignored; lower blocks more of the picture
    detection_hold_frames: int = 10  # boxes count for this long when the detector does not run on every frame
    voxel_m: float = 0.03  # with depth: points closer than this become one; larger is coarser and fits more
    voxel_relative: float = 0.01  # without depth: the same, in units of the median depth at the start of the map
    depth_stride_px: int = 4  # every n-th pixel of a depth picture enters the map; smaller is denser and slower
    max_depth_m: float = 8.0  # depth beyond is too inexact to be kept
    semi_dense: int = 800  # weak corners tried at each key frame without depth; more is denser and slower
    max_view_points: int = 20000  # map points projected into a frame for its depth picture; more is denser
    odometry: OdometryConfig = field(default_factory=OdometryConfig)
    memory: SceneMemoryConfig = field(default_factory=SceneMemoryConfig)

    def __post_init__(self) -> None:
        if self.size < 64:
            raise InputError(f"reconstruct size: expected at least 64 pixels, got {self.size}")
        for name in ("focal_ratio", "voxel_m", "voxel_relative", "depth_stride_px", "max_depth_m"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"reconstruct {name}: expected more than 0, got {getattr(self, name)}")
        for name in ("mask_margin_px", "detection_hold_frames", "semi_dense", "max_view_points"):
            if getattr(self, name) < 0:
                raise InputError(f"reconstruct {name}: expected 0 or more, got {getattr(self, name)}")
        if not 0 <= self.min_score <= 1:
            raise InputError(f"reconstruct min_score: expected within [0, 1], got {self.min_score}")


class ReconstructStage:
    """Camera pose, static map and moving points of one stream.

    Args:
        config: sizes and thresholds.
        movable_classes: names of the detector's classes that move by themselves (people, animals, vehicles).
        seed: of all random choices.
    """

    name = "reconstruct"

    def __init__(self, config: ReconstructConfig, movable_classes: frozenset[str], seed: int = 0) -> None:
        self.config, self.movable_classes = config, movable_classes
        self.memory = SceneMemory(config.memory)
        self._odometry = Odometry(config.odometry, seed)
        self.reset()

    def reset(self) -> None:
        self.memory.reset()
        self._odometry.reset()
        self._time_s = 0.0
        self._held: Detections | None = None
        self._held_since = 0
        self._forget_view()

    def _forget_view(self) -> None:
        self._key: points.KeyView | None = None
        self._view_xyz, self._view_confidence = np.zeros((0, 3), np.float32), np.zeros(0, np.float32)

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        for removal in result.removals:
            self.memory.remove(removal.object_id, frame.index)
        view, image = self._working_view(frame)
        movable = self._movable(frame, result, view.grey.shape)
        view = dataclasses.replace(view, static=~grow(movable.area, self.config.mask_margin_px))
        step = self._odometry.step(view, result.is_cut, self.memory.places.nearest)
        if step.new_map:
            self.memory.start_map(frame.index, step.map_id, step.new_map)
            self._forget_view()
        if step.pose is not None:
            self._remember_static(view, image, step)
            self._remember_moving(frame, view, image, movable, step.pose)
        self.memory.expire(frame.index, frame.time_s)
        self._time_s = frame.time_s
        scene = self._estimate(frame, view, movable, step)
        return dataclasses.replace(result, scene=scene, events=result.events + self.memory.drain_events())

    def _working_view(self, frame: Frame) -> tuple[View, np.ndarray]:
        """The frame at working size (never enlarged), and its colours (h, w, 3)."""
        height, width = frame.size
        scale = min(self.config.size / min(height, width), 1.0)
        small = (max(round(width * scale), 1), max(round(height * scale), 1))
        image = cv2.resize(frame.image, small, interpolation=cv2.INTER_AREA) if scale < 1 else frame.image
        depth = frame.depth_m
        if depth is not None:
            depth = cv2.resize(depth, small, interpolation=cv2.INTER_NEAREST) if scale < 1 else depth
            depth = np.where(np.isfinite(depth), depth, 0).astype(np.float32)
        ratio_x, ratio_y = small[0] / width, small[1] / height
        intrinsics = self._intrinsics(frame).copy()
        intrinsics[0] *= ratio_x
        intrinsics[1] *= ratio_y
        intrinsics[:2, 2] += (ratio_x - 1) / 2, (ratio_y - 1) / 2  # pixel centres lie at whole numbers
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        return View(frame.index, grey, np.ones(grey.shape, bool), depth, intrinsics), image

    def _intrinsics(self, frame: Frame) -> np.ndarray:
        if frame.intrinsics is not None:
            return frame.intrinsics
        height, width = frame.size
        focal = self.config.focal_ratio * max(height, width)
        return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])

    def _movable(self, frame: Frame, result: StepResult, size: tuple[int, int]) -> Movable:
        """What may move now; the last boxes hold for some frames, as the detector need not run on each."""
        if result.is_cut:
            self._held = None
        if result.detections is not None:
            self._held, self._held_since = result.detections, frame.index
        elif frame.index - self._held_since > self.config.detection_hold_frames:
            self._held = None
        return find_movable(size, frame.size, result.masks, self._held, self.movable_classes, self.config.min_score)

    def _remember_static(self, view: View, image: np.ndarray, step: OdometryStep) -> None:
        """At a key frame: write what it measured, and the place itself."""
        if not step.key_frame or step.pose is None or step.place is None:
            return
        config = self.config
        if view.depth is not None and step.metric:
            found = self._points_by_depth(view, image, step.map_id, step.pose)
        else:
            found = self._points_by_parallax(view, image, step)
        voxel = config.voxel_m if step.metric else config.voxel_relative
        self.memory.write(view.index, found.xyz, found.rgb, found.confidence, step.map_id, voxel)
        self.memory.write_place(step.place)
        self._key = points.KeyView(view.grey, step.pose)
        self._choose_view_points(view, step)

    def _points_by_depth(self, view: View, image: np.ndarray, map_id: int, pose: np.ndarray) -> points.Points:
        """What the depth camera measured, after doubting the map points that it looked through."""
        assert view.depth is not None
        rows = self.memory.static.rows_of_map(map_id)
        xyz = self.memory.static.positions(rows)
        through = points.looked_through(xyz, pose, view.depth, view.intrinsics)
        self.memory.look_through(view.index, rows[through], map_id)
        stride_px, max_depth_m = self.config.depth_stride_px, self.config.max_depth_m
        return points.from_depth(view.depth, image, view.static, pose, view.intrinsics, stride_px, max_depth_m)

    def _points_by_parallax(self, view: View, image: np.ndarray, step: OdometryStep) -> points.Points:
        """The odometry's own points, and many weaker corners matched with the last key frame."""
        assert step.pose is not None
        found = points.Points(step.xyz, at_pixels(image, step.xy), np.full(len(step.xyz), 0.4))
        if self._key is None:
            return found
        semi_dense = points.from_parallax(
            self._key,
            points.KeyView(view.grey, step.pose),
            image,
            view.static,
            view.intrinsics,
            self.config.semi_dense,
            self.config.odometry.min_angle_deg,
            self.config.odometry.min_corner,
        )
        return points.Points.joined(found, semi_dense)

    def _choose_view_points(self, view: View, step: OdometryStep) -> None:
        """The map points near this key frame's view, which depth pictures are drawn from until the next one."""
        assert step.pose is not None
        rows = self.memory.static.rows_of_map(step.map_id)
        xyz = self.memory.static.positions(rows)
        xy, depth = geometry.project(step.pose, xyz.astype(np.float64), view.intrinsics)
        height, width = view.grey.shape
        near = (np.abs(xy / (width, height) - 0.5) < 0.75).all(axis=1) & (depth > 1e-3)
        rows = rows[near]
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), self.config.max_view_points)).astype(np.int64)]
        read = self.memory.static.read(chosen)
        self._view_xyz, self._view_confidence = read["xyz"], read["confidence"]

    def _in_view(self, view: View, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels (N, 2), depths (N,) and confidences (N,) of the map points in the picture."""
        xy, depth = geometry.project(pose, self._view_xyz.astype(np.float64), view.intrinsics)
        inside = points.in_picture(xy, depth, view.grey.shape)
        return xy[inside], depth[inside], self._view_confidence[inside]

    def _remember_moving(self, frame: Frame, view: View, image: np.ndarray, movable: Movable, pose: np.ndarray) -> None:
        """Points of each movable object, where its distance is known."""
        count = self.config.memory.transient_points
        static: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        for object_id, mask in movable.objects.items():
            if view.depth is not None and self._odometry.metric:
                found = points.of_object_by_depth(mask, view.depth, image, pose, view.intrinsics, count)
                source = "the depth camera"
            else:
                static = static or self._in_view(view, pose)
                found = points.of_object_by_ground(mask, static[0], static[1], image, pose, view.intrinsics, count)
                source = "the ground at its feet"
            self.memory.write_moving(frame.index, frame.time_s, object_id, found.xyz, found.rgb, source)

    def _estimate(self, frame: Frame, view: View, movable: Movable, step: OdometryStep) -> SceneEstimate:
        dynamic = movable.area | contradicting_area(view.grey.shape, step.outliers)
        depth, confidence = None, None
        if view.depth is not None:
            depth = view.depth
            confidence = np.where(depth > 0, points.depth_confidence(depth), 0).astype(np.float32)
        elif step.pose is not None and len(self._view_xyz):
            depth, confidence = points.sparse_depth(*self._in_view(view, step.pose), view.grey.shape)
        return SceneEstimate(
            map_id=step.map_id,
            world_from_camera=None if step.pose is None else geometry.invert(step.pose),
            intrinsics=self._intrinsics(frame),
            scale="metric" if step.metric else "relative",
            tracking="lost" if step.pose is None else "ok",
            depth_m=depth,
            confidence=confidence,
            dynamic=dynamic,
            num_static=len(self.memory.static),
            num_dynamic=len(self.memory.dynamic),
        )

    def stats(self) -> Mapping[str, MemoryStats]:
        return {self.memory.name: self.memory.stats()}

    def products(self) -> dict[str, Any]:
        """The static map, and the moving points carried to the time of the last frame."""
        static, moving = self.memory.read(self._time_s)
        return {
            "static_xyz": static["xyz"],
            "static_rgb": static["rgb"],
            "static_confidence": static["confidence"],
            "static_map_id": static["map_id"],
            "dynamic_xyz": moving.xyz,
            "dynamic_rgb": moving.rgb,
            "dynamic_object_id": moving.object_id,
            "dynamic_map_id": np.full(len(moving.xyz), self._odometry.map_id, np.int32),
        }

    def state_dict(self) -> dict[str, Any]:
        held = None if self._held is None else {**vars(self._held)}
        return {
            "memory": self.memory.state_dict(),
            "odometry": self._odometry.state_dict(),
            "time_s": self._time_s,
            "held": held,
            "held_since": self._held_since,
            "key": None if self._key is None else {"grey": self._key.grey, "pose": self._key.pose},
            "view_xyz": self._view_xyz.copy(),
            "view_confidence": self._view_confidence.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.memory.load_state_dict(state["memory"])
        self._odometry.load_state_dict(state["odometry"])
        self._time_s = state["time_s"]
        self._held = None if state["held"] is None else Detections(**state["held"])
        self._held_since = state["held_since"]
        self._key = None if state["key"] is None else points.KeyView(**state["key"])
        self._view_xyz, self._view_confidence = state["view_xyz"].copy(), state["view_confidence"].copy()

    def close(self) -> None:
        """Nothing is open."""
