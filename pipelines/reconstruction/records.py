"""What goes into the odometry and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from memory_bank.scene.places import Place


@dataclass(frozen=True)
class OdometryConfig:
    """How the camera is tracked. Pixels are those of the working size."""

    max_tracks: int = 350  # corners followed at once; more steady the pose, and cost time
    min_distance_px: int = 10  # corners keep this distance; smaller crowds them onto textured things
    min_corner: float = 4e-5  # least corner strength; lower follows noise on blank walls, higher loses faint texture
    window: int = 7  # key frames adjusted together; more drift less, and cost time at key frames
    threshold_px: float = 2.0  # a corner further from its prediction is no inlier; larger forgives poor optics
    min_inliers: int = 20  # agreeing corners that a pose needs; more is lost more often, and wrong less often
    min_cells: int = 8  # of 96 grid cells these corners must cover; keeps a small moving thing from being the world
    start_parallax_px: float = 3.0  # median parallax (at 384) that starts a map without depth; larger starts later
    min_angle_deg: float = 1.0  # rays that cross at less give no point; smaller sees further, and less exactly
    patience_frames: int = 15  # lost for longer starts a new map; larger waits longer for the old one


@dataclass(frozen=True)
class OdometryStep:
    """What the odometry knows after a frame.

    Args:
        pose: (4, 4) camera from world, or None while lost.
        map_id: the map that the pose belongs to.
        new_map: why a new map began at this frame, "" where none did.
        key_frame: whether the frame became a key frame with points.
        found: key frame index at which the camera was found back, or None.
        outliers: (N, 2) pixels of corners that contradict the camera's motion.
        xy, xyz: (M, 2), (M, 3) corners of this frame that have a place in the map.
        place: the key frame for the memory, or None.
        metric: whether the map is in metres.
    """

    pose: np.ndarray | None
    map_id: int
    new_map: str = ""
    key_frame: bool = False
    found: int | None = None
    outliers: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    xy: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    xyz: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    place: Place | None = None
    metric: bool = False


@dataclass(frozen=True)
class View:
    """One frame as the odometry takes it.

    Args:
        index: frame index.
        grey: (h, w) uint8.
        static: (h, w) bool, outside everything that may move.
        depth: (h, w) float32 metres, 0 where unknown, or None.
        intrinsics: (3, 3) float64 pixels of `grey`.
    """

    index: int
    grey: np.ndarray
    static: np.ndarray
    depth: np.ndarray | None
    intrinsics: np.ndarray
