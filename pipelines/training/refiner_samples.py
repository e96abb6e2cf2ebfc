"""Examples for the refiner: crops of pictures and of made-up scenes, and the prompts that people and trackers give.

Coarse masks are spoilt as trackers spoil them: blurred at stride 8, drifted, swollen or shrunken, with parts missing
or added, holes and islands; some are left perfect, so that the refiner learns to leave what is good.

The ranges of all draws were set by hand before the training that the model cards tell of; the weights were made with
them, and none was measured apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from pipelines.refiners.crop_prompts import MaskPrompt
from pipelines.refiners.protocol import innermost_point
from pipelines.training.clips import ClipConfig, make_clip
from pipelines.training.datasets import Picture
from pipelines.training.motion import motion_blur, recolour
from streamvos.masks import tight_box

_MIN_SHARE = 0.004  # of a crop that its object must cover
_CLICKED_REACH = (0.3, 3.0)  # how far a crop around a click reaches, as a share of the object's longer side
_NEIGHBOURS_PX = 5  # things of a class with no more between them are a group
_TRIES = 30


@dataclass(frozen=True)
class SampleConfig:
    """What examples are like; shares are probabilities."""

    size_px: int = 256  # side of a crop
    composite_share: float = 0.4  # made-up scenes; the rest are pictures as they are
    part_share: float = 0.2  # objects that are a part of another (a coat); more makes boxes less decisive
    group_share: float = 0.1  # of clicks: things of a class that touch are meant together
    wide_share: float = 0.2  # crops with more around the object, as clicks need
    clicked_share: float = 0.3  # crops around a click, which may cut their object
    turn_rad: float = 0.25  # crops are turned by up to so much
    box_noise: float = 0.04  # standard deviation of a box's sides, as a share of its size
    soft_share: float = 0.15  # coarse masks with soft borders; the rest are hard, as they arrive
    perfect_share: float = 0.05  # coarse masks without a fault


class Crop(NamedTuple):
    """An (S, S, 3) uint8 RGB `image`, the (S, S) uint8 `mask` (0 or 1) of an object in it, the (S, S) bool pixels of
    which it is `known` what they show, whether it is a `wide` one, and the (2,) xy pixel that it was cut around, None
    where it was cut around the object."""

    image: np.ndarray
    mask: np.ndarray
    known: np.ndarray
    wide: bool
    click: np.ndarray | None = None


def make_crop(rng: np.random.Generator, pictures: Sequence[Picture], config: SampleConfig) -> Crop:
    """A crop of a picture or of a made-up scene."""
    scenes = ClipConfig(num_frames=1, size_px=320, whole_share=0.0, absence_share=0.0)
    real = [picture for picture in pictures if picture.has_surroundings]
    for _ in range(_TRIES):
        manner = str(rng.choice(["near", "wide", "clicked"], p=_manners(config)))
        void = None
        if not real or rng.random() < config.composite_share:
            clip = make_clip(rng, pictures, scenes)
            image, mask = clip.frames[0], clip.masks[0, int(rng.integers(clip.masks.shape[1]))]
        else:
            picture = real[int(rng.integers(len(real)))]
            image, mask, void = picture.image, _chosen(rng, picture, manner, config), picture.void
        if not mask.any():
            continue
        place = _pixel_of(rng, mask) if manner == "clicked" else None
        left, top, right, bottom = _around_click(rng, mask, place) if place is not None else _around(rng, mask, manner)
        known = np.ones(mask.shape, bool) if void is None else ~void | (mask > 0)
        image, mask, known, warp = _cut(rng, image, mask, known, (left, top, right, bottom), config)
        if mask.mean() < _MIN_SHARE:
            continue
        click = None
        if place is not None:
            click = np.linalg.solve(warp[:, :2], place + 0.5 - warp[:, 2]).astype(np.float32)
            column, row = np.clip(click.astype(int), 0, config.size_px - 1)
            if not mask[row, column]:
                continue
        return Crop(camera(rng, image), mask, known, manner != "near", click)
    raise AssertionError(f"{_TRIES} crops in a row show no object")


def _manners(config: SampleConfig) -> list[float]:
    return [1.0 - config.wide_share - config.clicked_share, config.wide_share, config.clicked_share]


def _chosen(rng: np.random.Generator, picture: Picture, manner: str, config: SampleConfig) -> np.ndarray:
    """(h, w) uint8 mask of something in a picture: an object, a part of one, or a group."""
    regions = picture.regions if rng.random() < config.part_share else picture.whole
    region = regions[int(rng.integers(len(regions)))]
    mask = region.mask.astype(np.uint8)
    if manner == "clicked" and rng.random() < config.group_share:
        near = cv2.dilate(mask, np.ones((2 * _NEIGHBOURS_PX + 1,) * 2, np.uint8)) > 0
        for other in picture.whole:
            if other.name == region.name and (other.mask & near).any():
                mask |= other.mask.astype(np.uint8)
    return mask


def make_prompt(rng: np.random.Generator, crop: Crop, config: SampleConfig) -> MaskPrompt:
    """A prompt in pixels of the crop, as they come: a box, clicks, a coarse mask, or several of them."""
    mask, wide = crop.mask, crop.wide
    if crop.click is not None:  # mostly one click, which leaves open what is meant
        count = int(rng.choice([1, 2, 3], p=[0.8, 0.1, 0.1]))
        return MaskPrompt(None, *clicks(rng, mask, count, crop.click))
    shares = [0.0, 0.6, 0.0, 0.4] if wide else [0.36, 0.14, 0.1, 0.4]  # a box says how large its object is
    kind = str(rng.choice(["box", "points", "box+points", "coarse"], p=shares))
    if kind == "coarse":
        coarse = spoil(rng, mask, config)
        side = rng.random()
        if side < 0.6:
            return MaskPrompt(coarse=coarse)
        if side < 0.75:
            return MaskPrompt(None, *corrections(rng, mask, coarse), coarse)
        return MaskPrompt(noisy_box(rng, mask, config) if side < 0.85 else tight_box(coarse > 0.5), coarse=coarse)
    box = noisy_box(rng, mask, config) if "box" in kind else None
    if kind == "box":
        return MaskPrompt(box)
    return MaskPrompt(box, *clicks(rng, mask, int(rng.choice([1, 2, 3, 5], p=[0.5, 0.15, 0.2, 0.15]))))


def noisy_box(rng: np.random.Generator, mask: np.ndarray, config: SampleConfig) -> np.ndarray:
    """The mask's tight box, (4,) xyxy, as a person or a detector would draw it."""
    box = tight_box(mask > 0)
    size = np.tile(box[2:] - box[:2], 2)
    spread = config.box_noise * rng.choice([0.3, 1.0, 2.0], p=[0.4, 0.45, 0.15])
    return (box + np.clip(rng.normal(0.0, spread, 4), -0.15, 0.15) * size).astype(np.float32)


def clicks(
    rng: np.random.Generator, mask: np.ndarray, count: int, first: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`count` points (P, 2) xy and labels (P,): the first on the object, the others on either side of its border."""
    if first is None:
        first = innermost_point(mask > 0) if rng.random() < 0.5 else _pixel_of(rng, mask)
    points = [first]
    labels = [True]
    near = cv2.dilate(mask, _disc(0.12 * mask.shape[0])) - mask
    for _ in range(count - 1):
        on = bool(rng.random() < 0.55) or not (mask == 0).any()
        where = mask if on else (near if near.any() and rng.random() < 0.7 else 1 - mask)
        points.append(_pixel_of(rng, where))
        labels.append(on)
    return np.array(points, np.float32), np.array(labels)


def corrections(rng: np.random.Generator, mask: np.ndarray, coarse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point on the object and one in the largest fault of a coarse mask: points (P, 2), labels (P,)."""
    points, labels = [_pixel_of(rng, mask)], [True]
    faults = ((mask > 0) != (coarse > 0.5)).astype(np.uint8)
    core = cv2.erode(faults, np.ones((5, 5), np.uint8))
    if core.any():
        x, y = innermost_point(core > 0)
        points.append(np.array([x, y], np.float32))
        labels.append(bool(mask[int(y), int(x)]))
    return np.array(points, np.float32), np.array(labels)


def spoil(rng: np.random.Generator, mask: np.ndarray, config: SampleConfig) -> np.ndarray:
    """A coarse mask (h, w) float32 in [0, 1] of an object with the given (h, w) uint8 mask of 0 and 1."""
    if rng.random() < config.perfect_share:
        return mask.astype(np.float32)
    for _ in range(_TRIES):
        spoilt = _coarsen(rng, _deform(rng, _add_and_remove(rng, mask)), config)
        if (spoilt > 0.5).sum() >= 20:
            return spoilt
    return mask.astype(np.float32)


def camera(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """What a camera and a codec do to a crop: colours, blur, low resolution, noise, compression."""
    image, side = recolour(rng, image, 0.7), image.shape[0]
    if rng.random() < 0.25:
        small = max(16, int(side * rng.uniform(0.25, 0.8)))
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (side, side))
    if rng.random() < 0.12:
        image = motion_blur(rng, image)
    if rng.random() < 0.3:
        noise = rng.integers(-8, 9, image.shape[:2], np.int16)[..., None]
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    if rng.random() < 0.05:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return image


def _around(rng: np.random.Generator, mask: np.ndarray, manner: str) -> tuple[float, float, float, float]:
    """A window, xyxy, with all of an object in it."""
    height, width = mask.shape
    box = tight_box(mask > 0)
    longer = max(box[2] - box[0], box[3] - box[1])
    if manner == "wide":
        pads = longer * np.exp(rng.uniform(np.log(0.3), np.log(2.0))) * rng.uniform(0.1, 1.9, 4)
    else:
        pads = longer * rng.uniform(0.12, 0.32) * rng.uniform(0.6, 1.4, 4)
    left, top = max(0.0, box[0] - pads[0]), max(0.0, box[1] - pads[1])
    return left, top, min(width, box[2] + pads[2]), min(height, box[3] + pads[3])


def _around_click(rng: np.random.Generator, mask: np.ndarray, place: np.ndarray) -> tuple[float, float, float, float]:
    """A window, xyxy, around a click, as it is looked at where nobody knows how far the object reaches."""
    height, width = mask.shape
    box = tight_box(mask > 0)
    half = max(box[2] - box[0], box[3] - box[1]) * np.exp(rng.uniform(*np.log(_CLICKED_REACH)))
    x, y = place + 0.5
    return max(0.0, x - half), max(0.0, y - half), min(width, x + half), min(height, y + half)


def _cut(
    rng: np.random.Generator,
    image: np.ndarray,
    mask: np.ndarray,
    known: np.ndarray,
    window: tuple[float, float, float, float],
    config: SampleConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A window as an (S, S) crop, turned and mirrored; its mask; the pixels of which it is known what they show; (2, 3)
    from its pixels to those of the picture."""
    left, top, right, bottom = window
    size, turn = config.size_px, rng.uniform(-1, 1) * config.turn_rad * (rng.random() < 0.4)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    # from pixels of the crop to pixels of the picture: scale, mirror, turn, move
    scale = np.diag([mirror * (right - left) / size, (bottom - top) / size])
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ scale
    middle = np.array([left + right, top + bottom]) / 2 - matrix @ np.full(2, size / 2)
    warp = np.hstack([matrix, middle[:, None]]).astype(np.float32)
    shrink = max(right - left, bottom - top) / size
    smooth = cv2.GaussianBlur(image, (0, 0), 0.35 * shrink) if shrink > 1.3 else image
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(smooth, warp, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
    shares = [
        cv2.warpAffine(one * np.uint8(255), warp, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT) > 127
        for one in (mask, known.astype(np.uint8))
    ]
    return crop, shares[0].astype(np.uint8), shares[1], warp


def _add_and_remove(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Parts missing, parts too many, holes and islands."""
    spoilt, extent = mask.copy(), float(np.sqrt(mask.sum()))
    if rng.random() < 0.35:
        _blot(rng, spoilt, _pixel_of(rng, mask), extent * rng.uniform(0.1, 0.5), 0)
    if rng.random() < 0.35:
        rim = cv2.dilate(mask, np.ones((5, 5), np.uint8)) - mask
        _blot(rng, spoilt, _pixel_of(rng, rim if rim.any() else mask), extent * rng.uniform(0.08, 0.45), 1)
    for value, share in ((0, 0.2), (1, 0.2)):
        if rng.random() < share:
            for _ in range(int(rng.integers(1, 4))):
                place = _pixel_of(rng, mask) if value == 0 else rng.uniform(0, mask.shape[::-1])
                _blot(rng, spoilt, place, extent * rng.uniform(0.02, 0.1), value)
    return spoilt


def _deform(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Drift, another scale, a wavy border, thicker or thinner."""
    (height, width), extent = mask.shape, float(np.sqrt(mask.sum()) + 1)
    strength = float(rng.choice([0.3, 1.0, 2.0], p=[0.35, 0.45, 0.2]))
    drift = rng.normal(0.0, 0.03 * extent * strength, 2) if rng.random() < 0.5 else np.zeros(2)
    zoom = np.exp(rng.normal(0.0, 0.03 * strength, 2)) if rng.random() < 0.5 else np.ones(2)
    field = rng.normal(0.0, 0.02 * extent * strength, (2, *[int(rng.integers(4, 14))] * 2)).astype(np.float32)
    dx, dy = (cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in field)
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    map_x = ((x - width / 2) * zoom[0] + width / 2 + drift[0]).astype(np.float32) + dx
    map_y = ((y - height / 2) * zoom[1] + height / 2 + drift[1]).astype(np.float32) + dy
    spoilt = cv2.remap(mask * np.uint8(255), map_x, map_y, cv2.INTER_LINEAR) // 128
    if rng.random() < 0.45:
        kernel = _disc(extent * rng.uniform(0.01, 0.06) * strength)
        spoilt = cv2.dilate(spoilt, kernel) if rng.random() < 0.5 else cv2.erode(spoilt, kernel)
    return spoilt


def _coarsen(rng: np.random.Generator, mask: np.ndarray, config: SampleConfig) -> np.ndarray:
    """As a tracker sees it: few cells, blurred, brought to full size again, and mostly cut at one half."""
    (height, width), cell = mask.shape, float(rng.choice([1, 2, 4, 6, 10, 16], p=[0.1, 0.15, 0.25, 0.2, 0.2, 0.1]))
    small = max(8, round(width / cell)), max(8, round(height / cell))
    cells = cv2.resize(mask.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        cells = cv2.GaussianBlur(cells, (0, 0), rng.uniform(0.4, 1.0))
    soft = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR).clip(0, 1)  # rounding reaches beyond
    return soft if rng.random() < config.soft_share else (soft > 0.5).astype(np.float32)


def _blot(rng: np.random.Generator, mask: np.ndarray, place: Sequence[float], radius: float, value: int) -> None:
    axes = max(1, int(radius * rng.uniform(0.5, 1.5))), max(1, int(radius * rng.uniform(0.5, 1.5)))
    cv2.ellipse(mask, (int(place[0]), int(place[1])), axes, rng.uniform(0, 180), 0, 360, value, -1)


def _pixel_of(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """(2,) float32 xy of a random pixel of a mask that is not empty."""
    rows, cols = np.nonzero(mask)
    pick = int(rng.integers(len(rows)))
    return np.array([cols[pick], rows[pick]], np.float32)


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
