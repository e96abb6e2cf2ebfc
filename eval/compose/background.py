"""Backgrounds: real video, with depth and poses where the folder has them, played to and fro.

RGB-D gives the camera's path, a floor and what stands before what. Plain video has none of these: a virtual camera
looks over a flat ground, so that things lower in the picture are nearer and larger, and nothing real hides them. It
turns as the picture shifts, so that things stay where they are when a hand shakes; where a camera pans far, it does
not, and things move along with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from eval.compose.floor import Plane, find_floor
from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.names import IMAGE_SUFFIXES, natural_key
from streamvos.video.rgbd import layout_of, read_pose
from streamvos.video.sources import open_source

_VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
_MAX_BYTES = 400 * 2**20  # pictures of one background that are held in memory; longer ones are cut there
_SHORT_SIDE = 480
_EYE_M = 1.5  # height of the virtual camera above the ground
_SHIFT_WIDTH = 240  # pixels of the copies in which shifts are looked for
_MIN_RESPONSE = 0.1  # of the phase correlation; less is no shift of the whole
_MAX_SHIFT = 0.12  # of the width; beyond, the camera pans
HORIZON = 0.4  # row of its horizon, as a share of the height, where nobody says


@dataclass(frozen=True)
class Background:
    """Pictures of one size.

    Args:
        name: of the folder or file.
        images: (H, W, 3) uint8 RGB each.
        depths_m: (H, W) float32 each, 0 where unknown; None for plain video.
        solid_m: the same with holes filled by what lies behind them, for hiding.
        poses: world_from_camera (4, 4) each.
        intrinsics: (3, 3) pixels.
        floor: None where there is none to stand on.
    """

    name: str
    images: tuple[np.ndarray, ...]
    depths_m: tuple[np.ndarray, ...] | None
    solid_m: tuple[np.ndarray, ...] | None
    poses: tuple[np.ndarray, ...]
    intrinsics: np.ndarray
    floor: Plane | None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.images[0].shape[:2]

    def index_at(self, tick: int) -> int:
        """Which picture is shown at a tick, going to and fro without end."""
        period = max(1, 2 * (len(self.images) - 1))
        place = tick % period
        return min(place, period - place)


def find_backgrounds(folder: Path) -> list[Path]:
    """The videos, picture folders or RGB-D folders that `folder` is or holds, in natural order."""
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise InputError(f"backgrounds {str(folder)!r}: expected a video, a folder of pictures or an RGB-D folder")
    if layout_of(folder) or _has_pictures(folder):
        return [folder]
    inside = sorted(folder.iterdir(), key=natural_key)
    found = [path for path in inside if path.is_file() and path.suffix.lower() in _VIDEO_SUFFIXES]
    found += [path for path in inside if path.is_dir() and (layout_of(path) or _has_pictures(path))]
    if not found:
        raise InputError(
            f"backgrounds {str(folder)!r}: expected an RGB-D folder (7-Scenes or TUM layout), videos "
            f"({' '.join(_VIDEO_SUFFIXES)}) or folders of pictures"
        )
    return found


def load_background(path: Path, size: tuple[int, int] | None = None, horizon: float = HORIZON) -> Background:
    """Read a background.

    Args:
        path: one of `find_backgrounds`.
        size: (H, W) of the pictures; None: their own, plain video at most 480 pixels high.
        horizon: row of the horizon of plain video, as a share of the height; things stand below it.
    """
    images: list[np.ndarray] = []
    depths: list[np.ndarray] = []
    intrinsics = None
    used = 0
    with open_source(path) as source:
        for frame in source:
            height, width = size or _own_size(frame)
            if intrinsics is None and frame.intrinsics is not None:
                intrinsics = _scaled(frame.intrinsics, width / frame.size[1], height / frame.size[0])
            images.append(_resized(frame.image, (height, width)))
            used += images[-1].nbytes
            if frame.depth_m is not None:
                depths.append(cv2.resize(frame.depth_m, (width, height), interpolation=cv2.INTER_NEAREST))
                used += 2 * depths[-1].nbytes
            if used > _MAX_BYTES:
                break
    if not images:
        raise InputError(f"background {str(path)!r}: no picture could be read")
    name = path.resolve().stem if path.is_file() else path.resolve().name
    if not depths:
        return _flat(name, images, horizon)
    poses = _poses(path, len(images))
    solid = [_filled(depth) for depth in depths]
    some = range(0, len(depths), max(1, len(depths) // 12))
    floor = find_floor([depths[i] for i in some], intrinsics, [poses[i] for i in some], np.random.default_rng(0))
    return Background(name, tuple(images), tuple(depths), tuple(solid), tuple(poses), intrinsics, floor)


def _flat(name: str, images: Sequence[np.ndarray], horizon: float) -> Background:
    height, width = images[0].shape[:2]
    focal = 0.9 * max(height, width)
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, horizon * height], [0, 0, 1]])
    floor = Plane(np.array([0.0, -1.0, 0.0]), _EYE_M)
    return Background(name, tuple(images), None, None, tuple(_turns(images, intrinsics)), intrinsics, floor)


def _turns(images: Sequence[np.ndarray], intrinsics: np.ndarray) -> list[np.ndarray]:
    """Poses of a camera that turns with the shift of the whole picture, or stands still where that goes too far."""
    height, width = images[0].shape[:2]
    scale = _SHIFT_WIDTH / width
    size = (_SHIFT_WIDTH, round(height * scale))
    small = [
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for image in images
    ]
    window = cv2.createHanningWindow(size, cv2.CV_32F)
    shifts = [(0.0, 0.0)]
    for before, after in zip(small, small[1:], strict=False):
        shift, response = cv2.phaseCorrelate(before, after, window)
        shifts.append(shift if response > _MIN_RESPONSE else (0.0, 0.0))
    path = np.cumsum(np.array(shifts), axis=0) / scale  # pixels by which the picture has moved
    if np.ptp(path, axis=0).max() > _MAX_SHIFT * width:
        path[:] = 0
    poses = []
    for x, y in path:
        yaw, pitch = -np.arctan(x / intrinsics[0, 0]), np.arctan(y / intrinsics[1, 1])
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(np.array([0.0, yaw, 0.0]))[0] @ cv2.Rodrigues(np.array([pitch, 0.0, 0.0]))[0]
        poses.append(pose)
    return poses


def _poses(folder: Path, count: int) -> list[np.ndarray]:
    files = sorted(folder.glob("frame-*.pose.txt"), key=natural_key)
    if not files:
        return _tum_poses(folder, count)
    if len(files) < count:
        raise InputError(f"{str(folder)!r}: expected a .pose.txt for each of {count} pictures, got {len(files)}")
    return [read_pose(path) for path in files[:count]]


def _tum_poses(folder: Path, count: int) -> list[np.ndarray]:
    """Poses of `groundtruth.txt` (timestamp tx ty tz qx qy qz qw) nearest in time to each colour picture."""
    path = folder / "groundtruth.txt"
    try:
        truth = np.loadtxt(path, dtype=np.float64, ndmin=2)
        times = np.loadtxt(folder / "rgb.txt", dtype=np.float64, usecols=0, ndmin=1)[:count]
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r}: expected lines 'timestamp tx ty tz qx qy qz qw' ({error})") from None
    if truth.shape[1] != 8 or not len(truth):
        raise InputError(f"{str(path)!r}: expected 8 numbers a line, got {truth.shape[1]}")
    from scipy.spatial.transform import Rotation

    poses = []
    for time in times:
        row = truth[np.abs(truth[:, 0] - time).argmin()]
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = Rotation.from_quat(row[4:]).as_matrix(), row[1:4]
        poses.append(pose)
    return poses


def _filled(depth: np.ndarray) -> np.ndarray:
    """Depth without holes: a hole is the shadow of what stands before it, so it takes the farther of its sides."""
    filled = depth.copy()
    kernel = np.ones((5, 5), np.uint8)
    for _ in range(60):
        holes = filled <= 0
        if not holes.any():
            break
        filled[holes] = cv2.dilate(filled, kernel)[holes]
    filled[filled <= 0] = 20.0
    return cv2.medianBlur(filled, 5)


def _own_size(frame: Frame) -> tuple[int, int]:
    height, width = frame.size
    if frame.depth_m is not None or min(height, width) <= _SHORT_SIDE:
        return height, width
    ratio = _SHORT_SIDE / min(height, width)
    return 2 * round(height * ratio / 2), 2 * round(width * ratio / 2)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def _scaled(intrinsics: np.ndarray, x: float, y: float) -> np.ndarray:
    return np.diag([x, y, 1.0]) @ intrinsics


def _has_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
