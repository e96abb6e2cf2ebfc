"""Is this frame blurred, noisy or dark beside the rest of its shot? What is measured, and who judges it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from streamvos.models.ssd_mobilenet import INPUT_PX

QUALITY_NAMES = ("sharpness", "noise", "brightness")


_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def measure_quality(grey: np.ndarray) -> np.ndarray:
    """Sharpness, noise and brightness of a picture, comparable only between frames of one shot.

    Args:
        grey: (h, w) uint8, at one fixed size for a stream.

    Returns:
        (3,) float64: mean absolute Laplacian; median estimate of the noise's standard deviation (after
        Immerkaer, 1996); mean level.
    """
    grey = grey.astype(np.float32)
    sharpness = np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean()
    noise = np.sqrt(np.pi / 2) / 6 * np.median(np.abs(cv2.filter2D(grey, -1, _NOISE_KERNEL)))
    return np.array([sharpness, noise, grey.mean()], np.float64)


def judge_quality(
    now: np.ndarray, level: np.ndarray, min_sharpness: float, max_noise: float, min_brightness: float
) -> str | None:
    """Why a frame counts as degraded against the level of its shot, or None where it is clean.

    Args:
        now: (3,) what `measure_quality` gave for the frame.
        level: (3,) what is usual in this shot.
        min_sharpness: smallest share of the usual sharpness that is clean.
        max_noise: largest multiple of the usual noise that is clean; two grey levels come on top.
        min_brightness: smallest share of the usual brightness that is clean.
    """
    if now[2] < min_brightness * level[2]:
        return f"dark: brightness {now[2]:.0f} where this shot has {level[2]:.0f}"
    if now[1] > max_noise * level[1] + 2.0:
        return f"noisy: noise {now[1]:.1f} where this shot has {level[1]:.1f}"
    if now[0] < min_sharpness * level[0]:
        return f"blurred: sharpness {now[0]:.1f} where this shot has {level[0]:.1f}"
    return None


@dataclass(frozen=True)
class GateConfig:
    """When a frame counts as degraded beside the rest of its shot."""

    min_sharpness: float = 0.6  # share of the usual sharpness; higher calls more frames blurred
    max_noise: float = 1.5  # multiple of the usual noise; lower calls more frames noisy
    min_brightness: float = 0.5  # share of the usual brightness; higher calls more frames dark
    history: int = 9  # clean frames whose median is the usual; longer follows slow changes later
    min_history: int = 2  # clean frames of a shot before anything is judged
    max_in_a_row: int = 12  # degraded frames in a row, after which the change counts as the new normal


class QualityGate:
    """Knows how sharp, clean and bright a shot usually is, and judges frames against it.

    Args:
        config: thresholds and length of the history.
    """

    def __init__(self, config: GateConfig) -> None:
        self.config = config
        self._recent = np.zeros((config.history, len(QUALITY_NAMES)))
        self.reset()

    def judge(self, image: np.ndarray) -> str | None:
        """Why an (H, W, 3) uint8 RGB frame counts as degraded, or None; a clean one enters the history."""
        small = cv2.resize(image, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_LINEAR)
        now = measure_quality(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        reason, config = None, self.config
        if self._seen >= config.min_history:
            usual = np.median(self._recent[: min(self._seen, config.history)], axis=0)
            reason = judge_quality(now, usual, config.min_sharpness, config.max_noise, config.min_brightness)
        self._in_a_row = self._in_a_row + 1 if reason else 0
        if self._in_a_row > config.max_in_a_row:
            self.reset()
            reason = None
        if reason is None:
            self._recent[self._seen % config.history] = now
            self._seen += 1
        return reason

    def reset(self) -> None:
        """A new shot: nothing is usual yet."""
        self._seen = 0
        self._in_a_row = 0
        self._recent[:] = 0

    def state_dict(self) -> dict[str, Any]:
        return {"recent": self._recent.copy(), "seen": self._seen, "in_a_row": self._in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._recent[:] = state["recent"]
        self._seen, self._in_a_row = state["seen"], state["in_a_row"]
