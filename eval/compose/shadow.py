"""Shadows on the floor: dark where an object touches it, and its own shape laid down and blurred."""

from __future__ import annotations

import cv2
import numpy as np

from eval.compose.actor import Actor

_CONTACT = 0.42  # darkness under the feet
_CAST = 0.26  # darkness of the laid-down shape
_FLAT = 0.26  # its length, as a share of the height
_SHRINK = 4  # shadows are soft, so they are drawn at a quarter of the size


def shadow_of(
    actor: Actor, foot: tuple[float, float, float], scale: float, width: float, sun: float, size: tuple[int, int]
) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """Window and (h, w) float32 darkness in [0, 1] of an object's shadow; None where it is out of the picture.

    Args:
        foot: anchor in pixels, and depth. scale: pixels of the picture to one of the cut-out. width: signed squash.
        sun: how far the shadow leans to the right for each pixel of height.
    """
    x, y, _ = foot
    tall = scale * (actor.box[3] - actor.box[1])
    wide = scale * (actor.box[2] - actor.box[0])
    reach = 0.12 * tall + 8
    left = int(max(0, min(x - wide, x - wide + sun * tall * 0.5) - reach))
    right = int(min(size[1], max(x + wide, x + wide + sun * tall * 0.5) + reach))
    top, bottom = int(max(0, y - _FLAT * tall - reach)), int(min(size[0], y + reach + 0.05 * tall))
    if right - left < 2 * _SHRINK or bottom - top < 2 * _SHRINK:
        return None
    small = (int(np.ceil((right - left) / _SHRINK)), int(np.ceil((bottom - top) / _SHRINK)))
    shade = np.maximum(
        _cast(actor, (x - left, y - top), scale, width, sun, tall, small),
        _contact(actor, (x - left, y - top), scale, width, tall, small),
    )
    shade = cv2.resize(shade, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    return (slice(top, bottom), slice(left, right)), shade


def _cast(
    actor: Actor, at: tuple[float, float], scale: float, width: float, sun: float, tall: float, small: tuple[int, int]
) -> np.ndarray:
    alpha = actor.levels[min(2, len(actor.levels) - 1)][..., 3]
    per = actor.levels[0].shape[0] / alpha.shape[0]
    forward = np.array([[width, -sun * 0.5], [0.0, _FLAT]]) * scale / _SHRINK  # up in the cut-out: away, on the floor
    matrix = np.zeros((2, 3))
    matrix[:, :2] = forward * per
    matrix[:, 2] = np.array(at) / _SHRINK - forward @ np.array(actor.anchor)
    laid = cv2.warpAffine(alpha, matrix, small, flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    return _CAST * cv2.GaussianBlur(laid, (0, 0), max(0.8, 0.02 * tall / _SHRINK))


def _contact(
    actor: Actor, at: tuple[float, float], scale: float, width: float, tall: float, small: tuple[int, int]
) -> np.ndarray:
    shade = np.zeros((small[1], small[0]), np.float32)
    first, last = (np.array(actor.foot_px) - actor.anchor[0]) * scale * width
    centre = (at[0] + (first + last) / 2, at[1] - 0.012 * tall)
    axes = (abs(last - first) / 2 + 0.03 * tall, 0.14 * abs(last - first) / 2 + 0.02 * tall)
    points = cv2.ellipse2Poly(
        tuple(round(v / _SHRINK) for v in centre), tuple(max(1, round(v / _SHRINK)) for v in axes), 0, 0, 360, 12
    )
    cv2.fillConvexPoly(shade, points, 1.0)
    return _CONTACT * cv2.GaussianBlur(shade, (0, 0), max(0.7, 0.014 * tall / _SHRINK))
