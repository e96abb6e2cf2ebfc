"""How an object's box moves: a constant-velocity Kalman filter, after SORT (Bewley et al., ICIP 2016) and ByteTrack.

Ours runs in seconds, so that dropped frames and slow detectors change nothing; centre, width and height are four
independent filters; and a velocity that nothing confirms fades, so that what is hidden does not race away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_FADE_S = 2.0  # after which a velocity that was not confirmed is down to 37%
# Standard deviations as shares of the box's height: of what is measured, of how far a box wanders in a second, and of
# how much its velocity changes in a second. ByteTrack's at 30 frames/s, with calmer sizes.
_DETECTED, _SEEN, _WANDER, _PUSH = 0.05, 0.08, 0.15, (1.0, 1.0, 0.3, 0.3)
_START_VELOCITY = 0.6  # heights in a second


@dataclass
class BoxMotion:
    """The state of one box.

    Args:
        mean: (4, 2) float64: centre x, y, width, height in pixels of the frame, each with its change per second.
        covariance: (4, 2, 2) float64 of each pair.
        time_s: of the last update or advance.
    """

    mean: np.ndarray
    covariance: np.ndarray
    time_s: float

    @classmethod
    def of(cls, box_xyxy: np.ndarray, time_s: float) -> BoxMotion:
        """At rest at a (4,) box."""
        values = _to_values(box_xyxy)
        mean = np.stack([values, np.zeros(4)], axis=1)
        covariance = np.zeros((4, 2, 2))
        covariance[:, 0, 0] = (_DETECTED * values[3]) ** 2
        covariance[:, 1, 1] = (_START_VELOCITY * values[3] * np.array([1, 1, 0.3, 0.3])) ** 2
        return cls(mean, covariance, time_s)

    def box(self, time_s: float) -> np.ndarray:
        """(4,) float32 xyxy box that is expected at a time; the state stays."""
        return _to_box((_transition(time_s - self.time_s) @ self.mean[..., None])[:, 0, 0])

    def advance(self, time_s: float) -> None:
        """Carry the state to a time, without news."""
        elapsed = time_s - self.time_s
        if elapsed <= 0:
            return
        step, height = _transition(elapsed), max(1.0, self.mean[3, 0])
        self.mean = (step @ self.mean[..., None])[..., 0]
        push = (np.array(_PUSH) * height) ** 2
        noise = np.array([[elapsed**3 / 3, elapsed**2 / 2], [elapsed**2 / 2, elapsed]]) * push[:, None, None]
        noise[:, 0, 0] += (_WANDER * height) ** 2 * elapsed
        self.covariance = step @ self.covariance @ step.T + noise
        self.time_s = time_s

    def update(self, box_xyxy: np.ndarray, time_s: float, detected: bool) -> None:
        """Take a (4,) box that was seen at a time: by the detector, or of a mask, which wavers more."""
        self.advance(time_s)
        values = _to_values(box_xyxy)
        noise = ((_DETECTED if detected else _SEEN) * max(1.0, values[3])) ** 2
        gain = self.covariance[:, :, 0] / (self.covariance[:, 0, 0] + noise)[:, None]  # (4, 2)
        self.mean = self.mean + gain * (values - self.mean[:, 0])[:, None]
        self.covariance = self.covariance - gain[:, :, None] * self.covariance[:, None, 0, :]

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "covariance": self.covariance, "time_s": self.time_s}


def _transition(elapsed_s: float) -> np.ndarray:
    """(2, 2): what a value and its fading velocity become."""
    fade = float(np.exp(-max(0.0, elapsed_s) / _FADE_S))
    return np.array([[1.0, _FADE_S * (1.0 - fade)], [0.0, fade]])


def _to_values(box_xyxy: np.ndarray) -> np.ndarray:
    left, top, right, bottom = (float(side) for side in box_xyxy)
    return np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])


def _to_box(values: np.ndarray) -> np.ndarray:
    x, y, width, height = values
    half = max(1.0, width) / 2, max(1.0, height) / 2
    return np.array([x - half[0], y - half[1], x + half[0], y + half[1]], np.float32)
