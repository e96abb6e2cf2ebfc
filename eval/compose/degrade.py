"""Bursts of degradation: what a shaking, poor or overloaded camera does to a picture, at three strengths.

`frozen` repeats the picture before (and its truth: what a picture shows is what is true of it) while time goes on.
`dropped` leaves ticks out before a frame: numbers stay without gaps, presentation times do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from eval.compose.settings import Preset

PICTURE_KINDS = ("motion_blur", "defocus", "noise", "dark", "compression")
KINDS = (*PICTURE_KINDS, "frozen", "dropped")
_BLUR_PX = (9, 17, 29)  # length of the smear in a picture of 480 rows
_DEFOCUS_PX = (2.0, 4.0, 7.0)  # radius of the disk, likewise
_NOISE = (12.0, 24.0, 40.0)  # standard deviation in grey levels
_DARK = (0.5, 0.3, 0.16)  # of the light is left
_QUALITY = (18, 9, 4)  # of JPEG
_FREEZE = (3, 6, 10)  # frames for which the picture stands still at most
_DROP = (2, 5, 10)  # ticks left out


@dataclass(frozen=True)
class FramePlan:
    """One frame: which tick of the world it shows, and what is done to its picture.

    Args:
        tick: of presentation; time is tick / fps. shown_tick: of the world in the picture; earlier while frozen.
        kind: one of `KINDS`, or None. strength: 1 to 3, or 0.
        angle, ease: direction of a smear in rad, and how far into the burst the frame is, from 0 (edges) to 1 (middle).
    """

    tick: int
    shown_tick: int
    kind: str | None = None
    strength: int = 0
    angle: float = 0.0
    ease: float = 1.0


def schedule(preset: Preset, num_frames: int, rng: np.random.Generator) -> list[FramePlan]:
    """The frames of a sequence; about `preset.degraded_share` of them in bursts, all kinds and strengths in turn."""
    plans: list[FramePlan] = []
    tick = 0
    turns = [(kind, strength) for kind in KINDS for strength in (1, 2, 3)]
    queue: list[tuple[str, int]] = []
    wait = _gap(preset, (preset.burst[0] + preset.burst[1]) // 2, rng) // 2
    while len(plans) < num_frames:
        if preset.degraded_share <= 0 or wait > 0:
            plans.append(FramePlan(tick, tick))
            tick, wait = tick + 1, wait - 1
            continue
        queue = queue or [turns[i] for i in rng.permutation(len(turns))]
        kind, strength = queue.pop()
        length = int(rng.integers(*preset.burst, endpoint=True))
        burst = _burst(kind, strength, tick, length, rng)[: num_frames - len(plans)]
        plans += burst
        tick, wait = burst[-1].tick + 1, _gap(preset, len(burst), rng)
    return plans


def degrade(image: np.ndarray, plan: FramePlan, seed: int) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB as the camera gives it."""
    if plan.kind not in PICTURE_KINDS:
        return image
    row, unit = plan.strength - 1, image.shape[0] / 480
    ease = 0.5 + 0.5 * plan.ease
    if plan.kind == "motion_blur":
        return cv2.filter2D(image, -1, _smear(_BLUR_PX[row] * unit * ease, plan.angle), borderType=cv2.BORDER_REFLECT)
    if plan.kind == "defocus":
        return cv2.filter2D(image, -1, _disk(_DEFOCUS_PX[row] * unit * ease), borderType=cv2.BORDER_REFLECT)
    rng = np.random.default_rng([seed, plan.tick])
    if plan.kind == "noise":
        return _noisy(image.astype(np.float32), _NOISE[row] * ease, rng)
    if plan.kind == "dark":
        level = 1 - (1 - _DARK[row]) * ease
        return _noisy(image.astype(np.float32) * level, 2.0 + 2.5 * row, rng)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY[row]]
    packed = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1]
    return cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _gap(preset: Preset, length: int, rng: np.random.Generator) -> int:
    """Clean frames after a burst of a length, so that the share comes out right on average."""
    clean = length * (1 - preset.degraded_share) / max(preset.degraded_share, 1e-3)
    return max(2, round(clean * rng.uniform(0.6, 1.4)))


def _burst(kind: str, strength: int, tick: int, length: int, rng: np.random.Generator) -> list[FramePlan]:
    if kind == "dropped":  # one frame late, and the world has gone on
        late = tick + _DROP[strength - 1]
        return [FramePlan(late, late, kind, strength)]
    if kind == "frozen":
        length = min(length, _FREEZE[strength - 1])
        shown = max(0, tick - 1)
        return [FramePlan(tick + i, shown, kind, strength) for i in range(length)]
    angle = float(rng.uniform(0, np.pi))
    plans = []
    for i in range(length):
        ease = float(np.sin(np.pi * (i + 0.5) / length))
        plans.append(FramePlan(tick + i, tick + i, kind, strength, angle + 0.08 * i, ease))
    return plans


def _smear(length: float, angle: float) -> np.ndarray:
    """A line kernel of a length and direction, drawn with soft ends."""
    half = int(np.ceil(length / 2)) + 1
    grid = np.arange(-half, half + 1, dtype=np.float32)
    along = grid[None] * np.cos(angle) + grid[:, None] * np.sin(angle)
    across = -grid[None] * np.sin(angle) + grid[:, None] * np.cos(angle)
    kernel = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return kernel / kernel.sum()


def _disk(radius: float) -> np.ndarray:
    half = int(np.ceil(radius)) + 1
    grid = np.arange(-half, half + 1, dtype=np.float32)
    kernel = np.clip(radius + 0.5 - np.hypot(grid[None], grid[:, None]), 0, 1)
    return kernel / kernel.sum()


def _noisy(values: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    values = values + sigma * rng.standard_normal(values.shape, dtype=np.float32)
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)
