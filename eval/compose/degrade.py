"""Bursts of degradation: what a shaking, poor or overloaded camera does to a picture, at three strengths.

`frozen` repeats the picture before (and its truth: what a picture shows is what is true of it) while time goes on.
`dropped` leaves ticks out before a frame: numbers stay without gaps, presentation times do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.compose.settings import Preset
from pipelines.training.degradations import PICTURE_KINDS, STRENGTHS, degrade_picture

KINDS = (*PICTURE_KINDS, "frozen", "dropped")
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
    turns = [(kind, strength) for kind in KINDS for strength in STRENGTHS]
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
    rng = np.random.default_rng([seed, plan.tick])
    return degrade_picture(image, plan.kind, plan.strength, plan.angle, plan.ease, rng)


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
