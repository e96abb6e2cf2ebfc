"""When and what the feature memory stores, erases and trusts: settings, limits, and pure functions of numbers.

After MAMBA (Sun et al., AAAI 2021, 2401.09923, sections 3.2 to 3.4): random cells inside detected boxes are stored, as
many random vectors are erased as arrive once the memory is full, and a small random key set is drawn for each frame.
The prior by place is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamvos.config import Settings, setting

HEADS = 16  # each compares its own slice of the channels; as published
CELLS_PER_BOX = 100  # random cells stored of each detected box and frame; as published

# Ours, chosen with `blend` and `recall` on four real clips with bursts of blur, noise and darkness, and checked on
# three others (docs/architecture.md, "Detect"); not swept one by one.
SHARPNESS = 30.0  # of the attention; lower averages over many keys, higher copies the nearest
RECALL_DECAY = 0.9  # each detector run since an instance was last found on a clean frame multiplies the trust by this
MIN_OVERLAP = 0.3  # IoU with the expected place at which a box, or an anchor, is about the instance
MAX_MISSED = 2  # detector runs on clean frames without the instance until it is no longer expected
MAX_MISSED_DEGRADED = 6  # the same on degraded frames, which hide instances that are there


@dataclass(frozen=True)
class FeatureMemoryConfig(Settings, at="detect.features"):
    """How much the feature memory remembers, and how much it is trusted; its bytes are `memory.features_mib`."""

    keys: int = setting(200, "vectors drawn for each read; more takes longer, 1,000 did no better", low=1)
    blend: float = setting(
        0.5, "share of the remembered vector in an enhanced cell; 0: no vectors are kept", low=0, high=1
    )
    recall: float = setting(0.9, "trust in an instance at its expected place; 0: no places are expected", low=0, high=1)
    max_instances: int = setting(64, "instances expected at a time; beyond, those unseen for longest go", low=1)


def generator(seed: int, frame_index: int, purpose: int) -> np.random.Generator:
    """The random numbers of one decision; a function of seed and frame, so that nothing hangs on history."""
    return np.random.default_rng([seed, frame_index, purpose])


def draw_rows(rng: np.random.Generator, used: int, count: int) -> np.ndarray:
    """`count` different rows out of `used`, all of them where there are fewer; ascending."""
    if count >= used:
        return np.arange(used)
    return np.sort(rng.choice(used, count, replace=False))


def cells_of_boxes(
    rng: np.random.Generator, boxes_xyxy: np.ndarray, size: tuple[int, int], grid: tuple[int, int], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Random cells of a feature map inside boxes, each cell once.

    Args:
        boxes_xyxy: (M, 4) float32 pixels, best first; a cell under two boxes goes to the better one.
        size: (H, W) of the frame in pixels.
        grid: (h, w) cells of the map.
        count: at most so many cells for each box.

    Returns:
        (K,) flat cell numbers and (K,) the box row each belongs to. A box too small to hold a cell's centre
        takes the cell that its own centre lies in.
    """
    height, width = grid
    scale = np.array([width / size[1], height / size[0]] * 2)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    owner = np.full(height * width, -1, np.int64)
    for box_row, (left, top, right, bottom) in enumerate(boxes_xyxy * scale):
        inside = ((rows >= top) & (rows < bottom))[:, None] & ((columns >= left) & (columns < right))[None]
        cells = np.flatnonzero(inside)
        if not len(cells):
            row = int(np.clip((top + bottom) / 2, 0, height - 1))
            cells = np.array([row * width + int(np.clip((left + right) / 2, 0, width - 1))])
        cells = cells[draw_rows(rng, len(cells), count)]
        owner[cells[owner[cells] < 0]] = box_row
    cells = np.flatnonzero(owner >= 0)
    return cells, owner[cells]


def score_recall(overlap: np.ndarray, unclear_runs: int, strength: float) -> np.ndarray:
    """How much of the remembered class evidence an anchor takes over, 0 to 1.

    Args:
        overlap: (A,) IoU of each anchor's box with the place where the instance is expected.
        unclear_runs: detector runs since the instance was last found on a clean frame.
        strength: 1 takes the memory's word at a perfect fit, 0 ignores it.
    """
    return np.where(overlap > MIN_OVERLAP, strength * overlap * RECALL_DECAY**unclear_runs, 0.0)


def max_missed(degraded: bool) -> int:
    """Detector runs in a row that may miss an instance which is still expected."""
    return MAX_MISSED_DEGRADED if degraded else MAX_MISSED
