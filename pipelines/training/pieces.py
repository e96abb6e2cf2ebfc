"""Pieces of made-up clips: a picture as background, a region of one cut out, each on its course."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.training.datasets import Picture, Region
from pipelines.training.layers import Layer, Shadow
from pipelines.training.motion import OBJECT_MOTION, MotionRange, recolour, wander


@dataclass(frozen=True)
class ClipConfig:
    """What made-up clips are like; shares are probabilities."""

    num_frames: int = 4  # larger teaches drift and return, and costs time
    size_px: int = 256  # side of the square canvas
    whole_share: float = 0.3  # clips in which a whole picture moves as one
    parallax_share: float = 0.3  # clips in which an object moves over its own picture; the rest: over another one
    distractor_share: float = 0.45  # clips with a look-alike that is not followed
    occluder_share: float = 0.3  # clips in which something passes in front
    absence_share: float = 0.25  # clips in which an object leaves for some frames
    turn_share: float = 0.3  # cut-outs whose texture slides across their outline, as when a thing turns
    shadow_share: float = 0.3  # cut-outs that darken what lies below them: a shadow is not the thing
    merged_share: float = 0.15  # clips of several objects in which two of them are one to follow
    blur_share: float = 0.12  # frames blurred by motion
    grey_share: float = 0.05  # clips without colour


@dataclass(frozen=True)
class Placed:
    """Where a cut-out is: square root of its area, (T, 2) x and y of its centre on the canvas, how else it moves."""

    size_px: float
    track: np.ndarray
    motion: MotionRange = OBJECT_MOTION


def background(
    rng: np.random.Generator,
    picture: Picture,
    targets: tuple[np.ndarray, ...],
    config: ClipConfig,
    motion: MotionRange,
) -> Layer:
    """A picture that fills the canvas, centred on its targets if it has any."""
    size, (height, width) = config.size_px, picture.image.shape[:2]
    zoom = size / min(height, width) * rng.uniform(1.0, 1.7)
    image = _resize(picture.image, zoom)
    masks = tuple(_resize(mask.astype(np.uint8) * 255, zoom) for mask in targets)
    void = None if picture.void is None or not targets else _resize(picture.void.astype(np.uint8) * 255, zoom)
    height, width = image.shape[:2]
    half = size / 2
    centre = rng.uniform(min(half, width - half), max(half, width - half)), rng.uniform(half, max(half, height - half))
    if masks:
        rows, cols = np.nonzero(masks[int(rng.integers(len(masks)))])
        pick = int(rng.integers(len(rows)))
        centre = (
            float(np.clip(cols[pick] + rng.normal(0, 0.1 * size), half, width - half)),
            float(np.clip(rows[pick] + rng.normal(0, 0.1 * size), half, height - half)),
        )
    path = wander(rng, config.num_frames, size, centre, (half, half), 0.6 * size, motion)
    return Layer(recolour(rng, image, 0.5), None, masks, path, np.ones(config.num_frames, bool), void=void)


def cut_out(
    rng: np.random.Generator,
    picture: Picture,
    region: Region,
    targets: tuple[np.ndarray, ...],
    config: ClipConfig,
    shown: np.ndarray,
    placed: Placed | None = None,
) -> Layer:
    """A region of a picture, cut out, at a random place and size, or as `placed` says."""
    rows, cols = np.nonzero(region.mask)
    top, bottom, left, right = rows.min(), rows.max() + 1, cols.min(), cols.max() + 1
    size = config.size_px
    wanted = placed.size_px if placed else size * np.exp(rng.uniform(np.log(0.12), np.log(0.6)))
    zoom = min(1.3, wanted / np.sqrt(len(rows)))
    flip = -1 if rng.random() < 0.5 else 1
    window = slice(top, bottom), slice(left, right)

    def piece(whole: np.ndarray) -> np.ndarray:
        padded = cv2.copyMakeBorder(whole[window], 6, 6, 6, 6, cv2.BORDER_REPLICATE if whole.ndim == 3 else 0)
        return _resize(padded, zoom)[:, ::flip]

    alpha = piece(region.mask.astype(np.uint8) * 255)
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.4, 1.2))
    image = recolour(rng, np.ascontiguousarray(piece(picture.image)), 0.5)
    masks = tuple(np.ascontiguousarray(piece((mask & region.mask).astype(np.uint8) * 255)) for mask in targets)
    height, width = alpha.shape
    slide = None
    if all(target is region.mask for target in targets) and rng.random() < config.turn_share:
        image = _grown(image, alpha)
        ends = rng.uniform(-1.0, 1.0, 2) * (0.35 * width, 0.15 * height)
        slide = np.linspace(0.0, 1.0, config.num_frames)[:, None] * ends
    place = placed.track[0] if placed else rng.uniform(0.2, 0.8, 2) * size
    layer_px = float(np.sqrt(height * width))
    motion, track = (placed.motion, placed.track) if placed else (OBJECT_MOTION, None)
    path = wander(rng, config.num_frames, size, (width / 2, height / 2), tuple(place), layer_px, motion, track)
    shadow = _shadow(rng, layer_px) if rng.random() < config.shadow_share else None
    return Layer(image, alpha, masks, path, shown, slide, shadow)


def _shadow(rng: np.random.Generator, layer_px: float) -> Shadow:
    right, down = rng.uniform(-0.35, 0.35), rng.uniform(-0.05, 0.35)
    blur, depth = rng.uniform(0.01, 0.06), rng.uniform(0.25, 0.75)
    return Shadow(right * layer_px, down * layer_px, blur * layer_px, depth)


def _grown(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The cut-out's own pixels carried on beyond its outline: mirrored where that meets it, else the nearest."""
    inside = alpha > 127
    mirrored = ~inside & inside[:, ::-1]
    filled = np.where(mirrored[..., None], image[:, ::-1], image)
    known = inside | mirrored
    if not known.any():
        return image
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    colours[nearest[known]] = filled[known]
    return colours[nearest]


def without(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with the region painted over from around it, coarsely: it will be mostly covered again."""
    height, width = mask.shape
    small_size = max(8, width // 4), max(8, height // 4)
    small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA)
    hole = cv2.resize(mask.astype(np.uint8), small_size, interpolation=cv2.INTER_AREA)
    hole = cv2.dilate((hole > 0).astype(np.uint8), np.ones((5, 5), np.uint8))
    filled = cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA)
    filled = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return np.where(wide[..., None], filled, image)


def _resize(image: np.ndarray, zoom: float) -> np.ndarray:
    height, width = image.shape[:2]
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
