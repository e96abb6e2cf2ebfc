"""What a shaking or poor camera does to a picture, at three strengths; and bursts of it in a made-up clip.

The picture functions are those of the composed benchmark (`eval compose`), which takes them from here.
"""

from __future__ import annotations

import cv2
import numpy as np

PICTURE_KINDS = ("motion_blur", "defocus", "noise", "dark", "compression")
STRENGTHS = (1, 2, 3)
_BLUR_PX = (9, 17, 29)  # length of the smear in a picture of 480 rows
_DEFOCUS_PX = (2.0, 4.0, 7.0)  # radius of the disk, likewise
_NOISE = (12.0, 24.0, 40.0)  # standard deviation in grey levels
_DARK = (0.5, 0.3, 0.16)  # of the light is left
_QUALITY = (18, 9, 4)  # of JPEG


def degrade_picture(
    image: np.ndarray, kind: str, strength: int, angle: float, ease: float, rng: np.random.Generator
) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB as a bad camera gives it.

    Args:
        kind: one of `PICTURE_KINDS`. strength: one of `STRENGTHS`.
        angle: direction of a smear in rad. ease: from 0 (half the strength) to 1. rng: of noise.
    """
    row, unit = strength - 1, image.shape[0] / 480
    ease = 0.5 + 0.5 * ease
    if kind == "motion_blur":
        return cv2.filter2D(image, -1, _smear(_BLUR_PX[row] * unit * ease, angle), borderType=cv2.BORDER_REFLECT)
    if kind == "defocus":
        return cv2.filter2D(image, -1, _disk(_DEFOCUS_PX[row] * unit * ease), borderType=cv2.BORDER_REFLECT)
    if kind == "noise":
        return _noisy(image.astype(np.float32), _NOISE[row] * ease, rng)
    if kind == "dark":
        level = 1 - (1 - _DARK[row]) * ease
        return _noisy(image.astype(np.float32) * level, 2.0 + 2.5 * row, rng)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY[row]]
    packed = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1]
    return cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def degrade_clip(rng: np.random.Generator, frames: np.ndarray, truths: tuple[np.ndarray, ...]) -> None:
    """Spoil a burst of a clip in place: its (T, H, W, 3) frames and, where it freezes, its truths (T, ...) as well.

    A frozen frame repeats the one before with its truth: what a picture shows is what is true of it.
    """
    kind = str(rng.choice([*PICTURE_KINDS, "frozen"]))
    strength, angle = int(rng.choice(STRENGTHS)), float(rng.uniform(0, np.pi))
    start = int(rng.integers(0 if kind != "frozen" and rng.random() < 0.25 else 1, len(frames)))
    stop = int(rng.integers(start, len(frames))) + 1
    if kind == "frozen":
        for values in (frames, *truths):
            values[start:stop] = values[start - 1]
        return
    for index in range(start, stop):
        ease = float(np.sin(np.pi * (index - start + 0.5) / (stop - start)))
        frames[index] = degrade_picture(frames[index], kind, strength, angle + 0.08 * index, ease, rng)


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
