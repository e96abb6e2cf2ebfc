"""Is this frame blurred, noisy or dark beside the rest of its shot? What is measured, and who judges it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from streamvos.config import Settings, setting
from streamvos.models.ssd_mobilenet import INPUT_PX

QUALITY_NAMES = ("sharpness", "noise", "brightness")
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkaer, CVIU 1996
_NOISE_MARGIN = 2.0  # grey levels on top of the usual noise: nearly noiseless shots have no ratio to speak of

# Chosen by hand on the development clips of the detect stage (docs/architecture.md), not swept.
_HISTORY = 9  # clean frames whose median is the usual; longer follows slow changes later
_MIN_HISTORY = 2  # clean frames of a shot before anything is judged
_MAX_IN_A_ROW = 12  # degraded frames in a row, after which the change counts as the new normal


@dataclass(frozen=True)
class GateConfig(Settings, at="detect.gate"):
    """When a frame counts as degraded beside the rest of its shot."""

    min_sharpness: float = setting(
        0.6, "smallest share of the usual sharpness that is clean; higher calls more frames blurred", low=0, high=1
    )
    max_noise: float = setting(
        1.5, "largest multiple of the usual noise that is clean; lower calls more frames noisy", low=1
    )
    min_brightness: float = setting(
        0.5, "smallest share of the usual brightness that is clean; higher calls more frames dark", low=0, high=1
    )


class QualityGate:
    """Knows how sharp, clean and bright a shot usually is, and judges frames against it.

    It keeps three numbers of each of the last `_HISTORY` clean frames, whatever the length of the video.

    Args:
        config: thresholds.
        max_in_a_row: degraded frames in a row, after which the change counts as the new normal.
    """

    def __init__(self, config: GateConfig, max_in_a_row: int = _MAX_IN_A_ROW) -> None:
        self.config, self.max_in_a_row = config, max_in_a_row
        self._recent = np.zeros((_HISTORY, len(QUALITY_NAMES)))
        self.reset()

    def judge(self, image: np.ndarray) -> str | None:
        """Why an (H, W, 3) uint8 RGB frame counts as degraded, or None; a clean one enters the history."""
        small = cv2.resize(image, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_LINEAR)
        now = measure_quality(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        reason = None
        if self._num_clean >= _MIN_HISTORY:
            usual = np.median(self._recent[: min(self._num_clean, _HISTORY)], axis=0)
            reason = judge_quality(now, usual, self.config)
        self._in_a_row = self._in_a_row + 1 if reason else 0
        if self._in_a_row > self.max_in_a_row:
            self.reset()
            reason = None
        if reason is None:
            self._recent[self._num_clean % _HISTORY] = now
            self._num_clean += 1
        return reason

    def reset(self) -> None:
        """A new shot: nothing is usual yet."""
        self._num_clean = 0
        self._in_a_row = 0
        self._recent[:] = 0

    def state_dict(self) -> dict[str, Any]:
        return {"recent": self._recent.copy(), "num_clean": self._num_clean, "in_a_row": self._in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._recent[:] = state["recent"]
        self._num_clean, self._in_a_row = state["num_clean"], state["in_a_row"]


def measure_quality(grey: np.ndarray) -> np.ndarray:
    """Sharpness, noise and brightness of a picture, comparable only between frames of one shot.

    Args:
        grey: (h, w) uint8, at one fixed size for a stream.

    Returns:
        (3,) float64: mean absolute Laplacian; median estimate of the noise's standard deviation (after
        Immerkaer, CVIU 1996); mean level.
    """
    grey = grey.astype(np.float32)
    sharpness = np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean()
    noise = np.sqrt(np.pi / 2) / 6 * np.median(np.abs(cv2.filter2D(grey, -1, _NOISE_KERNEL)))
    return np.array([sharpness, noise, grey.mean()], np.float64)


def judge_quality(now: np.ndarray, usual: np.ndarray, config: GateConfig) -> str | None:
    """Why a frame counts as degraded beside what is usual in its shot, or None where it is clean.

    Args:
        now, usual: (3,) what `measure_quality` gives, of the frame and of the shot.
        config: the shares and multiples that are clean.
    """
    if now[2] < config.min_brightness * usual[2]:
        return f"dark: brightness {now[2]:.0f}, usual in this shot {usual[2]:.0f}"
    if now[1] > config.max_noise * usual[1] + _NOISE_MARGIN:
        return f"noisy: noise {now[1]:.1f}, usual in this shot {usual[1]:.1f}"
    if now[0] < config.min_sharpness * usual[0]:
        return f"blurred: sharpness {now[0]:.1f}, usual in this shot {usual[0]:.1f}"
    return None
