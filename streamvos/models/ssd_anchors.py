"""Anchors of the SSD detector.

After the TensorFlow object detection API (multiple grid anchor generator with a reduced lowest layer), as
ssd_mobilenet_v2_coco is configured.
"""

from __future__ import annotations

import math

import numpy as np

GRIDS = (19, 10, 5, 3, 2, 1)  # cells on a side, one for each of the six maps
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)


def anchors() -> np.ndarray:
    """The (1917, 4) float32 anchors: centre y, centre x, height, width, in units of the picture's side."""
    blocks = []
    for level, grid in enumerate(GRIDS):
        scale, after = _SCALES[level], _SCALES[level + 1]
        if level == 0:  # the first map has three, the smallest of half scale
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [(scale, ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            shapes.append((math.sqrt(scale * after), 1.0))
        sizes = np.array([(size / math.sqrt(ratio), size * math.sqrt(ratio)) for size, ratio in shapes])
        centres = (np.arange(grid) + 0.5) / grid
        block = np.empty((grid, grid, len(shapes), 4))
        block[..., 0] = centres[:, None, None]
        block[..., 1] = centres[None, :, None]
        block[..., 2:] = sizes
        blocks.append(block.reshape(-1, 4))
    return np.concatenate(blocks).astype(np.float32)
