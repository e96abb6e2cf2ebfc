"""Layers of a made-up clip: pictures on their paths, drawn one over the other with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.training.motion import Course, warp_maps

_VOID = 255  # label of pixels without truth


@dataclass(frozen=True)
class Shadow:
    """The outline once more, moved and blurred: `right`, `down`, `blur` in canvas pixels, `depth` 1 for black."""

    right: float
    down: float
    blur: float
    depth: float


@dataclass(frozen=True)
class Layer:
    """A picture on its path.

    Args:
        image: (h, w, 3) uint8.
        alpha: (h, w) uint8, 255 where the layer covers what lies below; None for a background.
        targets: (h, w) uint8 masks (0 or 255) of what is followed in this layer.
        path: of the layer.
        shown: (T,) bool, False while it is away.
        slide: (T, 2) source pixels by which the image, not the outline, has moved; None: not at all.
        shadow: which this cut-out casts; None: none.
        void: (h, w) uint8 0 or 255 of a background, where nobody knows what it shows; None: nowhere.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    targets: tuple[np.ndarray, ...]
    path: Course
    shown: np.ndarray
    slide: np.ndarray | None = None
    shadow: Shadow | None = None
    void: np.ndarray | None = None


def draw(layers: Sequence[Layer], index: int, size_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame `index` of layers, the lowest first, which is a background.

    Returns:
        (S, S, 3) float32 RGB, (N, S, S) bool masks of all layers' targets, apart, and (S, S) bool, where the truth is
        not known.
    """
    canvas: np.ndarray | None = None
    labels, next_label = np.zeros((size_px, size_px), np.uint8), 1
    for layer in layers:
        map_x, map_y = warp_maps(layer.path, index)
        image = _moved_image(layer, index, map_x, map_y)
        if layer.alpha is None:
            canvas = image.astype(np.float32)
        elif layer.shown[index]:
            alpha = cv2.remap(layer.alpha, map_x, map_y, cv2.INTER_LINEAR)
            if layer.shadow is not None:
                canvas *= _shade(alpha, layer.shadow)
            share = (alpha * np.float32(1 / 255))[..., None]
            canvas += share * (image - canvas)
            labels[alpha > 127] = 0
        border = cv2.BORDER_REFLECT if layer.alpha is None else cv2.BORDER_CONSTANT
        if layer.void is not None:
            labels[cv2.remap(layer.void, map_x, map_y, cv2.INTER_LINEAR, borderMode=border) > 127] = _VOID
        for target in layer.targets:
            if layer.shown[index]:
                labels[cv2.remap(target, map_x, map_y, cv2.INTER_LINEAR, borderMode=border) > 127] = next_label
            next_label += 1
    return canvas, np.stack([labels == label for label in range(1, next_label)]), labels == _VOID


def _moved_image(layer: Layer, index: int, map_x: np.ndarray, map_y: np.ndarray) -> np.ndarray:
    mode = cv2.BORDER_REFLECT if layer.alpha is None else cv2.BORDER_REPLICATE
    if layer.slide is not None:
        right, down = layer.slide[index].astype(np.float32)
        map_x, map_y, mode = map_x + right, map_y + down, cv2.BORDER_REFLECT
    return cv2.remap(layer.image, map_x, map_y, cv2.INTER_LINEAR, borderMode=mode)


def _shade(alpha: np.ndarray, shadow: Shadow) -> np.ndarray:
    """(S, S, 1) float32 factors of the light that reaches what lies below a layer of (S, S) uint8 alpha."""
    move = np.array([[1.0, 0.0, shadow.right], [0.0, 1.0, shadow.down]])
    moved = cv2.GaussianBlur(cv2.warpAffine(alpha, move, alpha.shape[::-1]), (0, 0), shadow.blur)
    return (1.0 - moved * np.float32(shadow.depth / 255))[..., None]
