"""What a tracker tells and asks its key-frame memory: which views to read, and whether look-alikes are about."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

LOOK_ALIKE = 0.5  # distractor score from which something looks like the object, as in the `smart` policy
_BEST_CELLS = 20  # of the frame, whose similarity to a view counts: as many as vote in the embedded tracker
_REACH = 0.5  # of an object's side: what is that near is its own rim, and so large are regions that are compared


def similarity_of_views(descriptors: np.ndarray, cells: torch.Tensor) -> np.ndarray:
    """How well what a view shows can be seen in a frame, wherever it is there.

    Args:
        descriptors: (n, C) float32 unit vectors of the views' objects.
        cells: (C, h, w) unit keys of the frame.

    Returns:
        (n,) float32: mean cosine to the best cells.
    """
    cosines = torch.from_numpy(descriptors).to(cells.device) @ cells.flatten(1)
    best = cosines.topk(min(_BEST_CELLS, cosines.shape[1]), dim=1).values
    return best.mean(dim=1).cpu().numpy()


def distractor_score(scores: np.ndarray, own: np.ndarray) -> float:
    """How much something else in the frame looks like an object: its best region elsewhere, by its own.

    The idea of DAM4SAM (Videnovic et al., CVPR 2025), which compares masks; here, scores of the object's own head.

    Args:
        scores: (h, w) float32 of each cell, about 1 on the object and 0 off it.
        own: (h, w) bool, the object's cells.

    Returns:
        0 where nothing does, 1 where something does as much as the object itself.
    """
    if not own.any():
        return 0.0
    side = float(np.sqrt(own.sum()))
    reach = max(1, round(_REACH * side))
    regional = cv2.blur(scores, (reach, reach), borderType=cv2.BORDER_REPLICATE)
    near = cv2.dilate(own.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)) > 0
    best = float(regional[own].max())
    if near.all() or best <= 0:
        return 0.0
    return float(np.clip(regional[~near].max() / best, 0.0, 1.0))


def near_cells(mask: torch.Tensor, rim: int) -> torch.Tensor:
    """(h, w) bool at stride 16: the cells of an (h4, w4) mask at stride 4, and `rim` cells around.

    What a later view says of an object stands there; what it says of the rest, the first view and the frame before say
    as well. Reading these cells alone makes eight views as cheap as two.
    """
    cells = functional.max_pool2d((mask > 0.5).float()[None, None], 4)
    return functional.max_pool2d(cells, 2 * rim + 1, stride=1, padding=rim)[0, 0] > 0
