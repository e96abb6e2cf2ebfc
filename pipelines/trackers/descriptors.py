"""How the objects of a strong tracker look, in that tracker's own features; and the checks that they share.

Cutie and SAM 2 keep memories of their own. What stands above them (re-identification, likeness of a candidate mask)
needs a vector for each remembered view: the mean feature under the mask. The first view of an object stays, of the
others the latest; a fixed number of bytes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from streamvos.errors import InputError

_SAME_LOOK = 0.98  # cosine above which a view tells nothing new
MIN_CELL_SHARE = 0.02  # of a feature cell that a first mask must cover somewhere


class Descriptors:
    """(n, C) unit vectors of each object.

    Args:
        max_per_object: views kept; more tells apart more looks of an object, and costs little.
    """

    def __init__(self, max_per_object: int) -> None:
        if max_per_object < 1:
            raise InputError(f"max_descriptors: expected at least 1, got {max_per_object}")
        self._max_per_object = max_per_object
        self.reset()

    def reset(self) -> None:
        self._views: dict[int, list[np.ndarray]] = {}

    def add(self, object_id: int, descriptor: np.ndarray) -> None:
        """Remember a view that is not like one that is known; the oldest after the first makes room."""
        views = self._views.setdefault(object_id, [])
        if any(float(view @ descriptor) > _SAME_LOOK for view in views):
            return
        if len(views) == self._max_per_object:
            del views[min(1, len(views) - 1)]
        views.append(descriptor)

    def of(self, object_id: int) -> np.ndarray:
        """(n, C) float32 in the order in which they were seen; (0, 0) where the object is unknown."""
        views = self._views.get(object_id)
        return np.stack(views) if views else np.zeros((0, 0), np.float32)

    def remove(self, object_id: int) -> None:
        self._views.pop(object_id, None)

    def bytes(self) -> int:
        return sum(view.nbytes for views in self._views.values() for view in views)

    def state_dict(self) -> dict[str, Any]:
        return {"views": {object_id: self.of(object_id) for object_id in self._views}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._views = {object_id: [view.copy() for view in views] for object_id, views in state["views"].items()}


def mean_descriptor(features: torch.Tensor, share: torch.Tensor) -> np.ndarray:
    """(C,) float32 unit vector: the mean of (C, h, w) features under (h, w) shares of a mask; 0 under an empty one.

    Each channel is standardised over the frame first, so that what all frames have in common does not count.
    """
    maps = features.float()
    maps = maps - maps.mean(dim=(1, 2), keepdim=True)
    maps = maps / (maps.std(dim=(1, 2), correction=0, keepdim=True) + 1e-3)  # 0, not NaN, where there is one cell
    mean = (functional.normalize(maps, dim=0) * share).sum(dim=(1, 2))
    return functional.normalize(mean, dim=0).cpu().numpy()


def check_size(size: int) -> None:
    """Refuse a working short side that no network of ours can use."""
    if size < 32:
        raise InputError(f"size: expected a working short side of at least 32 pixels, got {size}")


def check_frame(image: np.ndarray, full: tuple[int, int] | None) -> tuple[int, int]:
    """The (H, W) of a frame; raises `InputError` where it is not that of the frames before."""
    if full is not None and image.shape[:2] != full:
        raise InputError(
            f"frame size changed from {full} to {image.shape[:2]} (height, width) within a stream; "
            "start a new session for the new size"
        )
    return image.shape[:2]


def check_mask(object_id: int, mask: np.ndarray, full: tuple[int, int], cells: tuple[int, int], size: int) -> None:
    """Refuse a first mask of another size than the frame, or one that hardly touches any of the feature cells."""
    if mask.shape != full:
        raise InputError(f"mask of object {object_id}: expected size {full}, got {mask.shape}")
    if cv2.resize(mask.astype(np.float32), cells[::-1], interpolation=cv2.INTER_AREA).max() < MIN_CELL_SHARE:
        raise InputError(
            f"mask of object {object_id}: {int(mask.sum())} pixels are too few to follow at a working size of "
            f"{size}; give a larger mask or a larger working size (setting size)"
        )
