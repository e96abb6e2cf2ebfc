"""The mixture of clips that the tracker learns from: those of `clips`, and kinds of what went wrong on video.

Things of one class that meet, things that leave and come back, thin and small things, a hand-held camera, bursts of
what a poor camera does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipelines.training import encounters
from pipelines.training.camera import held_by_hand
from pipelines.training.clips import Clip, compose, make_clip
from pipelines.training.degradations import degrade_clip
from pipelines.training.layers import Layer
from pipelines.training.motion import BACKGROUND_MOTION, NEARING_MOTION, OBJECT_MOTION
from pipelines.training.picture_pool import PicturePool, Piece, pick
from pipelines.training.pieces import ClipConfig, Placed, background, cut_out

KINDS = ("layers", "encounter", "visit", "thin")
_MIN_FIRST_SHARE = 0.0015  # of the canvas that an object must show in the first frame to be followed
_TRIES = 20


@dataclass(frozen=True)
class ClipMix:
    """How often each kind is made; shares are probabilities."""

    encounter_share: float = 0.34  # clips of two to six things of one class
    visit_share: float = 0.1  # clips of a thing that leaves over the border and returns; layers: the rest
    thin_share: float = 0.12  # clips of a thin or small thing
    nearing_share: float = 0.25  # things that change their size up to threefold
    hand_held_share: float = 0.35  # clips of a shaking, moving camera
    degraded_share: float = 0.35  # clips with a burst of degradation
    max_followed: int = 4  # objects of a clip that are followed; more cost time, the others are look-alikes


def make_mixed_clip(rng: np.random.Generator, pool: PicturePool, config: ClipConfig, mix: ClipMix) -> Clip:
    """A clip of a kind that is drawn; the same generator state gives the same clip."""
    shares = [mix.encounter_share, mix.visit_share, mix.thin_share]
    kind = str(rng.choice(KINDS, p=[1.0 - sum(shares), *shares]))
    return make_clip_of_kind(rng, pool, config, mix, kind)


def make_clip_of_kind(rng: np.random.Generator, pool: PicturePool, config: ClipConfig, mix: ClipMix, kind: str) -> Clip:
    """A clip of one of `KINDS`."""
    clip = make_clip(rng, pool.plates, config) if kind == "layers" else _staged(rng, pool, config, mix, kind)
    if rng.random() < mix.degraded_share:
        truths = (clip.masks,) if clip.void is None else (clip.masks, clip.void)
        degrade_clip(rng, clip.frames, truths)
    return clip


def _staged(rng: np.random.Generator, pool: PicturePool, config: ClipConfig, mix: ClipMix, kind: str) -> Clip:
    make = {"encounter": _encounter, "visit": _visit, "thin": _thin}[kind]
    for _ in range(_TRIES):
        layers = make(rng, pool, config, mix)
        if rng.random() < mix.hand_held_share:
            layers = held_by_hand(rng, layers, config.size_px)
        clip = compose(rng, layers, config)
        visible = np.flatnonzero(clip.masks[0].mean(axis=(1, 2)) > _MIN_FIRST_SHARE)
        if len(visible):
            followed = np.sort(rng.permutation(visible)[: mix.max_followed])
            return replace(clip, masks=np.ascontiguousarray(clip.masks[:, followed]))
    raise AssertionError(f"{_TRIES} clips of kind {kind} in a row show nothing to follow in their first frame")


def _encounter(rng: np.random.Generator, pool: PicturePool, config: ClipConfig, mix: ClipMix) -> list[Layer]:
    count = int(rng.choice([2, 3, 4, 5, 6], p=[0.42, 0.26, 0.16, 0.08, 0.08]))
    pieces = pool.of_one_class(rng, count)
    size = config.size_px * np.exp(rng.uniform(np.log(0.14), np.log(0.42))) * (2 / count) ** 0.3
    script = encounters.KINDS[int(rng.integers(len(encounters.KINDS)))]
    courses = encounters.tracks(rng, script, count, config.num_frames, config.size_px, size)
    layers = [_backdrop(rng, pool, pieces[0][1].name, config)]
    for piece, course in zip(pieces, courses, strict=True):
        layers.append(_placed(rng, piece, config, mix, size * rng.uniform(0.8, 1.25), course))
    if rng.random() < config.occluder_share / 2:
        layers.append(cut_out(rng, *pool.cut_out(rng), (), config, rng.random(config.num_frames) < 0.7))
    return layers


def _visit(rng: np.random.Generator, pool: PicturePool, config: ClipConfig, mix: ClipMix) -> list[Layer]:
    """One thing that is followed leaves and returns; another of its class may come while it is away."""
    pieces = pool.of_one_class(rng, 2) if rng.random() < 0.5 else [pool.cut_out(rng)]
    layers = [_backdrop(rng, pool, pieces[0][1].name, config)]
    for piece in pieces:
        size = config.size_px * np.exp(rng.uniform(np.log(0.14), np.log(0.5)))
        course = encounters.visit(rng, config.num_frames, config.size_px, size)
        layers.append(_placed(rng, piece, config, mix, size, course))
    return layers


def _thin(rng: np.random.Generator, pool: PicturePool, config: ClipConfig, mix: ClipMix) -> list[Layer]:
    """A thin thing where it was taken, or cut out; or a small one with others of its class."""
    if pool.thin and rng.random() < 0.6:
        picture, region = pick(rng, pool.thin)
        if rng.random() < 0.5:
            return [background(rng, picture, (region.mask,), config, OBJECT_MOTION)]
        pieces, low, high = [(picture, region)], 0.1, 0.35
    else:
        pieces, low, high = pool.of_one_class(rng, int(rng.integers(1, 4))), 0.04, 0.1
    layers = [_backdrop(rng, pool, pieces[0][1].name, config)]
    for piece in pieces:
        size = config.size_px * np.exp(rng.uniform(np.log(low), np.log(high)))
        place, way = rng.uniform(0.15, 0.85, 2), rng.uniform(-0.25, 0.25, 2)
        course = (place + np.linspace(0.0, 1.0, config.num_frames)[:, None] * way) * config.size_px
        layers.append(_placed(rng, piece, config, mix, size, course))
    return layers


def _backdrop(rng: np.random.Generator, pool: PicturePool, name: str, config: ClipConfig) -> Layer:
    return background(rng, pool.plate(rng, name), (), config, BACKGROUND_MOTION)


def _placed(
    rng: np.random.Generator, piece: Piece, config: ClipConfig, mix: ClipMix, size_px: float, course: np.ndarray
) -> Layer:
    picture, region = piece
    motion = NEARING_MOTION if rng.random() < mix.nearing_share else OBJECT_MOTION
    shown = np.ones(config.num_frames, bool)
    return cut_out(rng, picture, region, (region.mask,), config, shown, Placed(size_px, course, motion))
