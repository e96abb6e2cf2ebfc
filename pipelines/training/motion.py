"""How one layer of a made-up clip moves and deforms, and how its colours change.

A layer is warped by a course of similarity transforms and a smooth elastic field whose strength changes along the clip
(what thin-plate splines do, at the price of an upsampled grid). The ranges of all draws: as in `clips.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class MotionRange:
    """How much a layer may change over a whole clip."""

    shift: float  # in layer sizes
    log_scale: float  # natural logarithm of the largest change of scale
    turn_rad: float
    shear: float
    elastic: float  # displacement of the field, in layer sizes


OBJECT_MOTION = MotionRange(0.6, 0.69, 0.5, 0.25, 0.13)
NEARING_MOTION = MotionRange(0.6, 1.1, 0.5, 0.25, 0.13)  # comes near or goes away: up to three times the size
BACKGROUND_MOTION = MotionRange(0.12, 0.22, 0.14, 0.06, 0.02)


@dataclass(frozen=True)
class Course:
    """Positions of one layer: matrices (T, 2, 3) from canvas to source pixels; field (2, S, S); strengths (T,)."""

    source_from_canvas: np.ndarray
    field: np.ndarray
    strengths: np.ndarray


def wander(
    rng: np.random.Generator,
    num_frames: int,
    canvas_px: int,
    centre_source: tuple[float, float],
    centre_canvas: tuple[float, float],
    layer_px: float,
    motion: MotionRange,
    track: np.ndarray | None = None,
) -> Course:
    """A random course of a layer whose `centre_source` starts about at `centre_canvas`; `layer_px` is its size.

    With `track` (T, 2) in canvas pixels its centre goes there, and only the rest is random.
    """
    pace = float(rng.choice([0.25, 0.6, 1.0], p=[0.3, 0.4, 0.3]))
    ends = rng.uniform(-1.0, 1.0, 7) * pace
    steps = np.linspace(0.0, 1.0, num_frames)[:, None] * ends  # (T, 7)
    steps = steps + np.vstack([np.zeros(7), rng.normal(0.0, 0.12 * pace, (num_frames - 1, 7))])
    matrices = np.empty((num_frames, 2, 3))
    start_turn, start_scale = rng.normal(0.0, 0.12), rng.uniform(-0.1, 0.1)
    for index, (right, down, scale, turn, shear, stretch, _) in enumerate(steps):
        angle = start_turn + turn * motion.turn_rad
        zoom = np.exp(start_scale + np.clip(scale, -1, 1) * motion.log_scale)
        across = np.exp(stretch * motion.shear)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        bend = np.array([[across, shear * motion.shear], [0.0, 1.0 / across]])
        canvas_from_source = zoom * rotation @ bend
        target = np.asarray(centre_canvas) + motion.shift * layer_px * np.array([right, down])
        if track is not None:
            target = track[index]
        inverse = np.linalg.inv(canvas_from_source)
        matrices[index, :, :2] = inverse
        matrices[index, :, 2] = np.asarray(centre_source) - inverse @ target
    cells = int(rng.integers(3, 6))
    grid = rng.normal(0.0, 1.0, (cells, cells, 2)).astype(np.float32)
    field = cv2.resize(grid, (canvas_px, canvas_px), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
    return Course(matrices, field, (0.3 * rng.normal() + steps[:, 6]) * motion.elastic * layer_px)


def moved_course(course: Course, motions: np.ndarray) -> Course:
    """The course when the canvas, too, moves: `motions` (T, 2, 3) from canvas pixels to those before it moved."""
    last = np.broadcast_to([[0.0, 0.0, 1.0]], (len(motions), 1, 3))
    matrices = course.source_from_canvas @ np.concatenate([motions, last], axis=1)
    return Course(matrices, course.field, course.strengths)


def warp_maps(path: Course, index: int) -> tuple[np.ndarray, np.ndarray]:
    """(S, S) float32 source x and y of every canvas pixel in one frame."""
    size = path.field.shape[-1]
    matrix = path.source_from_canvas[index].astype(np.float32)
    x = np.arange(size, dtype=np.float32)[None, :]
    y = np.arange(size, dtype=np.float32)[:, None]
    strength = np.float32(path.strengths[index])
    map_x = matrix[0, 0] * x + matrix[0, 1] * y + (matrix[0, 2] + strength * path.field[0])
    map_y = matrix[1, 0] * x + matrix[1, 1] * y + (matrix[1, 2] + strength * path.field[1])
    return map_x, map_y


def recolour(rng: np.random.Generator, image: np.ndarray, strength: float) -> np.ndarray:
    """Other brightness, contrast, saturation and tint, for one uint8 picture."""
    gain = 1.0 + strength * rng.uniform(-0.4, 0.4)
    tint = 1.0 + strength * rng.uniform(-0.15, 0.15, 3)
    offset = strength * rng.uniform(-30.0, 30.0)
    saturation = 1.0 + strength * rng.uniform(-0.5, 0.5)
    mixing = saturation * np.eye(3) + (1.0 - saturation) / 3.0  # each channel keeps its share, the rest is grey
    matrix = np.hstack([gain * tint[:, None] * mixing, np.full((3, 1), offset)])
    return cv2.transform(image, matrix.astype(np.float32))


def motion_blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Blur along a random direction, as a moving camera does."""
    length = int(rng.integers(3, 12))
    angle = rng.uniform(0.0, np.pi)
    kernel = np.zeros((length, length), np.float32)
    centre = (length - 1) / 2.0
    along = np.array([np.cos(angle), np.sin(angle)]) * centre
    start, end = np.round(centre - along).astype(int), np.round(centre + along).astype(int)
    cv2.line(kernel, tuple(start.tolist()), tuple(end.tolist()), 1.0)
    return cv2.filter2D(image, -1, kernel / max(1e-6, float(kernel.sum())))
