"""When and what the feature memory stores, erases and trusts: pure functions of numbers.

After MAMBA (Sun et al., AAAI 2021, sections 3.2 to 3.4): random cells inside detected boxes are stored, as
many random vectors are erased as arrive once the bank is full, and a small random key set is drawn for each
frame. The location prior and the judgement of a frame's quality are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FeatureMemoryConfig:
    """How large the memory is and how much it is trusted."""

    budget_bytes: int = 8 << 20  # all levels together; larger remembers more looks, costs memory, not time
    keys: int = 200  # vectors drawn for each read; more costs time, 200 did as well as 1,000
    heads: int = 16  # each compares its own slice of the channels
    sharpness: float = 30.0  # of the attention; lower averages over many keys, higher copies the nearest
    blend: float = 0.5  # share of the remembered vector in an enhanced cell; 0 turns the pixel levels off
    cells_per_box: int = 100  # random cells stored for each detected box and frame
    max_things: int = 64  # expected things at a time; more are dropped, the longest unseen first
    recall: float = 0.9  # trust in an expected thing at its expected place; 0 turns the instance level off
    recall_decay: float = 0.9  # each degraded frame in a row multiplies the trust by this
    min_overlap: float = 0.3  # an anchor that fits the expected place less than this IoU is about something else
    max_missed: int = 2  # clean frames without the thing before it is no longer expected
    max_missed_degraded: int = 6  # degraded frames without it


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


def score_recall(
    overlap: np.ndarray, unseen_reads: int, strength: float, decay: float, min_overlap: float
) -> np.ndarray:
    """How much of the remembered class evidence an anchor takes over, 0 to 1.

    Args:
        overlap: (A,) IoU of each anchor's box with the place where the thing is expected.
        unseen_reads: degraded frames since the thing was last seen clearly.
        strength: 1 takes the memory's word at a perfect fit, 0 ignores it.
        decay: each degraded frame multiplies the trust by this.
        min_overlap: below it the anchor is about something else.
    """
    return np.where(overlap > min_overlap, strength * overlap * decay**unseen_reads, 0.0)
