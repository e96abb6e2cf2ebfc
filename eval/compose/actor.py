"""An object of a sequence: a cut-out with a size, a way of moving, and a look that changes with time."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from eval.compose.classes import Manner
from eval.compose.cutouts import Cutout
from eval.compose.route import Visit


@dataclass(frozen=True)
class Motion:
    """How an object sways, turns and bends around its path.

    Args:
        sway_rad, sway_ticks: rotation in the picture plane, and its period.
        bob: up and down, as a share of the size.
        squash, turn_ticks: narrowest width while it turns away, and the period of turning.
        bend: sideways bend as a share of the size; slow waves over height and time.
        gain, gain_ticks: change of brightness over time.
        phase: (8,) where the waves begin.
    """

    sway_rad: float
    sway_ticks: float
    bob: float
    squash: float
    turn_ticks: float
    bend: float
    gain: float
    gain_ticks: float
    phase: np.ndarray

    @classmethod
    def draw(cls, manner: Manner, rng: np.random.Generator) -> Motion:
        """A random motion that suits standing or flying things."""
        flies = manner == "fly"
        return cls(
            sway_rad=np.radians(rng.uniform(4, 12) if flies else rng.uniform(1.0, 3.0)),
            sway_ticks=rng.uniform(50, 120) if flies else rng.uniform(18, 30),
            bob=rng.uniform(0.02, 0.06) if flies else rng.uniform(0.004, 0.012),
            squash=rng.uniform(0.72, 0.9),
            turn_ticks=rng.uniform(90, 200),
            bend=rng.uniform(0.008, 0.02),
            gain=rng.uniform(0.04, 0.14),
            gain_ticks=rng.uniform(80, 220),
            phase=rng.uniform(0, 2 * np.pi, 8),
        )


@dataclass(frozen=True)
class Pose2d:
    """How an object looks at a tick: rotation in rad, width (negative: mirrored), lift as a share of the size."""

    rotation: float
    width: float
    lift: float
    gain: float


@dataclass
class Actor:
    """One object.

    Args:
        id: >= 1. cutout: its pixels. manner: stands or flies. size_m: longest side.
        visits: when it is there. motion: how it moves. twin_of: id of its look-alike.
    """

    id: int
    cutout: Cutout
    manner: Manner
    size_m: float
    visits: tuple[Visit, ...]
    motion: Motion
    twin_of: int | None = None
    levels: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        rgba = np.dstack([self.cutout.colour, np.rint(self.cutout.alpha * 255).astype(np.uint8)])
        self.levels = [rgba]  # halved again and again, so that small copies do not flicker
        while min(self.levels[-1].shape[:2]) > 24:
            last = self.levels[-1]
            self.levels.append(cv2.resize(last, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        x1, y1, x2, y2 = self.cutout.box_xyxy
        self.box = (float(x1), float(y1), float(x2), float(y2))
        self.longest_px = max(x2 - x1, y2 - y1)
        solid = self.cutout.alpha > 0.5
        pixels = self.levels[-1][..., :3][self.levels[-1][..., 3] > 127]
        pixels = pixels if len(pixels) else self.cutout.colour[solid]
        self.mean_colour = pixels.mean(axis=0)
        self.brightest = float(np.percentile(pixels.mean(axis=1), 95))
        low = solid[int(y2 - 0.1 * (y2 - y1)) : int(y2)]
        columns = np.flatnonzero(low.any(axis=0))
        self.foot_px = (float(columns[0]), float(columns[-1] + 1)) if len(columns) else (float(x1), float(x2))
        body = np.flatnonzero(solid.any(axis=0))
        foot_x = 0.5 * float(np.mean(self.foot_px)) + 0.5 * float(np.mean(body))
        self.anchor = (foot_x, float(y2)) if self.manner == "stand" else ((x1 + x2) / 2, (y1 + y2) / 2)

    @property
    def height_m(self) -> float:
        """Metres from the lowest to the highest point."""
        return self.size_m * (self.box[3] - self.box[1]) / self.longest_px

    def visit_at(self, tick: int) -> Visit | None:
        """The visit that is going on at a tick."""
        return next((visit for visit in self.visits if visit.start <= tick < visit.end), None)

    def pose_at(self, tick: int, visit: Visit, sideways_m: float) -> Pose2d:
        """How it looks; `sideways_m` is its speed along the picture, in metres a tick, which makes it step and lean."""
        motion, phase = self.motion, self.motion.phase
        pace = float(np.clip(abs(sideways_m) / (0.01 * self.size_m), 0.15, 1.0))
        turn = 0.5 + 0.5 * np.cos(2 * np.pi * tick / motion.turn_ticks + phase[0])
        width = motion.squash + (1 - motion.squash) * turn
        mirrored = (len(self.visits) > 1) and self.visits.index(visit) % 2 == 1
        wave = np.sin(2 * np.pi * tick / motion.sway_ticks + phase[1])
        return Pose2d(
            rotation=motion.sway_rad * wave * (pace if self.manner == "stand" else 1.0),
            width=-width if mirrored else width,
            lift=motion.bob * pace * abs(np.sin(2 * np.pi * tick / motion.sway_ticks + phase[2])),
            gain=1 + motion.gain * np.sin(2 * np.pi * tick / motion.gain_ticks + phase[3]),
        )

    def bend_at(self, tick: int, along: np.ndarray) -> np.ndarray:
        """Sideways displacement, as a share of the size, at heights `along` (0 the anchor, 1 the far end)."""
        phase, amount = self.motion.phase, self.motion.bend
        slow = np.sin(2 * np.pi * (0.6 * along + tick / 83.0) + phase[4])
        quick = np.sin(2 * np.pi * (1.1 * along - tick / 37.0) + phase[5])
        calm = np.clip(along / 0.15, 0, 1) if self.manner == "stand" else 1.0  # feet do not slide
        return amount * (0.6 * slow + 0.4 * quick) * calm
