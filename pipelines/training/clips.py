"""Clips made of static pictures: layers that move on their own, hide each other, leave and come back.

After the static pre-training of STM and STCN (one picture, several warps), with what those leave out: the background
moves apart from the objects, a second copy of the same object or another of its class walks past, something passes in
front, an object is away for some frames. The truth is exact: it is composed with the picture.

The ranges of all draws were set by hand before the training that the model cards tell of; the weights were made with
them, and none was measured apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.training.datasets import Picture, Region
from pipelines.training.layers import Layer, Shadow, draw
from pipelines.training.motion import (
    BACKGROUND_MOTION,
    OBJECT_MOTION,
    MotionRange,
    motion_blur,
    recolour,
    wander,
)

_MIN_FIRST_SHARE = 0.004  # of the canvas that an object must show in the first frame
_TRIES = 20


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
class Clip:
    """(T, S, S, 3) uint8 RGB frames and (T, N, S, S) uint8 masks (0 or 1) of the followed objects, apart."""

    frames: np.ndarray
    masks: np.ndarray


def make_clip(rng: np.random.Generator, pictures: Sequence[Picture], config: ClipConfig) -> Clip:
    """A clip with one to three followed objects; the same generator state gives the same clip."""
    for _ in range(_TRIES):
        clip = _compose(rng, _layers(rng, pictures, config), config)
        visible = clip.masks[0].mean(axis=(1, 2)) > _MIN_FIRST_SHARE
        if visible.any():
            masks = clip.masks[:, np.flatnonzero(visible)[:3]]
            if masks.shape[1] > 1 and rng.random() < config.merged_share:
                masks = np.concatenate([masks[:, :1] | masks[:, 1:2], masks[:, 2:]], axis=1)
            return Clip(clip.frames, np.ascontiguousarray(masks))
    raise AssertionError(f"{_TRIES} clips in a row show nothing to follow in their first frame")


def crop_clip(
    rng: np.random.Generator, frames: Sequence[np.ndarray], labels: Sequence[np.ndarray], size_px: int
) -> Clip | None:
    """A square piece of a real clip around its objects, scaled to `size_px`; None where the first frame shows none."""
    height, width = labels[0].shape
    ids = [int(value) for value in np.unique(labels[0]) if value > 0][:3]
    if not ids:
        return None
    rows, cols = np.nonzero(np.isin(labels[0], ids))
    side = int(rng.uniform(0.6, 1.0) * min(height, width))
    pick = int(rng.integers(len(rows)))
    top = int(np.clip(rows[pick] - side * rng.uniform(0.25, 0.75), 0, height - side))
    left = int(np.clip(cols[pick] - side * rng.uniform(0.25, 0.75), 0, width - side))
    flip = -1 if rng.random() < 0.5 else 1
    size = (size_px, size_px)
    window = slice(top, top + side), slice(left, left + side)
    pieces = [cv2.resize(frame[window], size, interpolation=cv2.INTER_AREA)[:, ::flip] for frame in frames]
    small = [cv2.resize(label[window], size, interpolation=cv2.INTER_NEAREST)[:, ::flip] for label in labels]
    masks = np.stack([[label == value for value in ids] for label in small]).astype(np.uint8)
    visible = np.flatnonzero(masks[0].mean(axis=(1, 2)) > _MIN_FIRST_SHARE)
    return Clip(np.stack(pieces), masks[:, visible]) if len(visible) else None


def _layers(rng: np.random.Generator, pictures: Sequence[Picture], config: ClipConfig) -> list[Layer]:
    """Bottom first."""
    kind, picture = rng.random(), _pick(rng, pictures)
    always = np.ones(config.num_frames, bool)
    if kind < config.whole_share:
        motion = OBJECT_MOTION if rng.random() < 0.5 else BACKGROUND_MOTION
        layers = [_background(rng, picture, _followed(rng, picture.regions), config, motion)]
        subject = picture, picture.regions[0]
    elif kind < config.whole_share + config.parallax_share:
        region = _pick(rng, picture.whole)
        layers = [
            _background(rng, Picture(_without(picture.image, region.mask), (), ()), (), config, BACKGROUND_MOTION),
            _cut_out(rng, picture, region, (_target_of(rng, picture, region),), config, _away(rng, config)),
        ]
        subject = picture, region
    else:
        layers = [_background(rng, _pick(rng, pictures), (), config, BACKGROUND_MOTION)]
        subject = picture, _pick(rng, picture.whole)
        layers.append(_cut_out(rng, *subject, (_target_of(rng, *subject),), config, _away(rng, config)))
        for _ in range(int(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15]))):
            other = _pick(rng, pictures)
            region = _pick(rng, other.whole)
            layers.append(_cut_out(rng, other, region, (region.mask,), config, _away(rng, config)))
    if rng.random() < config.distractor_share:
        look_alike = _cut_out(rng, *_look_alike(rng, pictures, subject), (), config, always)
        layers.insert(int(rng.integers(1, len(layers) + 1)), look_alike)
    if rng.random() < config.occluder_share:
        other = _pick(rng, pictures)
        layers.append(_cut_out(rng, other, _pick(rng, other.whole), (), config, rng.random(config.num_frames) < 0.7))
    return layers


def _look_alike(
    rng: np.random.Generator, pictures: Sequence[Picture], subject: tuple[Picture, Region]
) -> tuple[Picture, Region]:
    """The same object once more, another of its class, or anything."""
    picture, region = subject
    kind = rng.random()
    if kind < 0.35:
        return picture, region
    if kind < 0.8:
        for _ in range(_TRIES):
            other = _pick(rng, pictures)
            same = [item for item in other.whole if item.name == region.name]
            if same and other is not picture:
                return other, _pick(rng, same)
    other = _pick(rng, pictures)
    return other, _pick(rng, other.whole)


def _followed(rng: np.random.Generator, regions: Sequence[Region]) -> tuple[np.ndarray, ...]:
    """Masks of one to three regions of a picture; the smaller ones are cut out of the larger."""
    count = min(len(regions), int(rng.choice([1, 2, 3], p=[0.6, 0.28, 0.12])))
    chosen = sorted(rng.choice(len(regions), count, replace=False).tolist())
    return tuple(regions[index].mask for index in chosen)


def _target_of(rng: np.random.Generator, picture: Picture, region: Region) -> np.ndarray:
    """Mostly the whole cut-out; sometimes a part of it (a coat, a bag)."""
    inside = [part.mask & region.mask for part in picture.regions if part is not region]
    parts = [part for part in inside if part.sum() > 0.05 * region.mask.sum()]
    return _pick(rng, parts) if parts and rng.random() < 0.2 else region.mask


def _background(
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
    return Layer(recolour(rng, image, 0.5), None, masks, path, np.ones(config.num_frames, bool))


def _cut_out(
    rng: np.random.Generator,
    picture: Picture,
    region: Region,
    targets: tuple[np.ndarray, ...],
    config: ClipConfig,
    shown: np.ndarray,
) -> Layer:
    """A region of a picture, cut out, at a random place and size."""
    rows, cols = np.nonzero(region.mask)
    top, bottom, left, right = rows.min(), rows.max() + 1, cols.min(), cols.max() + 1
    size = config.size_px
    wanted = size * np.exp(rng.uniform(np.log(0.12), np.log(0.6)))
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
    place = rng.uniform(0.2, 0.8, 2) * size
    layer_px = float(np.sqrt(height * width))
    path = wander(rng, config.num_frames, size, (width / 2, height / 2), tuple(place), layer_px, OBJECT_MOTION)
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


def _compose(rng: np.random.Generator, layers: list[Layer], config: ClipConfig) -> Clip:
    frames, masks = [], []
    grey, exposure = rng.random() < config.grey_share, rng.uniform(-0.1, 0.1)
    for index in range(config.num_frames):
        canvas, targets = draw(layers, index, config.size_px)
        frame = np.clip(canvas * (1.0 + exposure * index / config.num_frames), 0, 255).astype(np.uint8)
        frames.append(_spoil(rng, frame, grey, config))
        masks.append(targets)
    return Clip(np.stack(frames), np.stack(masks).astype(np.uint8))


def _spoil(rng: np.random.Generator, frame: np.ndarray, grey: bool, config: ClipConfig) -> np.ndarray:
    """What a camera does to a frame: motion blur, noise, lost colour."""
    if rng.random() < config.blur_share:
        frame = motion_blur(rng, frame)
    if rng.random() < 0.3:
        noise = rng.integers(-8, 9, frame.shape[:2], np.int16)[..., None]
        frame = np.clip(frame + noise, 0, 255).astype(np.uint8)
    if grey:
        frame = np.repeat(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return frame


def _away(rng: np.random.Generator, config: ClipConfig) -> np.ndarray:
    """(T,) bool: False while the object is away; it is there in the first frame."""
    shown = np.ones(config.num_frames, bool)
    if rng.random() < config.absence_share:
        start = int(rng.integers(1, config.num_frames))
        shown[start : start + int(rng.integers(1, config.num_frames))] = False
    return shown


def _without(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
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


def _pick(rng: np.random.Generator, items: Sequence) -> object:
    return items[int(rng.integers(len(items)))]
