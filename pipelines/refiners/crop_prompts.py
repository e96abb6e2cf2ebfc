"""Prompts of a mask and the crops that they are seen in: from the frame's pixels to the crop's, mirrored, scaled."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from pipelines.refiners.grabcut_parts import Window


class MaskPrompt(NamedTuple):
    """A prompt in pixels of the frame, or of a crop; see `Refiner.refine`."""

    box: np.ndarray | None = None
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    coarse: np.ndarray | None = None


def in_window(prompt: MaskPrompt, window: Window) -> MaskPrompt:
    """The same prompt in pixels of the crop."""
    box = None if prompt.box is None else window.to_small(prompt.box).astype(np.float32)
    points = None if prompt.points is None else window.points_to_small(prompt.points).astype(np.float32)
    coarse = prompt.coarse
    if coarse is not None:
        coarse = resized(coarse[window.rows, window.cols].astype(np.float32), window.small_size)
    return MaskPrompt(box, points, prompt.labels, coarse)


def mirror(prompt: MaskPrompt, width: int) -> MaskPrompt:
    """The same prompt in the mirrored crop."""
    box, points, coarse = prompt.box, prompt.points, prompt.coarse
    return MaskPrompt(
        None if box is None else np.array([width - box[2], box[1], width - box[0], box[3]], np.float32),
        None if points is None else np.stack([width - points[:, 0], points[:, 1]], axis=1),
        prompt.labels,
        None if coarse is None else np.ascontiguousarray(coarse[:, ::-1]),
    )


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w, ...) at (w, h) = `size`: averaged where it shrinks, smooth where it grows."""
    shrinks = picture.shape[0] * picture.shape[1] > size[0] * size[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def extent(points: np.ndarray) -> np.ndarray:
    """(4,) xyxy box around the pixels of (P, 2) points."""
    return np.concatenate([points.min(axis=0), points.max(axis=0) + 1]).astype(np.float32)


def union(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(4,) xyxy box around two boxes."""
    return np.concatenate([np.minimum(first[:2], second[:2]), np.maximum(first[2:], second[2:])])
