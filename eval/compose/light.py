"""Brightness, colour, sharpness and noise of a background, taken over by what is put into it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_GRID = (20, 15)  # cells over which the background's colours are averaged


@dataclass(frozen=True)
class Look:
    """What a camera does to its pictures.

    Args:
        noise: standard deviation of pixel noise, in grey levels. detail: mean difference between a picture and its
            blurred copy where that is largest; a sharp picture has more.
        white: (3,) colour of the light, mean 1.
    """

    noise: float
    detail: float
    white: np.ndarray


def look_of(images: tuple[np.ndarray, ...]) -> Look:
    """Measure a few pictures."""
    some = [images[i] for i in np.linspace(0, len(images) - 1, 5).astype(int)]
    noises, details = [], []
    for image in some:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        laplace = cv2.filter2D(grey, -1, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32))
        noises.append(float(np.median(np.abs(laplace))) / 0.6745 / 6)  # Immerkaer 1996, with a median
        details.append(detail_of(grey, None))
    whites = np.mean([np.percentile(image.reshape(-1, 3), 75, axis=0) for image in some], axis=0)
    return Look(float(np.median(noises)), float(np.median(details)), whites / max(1.0, whites.mean()))


def detail_of(grey: np.ndarray, inside: np.ndarray | None) -> float:
    """How much a float32 grey picture changes over a pixel, at its strongest edges, as a share of their contrast."""
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    coarse = np.abs(cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 3.0)) + 1
    if inside is not None:
        fine, coarse = fine[inside], coarse[inside]
    if not fine.size:
        return 0.0
    strong = coarse >= np.percentile(coarse, 85)
    return float(fine[strong].mean() / coarse[strong].mean())


def blur_to_match(grey: np.ndarray, inside: np.ndarray, wanted: float) -> float:
    """Sigma of the blur that makes a sharp thing as soft as its background; 0 where it is soft already."""
    for sigma in (0.0, 0.5, 0.7, 0.9, 1.2):
        blurred = grey if not sigma else cv2.GaussianBlur(grey, (0, 0), sigma)
        if detail_of(blurred, inside) <= 1.05 * wanted:
            return sigma
    return 1.2


def local_light(image: np.ndarray) -> np.ndarray:
    """(15, 20, 3) float32 mean colours of the parts of a picture."""
    return cv2.GaussianBlur(cv2.resize(image, _GRID, interpolation=cv2.INTER_AREA).astype(np.float32), (0, 0), 1.5)


def gains(
    light: np.ndarray, at: tuple[float, float], mean: np.ndarray, brightest: float, white: np.ndarray
) -> np.ndarray:
    """(3,) factors for an object of mean colour `mean` at `at` (shares of width and height).

    `brightest` is a grey level that stays below white.

    Brightness goes half the way (in the logarithm) to that of its surroundings, so that a white dog stays a white dog;
    colour takes a part of the light's.
    """
    col = int(np.clip(at[0] * _GRID[0], 0, _GRID[0] - 1))
    row = int(np.clip(at[1] * _GRID[1], 0, _GRID[1] - 1))
    around = 0.6 * light[row, col].mean() + 0.4 * light.mean()
    most = float(np.clip(235 / max(brightest, 1.0), 1.0, 1.35))  # nothing burns out
    level = float(np.clip((around / max(20.0, mean.mean())) ** 0.42, 0.5, most))
    return (level * white**0.6).astype(np.float32)
