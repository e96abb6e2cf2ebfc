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
from pipelines.training.layers import Layer, draw
from pipelines.training.motion import BACKGROUND_MOTION, OBJECT_MOTION, motion_blur
from pipelines.training.picture_pool import pick, plate
from pipelines.training.pieces import ClipConfig, background, cut_out, without

_MIN_FIRST_SHARE = 0.004  # of the canvas that an object must show in the first frame
_TRIES = 20


@dataclass(frozen=True)
class Clip:
    """(T, S, S, 3) uint8 RGB frames and (T, N, S, S) uint8 masks (0 or 1) of the followed objects, apart.

    `void` (T, S, S) uint8 is 1 where the truth is not known, None where it is known everywhere.
    """

    frames: np.ndarray
    masks: np.ndarray
    void: np.ndarray | None = None


def make_clip(rng: np.random.Generator, pictures: Sequence[Picture], config: ClipConfig) -> Clip:
    """A clip with one to three followed objects; the same generator state gives the same clip."""
    for _ in range(_TRIES):
        clip = compose(rng, _layers(rng, pictures, config), config)
        visible = clip.masks[0].mean(axis=(1, 2)) > _MIN_FIRST_SHARE
        if visible.any():
            masks = clip.masks[:, np.flatnonzero(visible)[:3]]
            if masks.shape[1] > 1 and rng.random() < config.merged_share:
                masks = np.concatenate([masks[:, :1] | masks[:, 1:2], masks[:, 2:]], axis=1)
            return Clip(clip.frames, np.ascontiguousarray(masks), clip.void)
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
    kind, picture = rng.random(), pick(rng, pictures)
    always = np.ones(config.num_frames, bool)
    if kind < config.whole_share:
        motion = OBJECT_MOTION if rng.random() < 0.5 else BACKGROUND_MOTION
        layers = [background(rng, picture, _followed(rng, picture.regions), config, motion)]
        subject = picture, picture.regions[0]
    elif kind < config.whole_share + config.parallax_share:
        region = pick(rng, picture.whole)
        layers = [
            background(rng, Picture(without(picture.image, region.mask), (), ()), (), config, BACKGROUND_MOTION),
            cut_out(rng, picture, region, (_target_of(rng, picture, region),), config, _away(rng, config)),
        ]
        subject = picture, region
    else:
        subject = picture, pick(rng, picture.whole)
        layers = [background(rng, plate(rng, pictures, subject[1].name), (), config, BACKGROUND_MOTION)]
        layers.append(cut_out(rng, *subject, (_target_of(rng, *subject),), config, _away(rng, config)))
        for _ in range(int(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15]))):
            other = pick(rng, pictures)
            region = pick(rng, other.whole)
            layers.append(cut_out(rng, other, region, (region.mask,), config, _away(rng, config)))
    if rng.random() < config.distractor_share:
        look_alike = cut_out(rng, *_look_alike(rng, pictures, subject), (), config, always)
        layers.insert(int(rng.integers(1, len(layers) + 1)), look_alike)
    if rng.random() < config.occluder_share:
        other = pick(rng, pictures)
        layers.append(cut_out(rng, other, pick(rng, other.whole), (), config, rng.random(config.num_frames) < 0.7))
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
            other = pick(rng, pictures)
            same = [item for item in other.whole if item.name == region.name]
            if same and other is not picture:
                return other, pick(rng, same)
    other = pick(rng, pictures)
    return other, pick(rng, other.whole)


def _followed(rng: np.random.Generator, regions: Sequence[Region]) -> tuple[np.ndarray, ...]:
    """Masks of one to three regions of a picture; the smaller ones are cut out of the larger."""
    count = min(len(regions), int(rng.choice([1, 2, 3], p=[0.6, 0.28, 0.12])))
    chosen = sorted(rng.choice(len(regions), count, replace=False).tolist())
    return tuple(regions[index].mask for index in chosen)


def _target_of(rng: np.random.Generator, picture: Picture, region: Region) -> np.ndarray:
    """Mostly the whole cut-out; sometimes a part of it (a coat, a bag)."""
    inside = [part.mask & region.mask for part in picture.regions if part is not region]
    parts = [part for part in inside if part.sum() > 0.05 * region.mask.sum()]
    return pick(rng, parts) if parts and rng.random() < 0.2 else region.mask


def compose(rng: np.random.Generator, layers: list[Layer], config: ClipConfig) -> Clip:
    """Draw all frames of layers, the lowest first, as a plain camera sees them; masks of all their targets."""
    frames, masks, voids = [], [], []
    grey, exposure = rng.random() < config.grey_share, rng.uniform(-0.1, 0.1)
    for index in range(config.num_frames):
        canvas, targets, void = draw(layers, index, config.size_px)
        frame = np.clip(canvas * (1.0 + exposure * index / config.num_frames), 0, 255).astype(np.uint8)
        frames.append(_spoil(rng, frame, grey, config))
        masks.append(targets)
        voids.append(void)
    void = np.stack(voids).astype(np.uint8)
    return Clip(np.stack(frames), np.stack(masks).astype(np.uint8), void if void.any() else None)


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
