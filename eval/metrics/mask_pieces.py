"""Whether a mask is one thing by its form: pieces that count, and how far they lie from each other."""

from __future__ import annotations

import cv2
import numpy as np

PIECE = 0.15  # of the mask; a smaller piece is a hand beyond a table's edge, or noise
FAR = 0.5  # of the side of a square as large as the mask: nearer pieces are parted by a pole or a lead
HIDDEN = 0.5  # share of the way between two pieces that other objects' masks must cover to be what parts them


def far_pieces(mask: np.ndarray, in_front: np.ndarray) -> int:
    """In how many groups the large pieces of a mask fall, where near ones are one group.

    Args:
        mask: (H, W) bool.
        in_front: (H, W) bool, other objects; pieces with these on the way between them are one group.

    Returns:
        0 for an empty mask, 1 for a whole one.
    """
    area = np.count_nonzero(mask)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = [label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= PIECE * area]
    group = {label: label for label in large}
    for place, label in enumerate(large[:-1]):
        # distance of each pixel to this piece, and which of the piece's pixels is the nearest
        distance, nearest = cv2.distanceTransformWithLabels(
            (labels != label).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        for other in large[place + 1 :]:
            outside = np.where(labels == other, distance, np.inf)
            end = np.unravel_index(outside.argmin(), outside.shape)
            near = outside[end] <= FAR * np.sqrt(area)
            if near or _is_hidden(np.argwhere(nearest == nearest[end]), labels == label, end, in_front):
                old, new = group[other], group[label]
                group = {key: new if value == old else value for key, value in group.items()}
    return len(set(group.values())) or min(1, area)


def _is_hidden(cell: np.ndarray, piece: np.ndarray, end: tuple[np.intp, ...], in_front: np.ndarray) -> bool:
    """Whether the straight way from a piece to `end` is mostly covered; its nearest pixel is in `cell`, (P, 2)."""
    start = next(point for point in cell if piece[tuple(point)])
    steps = int(np.abs(start - np.array(end)).max())
    way = np.round(np.linspace(start, end, steps + 1)).astype(int)[1:-1]
    return bool(len(way)) and in_front[tuple(way.T)].mean() >= HIDDEN
