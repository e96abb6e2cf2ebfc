"""The reconstruct stage, after Mem4D (Cai et al., 2508.07908, 2025): camera pose and a scene in two memories.

Of the paper we take the structure, a persistent memory of what stays and a transient one of what moves, queried in
turn; its networks are not public, so poses come from feature tracks on static pixels, points from the input's depth
or from parallax. What is not known is said to be: no pose while lost, no depth where nothing was triangulated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from memory_bank.budgets import MemoryBudgets
from memory_bank.protocol import MemoryStats
from memory_bank.scene.memory import SceneMemory
from memory_bank.scene.policy import SceneMemoryConfig
from pipelines.reconstruction import geometry, points
from pipelines.reconstruction.moving import Movable, MovableFinder, contradicting_area, grow
from pipelines.reconstruction.odometry import Odometry
from pipelines.reconstruction.records import OdometryConfig, OdometryStep, WorkingFrame
from pipelines.reconstruction.static_map import StaticMapper
from pipelines.reconstruction.working_frame import intrinsics_of, make_working_frame
from pipelines.scores import ScoreThresholds
from streamvos.config import Settings, setting, table
from streamvos.records import Frame, SceneEstimate, StepResult

_MASK_MARGIN_PX = 4  # masks of what may move grow by this before corners are taken; larger is safer, and loses corners


@dataclass(frozen=True)
class ReconstructConfig(Settings, at="reconstruct"):
    """How the scene is reconstructed."""

    focal_ratio: float = setting(
        0.9, "focal length over the longer side where the camera is not known; 0.9 is 58 degrees wide", above=0
    )
    detection_hold_frames: int = setting(
        10, "boxes of what may move count for so long; at least as many as detect.every", low=0
    )
    voxel_m: float = setting(
        0.03, "with depth, points closer than this become one; larger is coarser and maps more", above=0
    )
    voxel_relative: float = setting(
        0.01, "the same without depth, in units of the median depth at the start of the map", above=0
    )
    depth_stride_px: int = setting(
        4, "every so many-th pixel of a depth picture enters the map; smaller is denser and slower", low=1
    )
    max_depth_m: float = setting(8.0, "depth beyond is too inexact to be kept", above=0)
    semi_dense: int = setting(
        800, "weak corners tried at each key frame without depth; more is denser and slower", low=0
    )
    odometry: OdometryConfig = table(OdometryConfig)
    memory: SceneMemoryConfig = table(SceneMemoryConfig)


class ReconstructStage:
    """Camera pose, static map and moving points of one stream.

    Args:
        config: see `ReconstructConfig`.
        scores: from which a detection of what can move counts.
        budgets: of which the scene memory has its bytes.
        size: short side of the working picture in pixels; larger is more exact and slower.
        movable_classes: names of the detector's classes that move by themselves (people, animals, vehicles).
        seed: of all random choices.
    """

    name = "reconstruct"

    def __init__(
        self,
        config: ReconstructConfig,
        scores: ScoreThresholds,
        budgets: MemoryBudgets,
        size: int,
        movable_classes: Container[str],
        seed: int = 0,
    ) -> None:
        self.config, self.size = config, size
        self.memory = SceneMemory(config.memory, budgets.bytes_of("scene"))
        self._movable = MovableFinder(movable_classes, scores.reconstruct, config.detection_hold_frames)
        self._odometry = Odometry(config.odometry, seed)
        self._static = StaticMapper(
            self.memory,
            config.voxel_m,
            config.voxel_relative,
            config.depth_stride_px,
            config.max_depth_m,
            config.semi_dense,
        )
        self._time_s = 0.0

    def reset(self) -> None:
        self.memory.reset()
        self._movable.reset()
        self._odometry.reset()
        self._static.reset()
        self._time_s = 0.0

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        for removal in result.removals:
            self.memory.remove(removal.object_id, frame.index)
        intrinsics = intrinsics_of(frame, self.config.focal_ratio)
        working = make_working_frame(frame, intrinsics, self.size)
        movable = self._movable.find(result, working.size)
        working = dataclasses.replace(working, static=~grow(movable.area, _MASK_MARGIN_PX))
        step = self._odometry.step(working, result.is_cut, self.memory.places.nearest)
        if step.new_map:
            self.memory.start_map(frame.index, step.map_id, step.new_map)
            self._static.reset()
        if step.pose is not None:
            self._static.write(working, step)
            self._remember_moving(frame.time_s, working, movable, step.pose)
        self.memory.expire(frame.index, frame.time_s)
        self._time_s = frame.time_s
        scene = self._estimate(working, intrinsics, movable, step)
        return dataclasses.replace(result, scene=scene, events=result.events + self.memory.drain_events())

    def _remember_moving(self, time_s: float, frame: WorkingFrame, movable: Movable, pose: np.ndarray) -> None:
        """Points of each movable object, where its distance is known."""
        count = self.memory.dynamic.max_points
        ground: tuple[np.ndarray, np.ndarray] | None = None
        for object_id, mask in movable.objects.items():
            if frame.depth is not None and self._odometry.metric:
                found, source = points.of_object_by_depth(mask, frame, pose, count), "the depth camera"
            else:
                ground = ground or self._static.in_view(frame, pose)[:2]
                found = points.of_object_by_ground(mask, *ground, frame.image, pose, frame.intrinsics, count)
                source = "the ground at its feet"
            self.memory.write_moving(frame.index, time_s, object_id, found.xyz, found.rgb, source)

    def _estimate(
        self, frame: WorkingFrame, intrinsics: np.ndarray, movable: Movable, step: OdometryStep
    ) -> SceneEstimate:
        depth, confidence = None, None
        if frame.depth is not None:
            depth = frame.depth
            confidence = np.where(depth > 0, points.depth_confidence(depth), 0).astype(np.float32)
        elif step.pose is not None and not self._static.is_empty:
            depth, confidence = points.sparse_depth(*self._static.in_view(frame, step.pose), frame.size)
        return SceneEstimate(
            map_id=step.map_id,
            world_from_camera=None if step.pose is None else geometry.invert(step.pose),
            intrinsics=intrinsics,
            scale="metric" if step.metric else "relative",
            tracking="lost" if step.pose is None else "ok",
            depth_m=depth,
            confidence=confidence,
            dynamic=movable.area | contradicting_area(frame.size, step.outliers),
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
        return {
            "memory": self.memory.state_dict(),
            "movable": self._movable.state_dict(),
            "odometry": self._odometry.state_dict(),
            "static": self._static.state_dict(),
            "time_s": self._time_s,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.memory.load_state_dict(state["memory"])
        self._movable.load_state_dict(state["movable"])
        self._odometry.load_state_dict(state["odometry"])
        self._static.load_state_dict(state["static"])
        self._time_s = state["time_s"]

    def close(self) -> None:
        """Nothing is open."""
