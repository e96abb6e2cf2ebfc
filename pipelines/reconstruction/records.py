"""What goes into the odometry and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from memory_bank.scene.places import Place
from streamvos.config import Settings, setting


@dataclass(frozen=True)
class OdometryConfig(Settings, at="reconstruct.odometry"):
    """How the camera is tracked."""

    max_tracks: int = setting(350, "corners followed at once; more steady the pose, and take longer", low=20)
    patience_frames: int = setting(
        15, "frames without a pose until a new map begins; larger waits longer to relocalise in the old one", low=1
    )


@dataclass(frozen=True)
class WorkingFrame:
    """One frame at working size.

    Args:
        index: frame index.
        image: (h, w, 3) uint8 RGB.
        grey: (h, w) uint8.
        static: (h, w) bool, outside everything that may move.
        depth: (h, w) float32 metres, 0 where unknown, or None.
        intrinsics: (3, 3) float64 pixels of `grey`.
    """

    index: int
    image: np.ndarray
    grey: np.ndarray
    static: np.ndarray
    depth: np.ndarray | None
    intrinsics: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(h, w)."""
        return self.grey.shape


@dataclass(frozen=True)
class KeyFrame:
    """A frame that points were measured in.

    Args:
        pose: (4, 4) camera from world.
        xy, xyz: (M, 2) pixels and (M, 3) world points of the corners that have a place in the map.
        place: what the memory relocalises by.
    """

    pose: np.ndarray
    xy: np.ndarray
    xyz: np.ndarray
    place: Place


@dataclass(frozen=True)
class OdometryStep:
    """What the odometry knows after a frame.

    Args:
        pose: (4, 4) camera from world, or None while lost.
        map_id: the map that the pose belongs to.
        new_map: why a new map began at this frame, "" where none did.
        key_frame: where the frame became one.
        outliers: (N, 2) pixels of corners that contradict the camera's motion.
        metric: whether the map is in metres.
    """

    pose: np.ndarray | None
    map_id: int
    new_map: str = ""
    key_frame: KeyFrame | None = None
    outliers: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    metric: bool = False
