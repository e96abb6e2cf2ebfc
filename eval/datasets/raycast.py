"""A ray-cast room with a moving box: pictures, depth and masks whose truth is known, for tests and ablations.

The camera stands in a textured room (x right, y down, z forward, metres) and sees its far wall, side walls, floor
and ceiling; a textured box slides through. Textures are band-limited noise, so that corners are found everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from streamvos import masks as rle_masks
from streamvos.records import Frame, ObjectMasks

_TEXELS = 1024
_TEXELS_PER_M = 110.0


@dataclass(frozen=True)
class RoomConfig:
    """What is seen.

    Args are in metres and pixels; `box_size_m` 0 leaves the box out, `texture` 0 leaves the room blank.
    """

    height: int = 192  # picture, pixels
    width: int = 256
    half_width_m: float = 2.2  # side walls at x = -half, +half
    half_height_m: float = 1.4  # ceiling and floor
    far_m: float = 4.0  # far wall
    box_size_m: float = 0.9  # edge of the moving box
    box_start_m: tuple[float, float, float] = (-0.9, 0.4, 2.4)  # its centre at the first frame
    box_velocity_m_s: tuple[float, float, float] = (0.9, 0.0, 0.0)
    texture: float = 1.0  # contrast of all textures
    depth_noise: float = 0.0  # standard deviation of the depth over its square, 1/m
    frame_rate: float = 30.0


def intrinsics(config: RoomConfig) -> np.ndarray:
    """The (3, 3) pinhole matrix of the camera."""
    focal = 0.9 * config.width
    return np.array([[focal, 0, (config.width - 1) / 2], [0, focal, (config.height - 1) / 2], [0, 0, 1.0]])


def swaying_path(count: int, reach_m: float = 0.6, turn_deg: float = 6.0) -> np.ndarray:
    """Camera poses (count, 4, 4), world from camera: a sideways sweep with a little turning, from the identity."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    for row, phase in enumerate(np.linspace(0, 1, count)):
        poses[row, :3, 3] = reach_m * phase, 0.1 * np.sin(3 * phase), 0.35 * phase
        angles = [turn_deg * phase * 0.3, -turn_deg * phase, 0.0]
        poses[row, :3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    return poses


def render(
    config: RoomConfig, poses: np.ndarray, seed: int = 0, with_depth: bool = True
) -> Iterator[tuple[Frame, ObjectMasks | None]]:
    """Frames and the mask of the box (object 1, "box"; None where there is no box) along a path.

    Args:
        config: the room.
        poses: (N, 4, 4) world from camera.
        seed: of textures and noise.
        with_depth: whether the frames carry depth; they always carry the intrinsics.
    """
    rng = np.random.default_rng(seed)
    textures = [_texture(rng, config.texture) for _ in range(6)]
    matrix = intrinsics(config)
    for index, pose in enumerate(poses):
        time_s = index / config.frame_rate
        image, depth, on_box = _cast(config, pose, matrix, textures, box_centre(config, time_s))
        if config.depth_noise:
            depth = depth + config.depth_noise * depth**2 * rng.standard_normal(depth.shape)
        image = np.clip(image + rng.normal(0, 1.0, image.shape), 0, 255).astype(np.uint8)
        frame = Frame("room", index, time_s, image, depth.astype(np.float32) if with_depth else None, matrix)
        yield frame, _box_mask(on_box) if config.box_size_m else None


def box_centre(config: RoomConfig, time_s: float) -> np.ndarray:
    """Where the middle of the box is, (3,) metres."""
    return np.array(config.box_start_m) + time_s * np.array(config.box_velocity_m_s)


def distance_to_walls(config: RoomConfig, xyz: np.ndarray) -> np.ndarray:
    """Distance (N,) in metres of points to the nearest wall, floor or ceiling: 0 for what is truly static."""
    x, y, z = np.abs(np.asarray(xyz, np.float64)).T
    return np.min([np.abs(config.half_width_m - x), np.abs(config.half_height_m - y), np.abs(config.far_m - z)], axis=0)


def _texture(rng: np.random.Generator, contrast: float) -> np.ndarray:
    picture = np.zeros((_TEXELS, _TEXELS, 3), np.float32)
    for cells, strength in ((24, 0.3), (96, 0.4), (256, 0.3)):
        noise = rng.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
        picture += strength * cv2.resize(noise, (_TEXELS, _TEXELS), interpolation=cv2.INTER_CUBIC)
    return 128 + contrast * 110 * picture


def _cast(
    config: RoomConfig, pose: np.ndarray, matrix: np.ndarray, textures: list[np.ndarray], box: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours (H, W, 3), depths (H, W) and which pixels show the box."""
    columns, rows = np.meshgrid(np.arange(config.width), np.arange(config.height))
    plane = np.stack([(columns - matrix[0, 2]) / matrix[0, 0], (rows - matrix[1, 2]) / matrix[1, 1]], axis=-1)
    direction = np.concatenate([plane, np.ones((*plane.shape[:2], 1))], axis=-1) @ pose[:3, :3].T
    origin = pose[:3, 3]
    half = np.array([config.half_width_m, config.half_height_m, config.far_m])
    with np.errstate(divide="ignore", invalid="ignore"):
        to_walls = np.where(direction > 0, (half - origin) / direction, (-half - origin) / direction)
        near, far = (
            (box - config.box_size_m / 2 - origin) / direction,
            (box + config.box_size_m / 2 - origin) / direction,
        )
    to_walls = np.nan_to_num(to_walls, nan=np.inf)
    enter, leave = np.minimum(near, far), np.maximum(near, far)
    on_box = (enter.max(axis=-1) < leave.min(axis=-1)) & (enter.max(axis=-1) > 0) & (config.box_size_m > 0)
    axis = np.where(on_box, enter.argmax(axis=-1), to_walls.argmin(axis=-1))
    depth = np.where(on_box, enter.max(axis=-1), to_walls.min(axis=-1))  # z of the ray is 1: length is depth
    hit = origin + depth[..., None] * direction - np.where(on_box[..., None], box, 0)
    image = np.zeros((*depth.shape, 3), np.float32)
    for number, texture in enumerate(textures):
        here = (axis == number % 3) & (on_box == (number >= 3))
        u, v = (hit[..., other] * _TEXELS_PER_M for other in ((number + 1) % 3, (number + 2) % 3))
        # Opposite walls show other parts of the same texture.
        u = u + np.where(np.take_along_axis(direction, np.full((*depth.shape, 1), number % 3), -1)[..., 0] > 0, 0, 400)
        sampled = cv2.remap(
            texture,
            (u % _TEXELS).astype(np.float32),
            (v % _TEXELS).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        image[here] = sampled[here]
    return image, depth, on_box


def _box_mask(on_box: np.ndarray) -> ObjectMasks:
    seen = bool(on_box.any())
    return ObjectMasks(
        size=on_box.shape,
        object_ids=np.array([1], np.int64),
        rles=(rle_masks.encode(on_box),),
        boxes_xyxy=rle_masks.tight_box(on_box)[None],
        scores=np.array([1.0 if seen else 0.0], np.float32),
        states=("tracked" if seen else "occluded",),
        class_names=("box",),
    )
