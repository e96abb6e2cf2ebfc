"""When a view of an object becomes a key frame, and which key frame goes when the memory is full.

Pure functions of numbers; `memory_bank.keyframes` does what they decide. The write rule joins what HQ-SMem asks
for (relevant, not redundant) with DAM4SAM's conditions (confident, stable area, some frames apart); the
eviction rule drops the most redundant view, as HQ-SMem says, or the oldest, as STM does (`fifo`, the control).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streamvos.errors import unknown_name


@dataclass(frozen=True)
class WriteRule:
    """What a view must show to become a key frame."""

    min_confidence: float = 0.8  # mean probability inside the mask; higher keeps doubtful views out
    min_area_ratio: float = 0.6  # of the recent median area; higher refuses half-hidden views
    max_area_ratio: float = 1.67  # lower refuses masks that have leaked
    min_gap_frames: int = 5  # larger spreads the key frames in time
    min_novelty: float = 0.004  # 1 - cosine to the nearest key frame; larger stores fewer, more different views


@dataclass(frozen=True)
class View:
    """What the write rule knows of a view.

    Args:
        area_px: of the mask.
        confidence: mean probability inside the mask.
        area_ratio: area by the recent median area.
        gap_frames: frames since the object's last key frame.
        novelty: 1 - cosine of the appearance to the nearest key frame's.
    """

    area_px: int
    confidence: float
    area_ratio: float
    gap_frames: int
    novelty: float


def judge_write(view: View, rule: WriteRule) -> tuple[bool, str]:
    """Whether a view becomes a key frame, and why."""
    if view.area_px == 0:
        return False, "not visible"
    if view.gap_frames < rule.min_gap_frames:
        return False, f"{view.gap_frames} frames since the last key frame < {rule.min_gap_frames}"
    if view.confidence < rule.min_confidence:
        return False, f"confidence {view.confidence:.2f} < {rule.min_confidence:.2f}"
    if not rule.min_area_ratio <= view.area_ratio <= rule.max_area_ratio:
        low, high = rule.min_area_ratio, rule.max_area_ratio
        return False, f"area {view.area_ratio:.2f} of the recent median, outside {low:.2f}-{high:.2f}"
    if view.novelty < rule.min_novelty:
        return False, f"novelty {view.novelty:.3f} < {rule.min_novelty:.3f}"
    return (
        True,
        f"confidence {view.confidence:.2f}, area ratio {view.area_ratio:.2f}, novelty {view.novelty:.3f}",
    )


Eviction = Callable[[np.ndarray, np.ndarray], tuple[int, str]]


def drop_oldest(frame_indices: np.ndarray, descriptors: np.ndarray) -> tuple[int, str]:
    """First in, first out."""
    row = int(np.argmin(frame_indices))
    return row, f"oldest of {len(frame_indices)}"


def drop_most_redundant(frame_indices: np.ndarray, descriptors: np.ndarray) -> tuple[int, str]:
    """The view most like another one; of the closest pair, the older.

    Args:
        frame_indices: (n,) int, when each view was seen.
        descriptors: (n, C) unit vectors of appearance.
    """
    if len(frame_indices) == 1:
        return 0, "the only one"
    similarity = descriptors @ descriptors.T
    np.fill_diagonal(similarity, -np.inf)
    first, second = np.unravel_index(np.argmax(similarity), similarity.shape)
    row = int(min(first, second, key=lambda index: frame_indices[index]))
    other = int(second if row == first else first)
    return row, f"similarity {similarity[first, second]:.3f} to frame {frame_indices[other]}"


EVICTIONS: dict[str, Eviction] = {"smart": drop_most_redundant, "fifo": drop_oldest}


def eviction(name: str) -> Eviction:
    """The eviction rule of a policy; raises `InputError` that lists the valid names."""
    if name not in EVICTIONS:
        raise unknown_name("key-frame policy", name, EVICTIONS)
    return EVICTIONS[name]
