"""What trackers refuse: frames of another size, and first masks that cannot be followed."""

from __future__ import annotations

import cv2
import numpy as np

from streamvos.errors import InputError

_LEAST_CELL_SHARE = 0.02  # of some feature cell that a first mask must cover, or a network sees nothing of it


def checked_size(image: np.ndarray, full: tuple[int, int] | None) -> tuple[int, int]:
    """The (H, W) of a frame; raises `InputError` where it is not that of the frames before."""
    if full is not None and image.shape[:2] != full:
        raise InputError(
            f"frame size changed from {full} to {image.shape[:2]} (height, width) within a stream; "
            "start a new session for the new size"
        )
    return image.shape[:2]


def expect_size(object_id: int, mask: np.ndarray, full: tuple[int, int]) -> None:
    """Refuse a mask of another size than the frame."""
    if mask.shape != full:
        raise InputError(f"mask of object {object_id}: expected size {full}, got {mask.shape}")


def too_small(object_id: int, mask: np.ndarray, size: int) -> InputError:
    """The error for a mask that is hardly anywhere at a working short side of `size`."""
    return InputError(
        f"mask of object {object_id}: {int(mask.sum())} pixels are too few to follow at a working size of "
        f"{size}; give a larger mask or a larger working size (setting size)"
    )


def check_mask(object_id: int, mask: np.ndarray, full: tuple[int, int], cells: tuple[int, int], size: int) -> None:
    """Refuse a first mask of another size than the frame, or one that hardly touches any of the feature cells."""
    expect_size(object_id, mask, full)
    if cv2.resize(mask.astype(np.float32), cells[::-1], interpolation=cv2.INTER_AREA).max() < _LEAST_CELL_SHARE:
        raise too_small(object_id, mask, size)
