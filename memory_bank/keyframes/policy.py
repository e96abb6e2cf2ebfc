"""When a view of an object becomes a key frame, and which key frame goes when there is no room: what policies share.

HQ-SMem (Kazemi et al., 2025) asks for a memory that keeps what is relevant and drops what is redundant (`smart.py`);
the published rules that it is compared with are in `published.py`. A policy is a table of its settings with two pure
decisions, `judge` and `drop`; `memory.py` does what they decide and keeps the first, confirmed view of each object. At
equal bytes all policies have the same number of slots; where a paper has another size, ours holds. Views are offered
when the tracker learns, which is every few frames: a gap is rounded up to the next offer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from streamvos.config import Settings
from streamvos.registry import Registry


@dataclass(frozen=True)
class View:
    """What a policy knows of a view that is offered.

    Args:
        area_px: of the mask.
        confidence: mean probability inside the mask.
        area_ratio: area by the recent median area.
        gap_frames: frames since the object's last key frame.
        novelty: 1 - cosine of the appearance to the nearest key frame's.
        similarity: cosine to the object's first view.
        nearest_other: the highest cosine to another object's first view, 0 where there is none.
        distractor: how much something else in the frame looks like the object, from 0 to 1 (as much as itself).
    """

    area_px: int
    confidence: float
    area_ratio: float
    gap_frames: int
    novelty: float
    similarity: float = 1.0
    nearest_other: float = 0.0
    distractor: float = 0.0


@dataclass(frozen=True)
class KeptViews:
    """What a policy knows of the n key frames of an object that may be dropped; those that stay are `fixed`.

    Args:
        frame_indices: (n,) int, when each was seen.
        descriptors: (n, C) unit vectors of appearance.
        anchors: (n,) bool, written as anchors.
        attention: (n,) mean share of the tracker's attention that each received when it was read, 0 where never.
        num_reads: (n,) int, how often each was read.
        now: (C,) unit vector, how the object looks now.
        fixed: (m, C) unit vectors of the views that stay.
    """

    frame_indices: np.ndarray
    descriptors: np.ndarray
    anchors: np.ndarray
    attention: np.ndarray
    num_reads: np.ndarray
    now: np.ndarray
    fixed: np.ndarray

    def __len__(self) -> int:
        return len(self.frame_indices)


@dataclass(frozen=True)
class WriteDecision:
    """Whether a view becomes a key frame, why (after "because"), with which numbers, and whether as an anchor."""

    taken: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    anchor: bool = False


class Drop(NamedTuple):
    """Which key frame goes (its row), why (after "because"), and with which numbers."""

    row: int
    reason: str
    numbers: Mapping[str, float]


class KeyFramePolicy(Settings, ABC):
    """A rule for writing and a rule for dropping; its fields are its settings.

    `reads_attention`: whether `drop` looks at the attention that views received; where not, nobody need measure it.
    """

    reads_attention: ClassVar[bool] = False

    def trusts(self, view: View) -> bool:
        """Whether a view is the object's at all, so that its appearance may be learned; unless said otherwise it is."""
        return True

    @abstractmethod
    def judge(self, view: View) -> WriteDecision:
        """Whether a view that nobody confirms is written."""

    @abstractmethod
    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        """What must go before a view is written; None where there is room.

        Args:
            kept: what may be dropped, at least one where `num_slots` is reached.
            is_anchor: whether the view to come is an anchor.
            num_slots: how many views that may be dropped the object may hold.
        """


POLICIES: Registry[type[KeyFramePolicy]] = Registry("key-frame policy")


def choose_views(num_views: int, max_read: int, similarity: np.ndarray | None = None) -> np.ndarray:
    """Which of an object's views to read: the first, and the latest or, by `similarity`, those most like now.

    Args:
        num_views: how many there are, in ascending frame order.
        max_read: how many to read at most, at least 1.
        similarity: (num_views,) of each to what is seen now.

    Returns:
        Ascending rows, (k,) int64.
    """
    rows = np.arange(1, num_views)
    if similarity is not None:
        rows = rows[np.argsort(similarity[1:], kind="stable")]
    kept = rows[max(0, len(rows) - (max_read - 1)) :]
    return np.sort(np.concatenate([np.arange(min(1, num_views)), kept]))


def refuse_unseen(view: View) -> WriteDecision | None:
    """The decision over a view that shows nothing; None over others."""
    return None if view.area_px else WriteDecision(False, "it is not visible")


def refuse_soon(view: View, gap_frames: int) -> WriteDecision | None:
    """The decision over a view too soon after the last; None over others."""
    if view.gap_frames >= gap_frames:
        return None
    numbers = {"gap_frames": view.gap_frames, "min_gap_frames": gap_frames}
    return WriteDecision(False, "it is too soon after the last one", numbers)


def oldest(kept: KeptViews, rows: np.ndarray | None = None) -> Drop:
    """The oldest view, of all or of some rows."""
    rows = np.arange(len(kept)) if rows is None else rows
    return Drop(int(rows[np.argmin(kept.frame_indices[rows])]), "it is the oldest", {"candidates": len(rows)})
