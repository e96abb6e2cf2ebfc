"""How the objects of a strong tracker look, in that tracker's own features.

Cutie and SAM 2 keep memories of their own. What stands above them (re-identification, choice of a candidate mask)
needs a vector for each remembered view: the mean feature under the mask. The first view of an object stays, of the
others the latest; a fixed number of bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

# Of the setting that all such trackers have: what it does.
MAX_DESCRIPTORS = "remembered looks of an object, for recognition; more tells apart more views, and costs little"
_SAME_LOOK = 0.98  # cosine above which a view tells nothing new: neighbouring frames of one object are beyond it
_LEAST_SPREAD = 1e-3  # added to a channel's spread: 0, not NaN, where there is one cell


class Descriptors:
    """(n, C) unit vectors of each object.

    Args:
        max_per_object: views kept; more tells apart more looks of an object, and costs little.
    """

    def __init__(self, max_per_object: int) -> None:
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
    maps = maps / (maps.std(dim=(1, 2), correction=0, keepdim=True) + _LEAST_SPREAD)
    mean = (functional.normalize(maps, dim=0) * share).sum(dim=(1, 2))
    return functional.normalize(mean, dim=0).cpu().numpy()
