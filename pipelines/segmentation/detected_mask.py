"""The mask of what a detector's box shows."""

from __future__ import annotations

import numpy as np

from pipelines.refiners.first_mask import explains, first_mask
from pipelines.refiners.protocol import Refiner
from pipelines.segmentation.mask_maps import without_far_parts
from streamvos.records import Frame, Prompt

NOT_EXPLAINED = "no mask fills what was detected"


def detected_mask(frame: Frame, box_xyxy: np.ndarray, refiner: Refiner) -> np.ndarray | None:
    """(H, W) bool mask of the thing in a (4,) box, without what lies far from it; None where nothing fills the box."""
    prompt = Prompt(frame.index, 1, box=box_xyxy)
    mask = without_far_parts(first_mask(frame.image, prompt, refiner, quick=True))
    return mask if explains(mask, box_xyxy) else None
