"""A camera that is held by hand: it shakes, and it moves, so that near things shift more than far ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.training.layers import Layer
from pipelines.training.motion import moved_course

_SHAKE_SHARE = 0.03  # of the canvas by which a frame jumps at most (one standard deviation)
_SHAKE_TURN_RAD = 0.02  # likewise
_PAN_SHARE = 0.2  # of the canvas by which the nearest layer shifts over a clip at most
_FAR = 0.25  # of that shift is seen by the background


def held_by_hand(rng: np.random.Generator, layers: Sequence[Layer], size_px: int) -> list[Layer]:
    """The layers, the lowest first, as a shaking and moving camera sees them; frame 0 stays where it is."""
    num_frames = len(layers[0].shown)
    strength = rng.uniform(0.2, 1.0)
    shake = strength * _SHAKE_SHARE * size_px * rng.standard_normal((num_frames, 2))
    turns = strength * _SHAKE_TURN_RAD * rng.standard_normal(num_frames)
    shake[0], turns[0] = 0.0, 0.0
    pan = rng.uniform(-1.0, 1.0, 2) * _PAN_SHARE * size_px * np.linspace(0.0, 1.0, num_frames)[:, None]
    nearness = np.concatenate([[_FAR], np.sort(rng.uniform(_FAR, 1.0, len(layers) - 1))])
    return [
        replace(layer, path=moved_course(layer.path, _motions(shake + near * pan, turns, size_px / 2)))
        for layer, near in zip(layers, nearness, strict=True)
    ]


def _motions(shifts: np.ndarray, turns: np.ndarray, centre: float) -> np.ndarray:
    """(T, 2, 3) matrices that turn about the middle of the canvas, then shift."""
    cos, sin = np.cos(turns), np.sin(turns)
    matrices = np.empty((len(turns), 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1] = cos, -sin, sin, cos
    middle = np.full(2, centre)
    matrices[:, :, 2] = middle - matrices[:, :, :2] @ middle + shifts
    return matrices
