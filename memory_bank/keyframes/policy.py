"""When a view of an object becomes a key frame, and which key frame goes when there is no room: policies by name.

HQ-SMem (Kazemi et al., 2025) asks for a memory that keeps what is relevant and drops what is redundant (`smart`); the
published rules that it is compared with are in `published.py`. A policy is a frozen dataclass of its numbers with
two pure decisions, `judge` and `drop`; `memory.py` does what they decide and keeps the first, vouched view of each
object. At equal bytes all policies have the same number of slots; where a paper has another size, ours holds.
Views are offered when the tracker learns, which is every few frames: a gap is rounded up to the next offer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


@dataclass(frozen=True)
class View:
    """What a policy knows of a view that is offered.

    Args:
        area_px: of the mask.
        confidence: mean probability inside the mask.
        area_ratio: area by the recent median area.
        gap_frames: frames since the object's last key frame.
        novelty: 1 - cosine of the appearance to the nearest key frame's.
        likeness: cosine to the object's first view.
        rival: the highest cosine to another object's first view, 0 where there is none.
        distractor: how much something else in the frame looks like the object, from 0 to 1 (as much as itself).
    """

    area_px: int
    confidence: float
    area_ratio: float
    gap_frames: int
    novelty: float
    likeness: float = 1.0
    rival: float = 0.0
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


class Verdict(NamedTuple):
    """Whether a view becomes a key frame, why, and whether as an anchor."""

    taken: bool
    reason: str
    anchor: bool = False


class Drop(NamedTuple):
    """Which key frame goes (its row) and why."""

    row: int
    reason: str


class KeyFramePolicy(Protocol):
    """A rule for writing and a rule for dropping."""

    def trusts(self, view: View) -> bool:
        """Whether a view is the object's at all, so that its appearance may be learned; unless said otherwise it is."""
        return True

    def judge(self, view: View) -> Verdict:
        """Whether a view that nobody vouches for is written."""

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        """What must go before a view is written; None where there is room.

        Args:
            kept: what may be dropped, at least one where `num_slots` is reached.
            is_anchor: whether the view to come is an anchor.
            num_slots: how many views that may be dropped the object may hold.
        """


@dataclass(frozen=True)
class SmartPolicy(KeyFramePolicy):
    """`smart`, ours after HQ-SMem: what is visible, sure, stable, novel and surely the object; the most redundant goes.

    Changed: the conditions are DAM4SAM's and a novelty; so are anchors, which need no novelty, as what is new about
    them is what stands beside the object. A mask that has slid onto something else is as confident as any other; what
    tells it is that it looks like that, or unlike the first view, so such a view is not trusted, and neither written
    nor learned. A view is as redundant as it is like the nearest of the others: those that stay, and the one to come.
    Anchors go only to make room for anchors.
    """

    min_confidence: float = 0.8  # mean probability inside the mask; higher keeps doubtful views out
    min_area_ratio: float = 0.6  # of the recent median area; higher refuses half-hidden views
    max_area_ratio: float = 1.67  # lower refuses masks that have leaked
    min_gap_frames: int = 5  # larger spreads the key frames in time
    min_novelty: float = 0.004  # 1 - cosine to the nearest key frame; larger stores fewer, more different views
    min_likeness: float = 0.2  # to the first view; larger refuses strange views, and slides
    rival_margin: float = 0.1  # by which it must be more like its first view than like any other object's
    min_distractor: float = 0.5  # smaller makes anchors of more views
    max_anchors: int = 2  # of an object; larger leaves fewer slots for what it looks like

    def trusts(self, view: View) -> bool:
        return view.likeness >= self.min_likeness and view.likeness - view.rival >= self.rival_margin

    def judge(self, view: View) -> Verdict:
        refused = refuse_unseen(view) or refuse_soon(view, self.min_gap_frames)
        if refused:
            return refused
        if view.confidence < self.min_confidence:
            return Verdict(False, f"confidence {view.confidence:.2f} < {self.min_confidence:.2f}")
        low, high = self.min_area_ratio, self.max_area_ratio
        if not low <= view.area_ratio <= high:
            return Verdict(False, f"area {view.area_ratio:.2f} of the recent median, outside {low:.2f}-{high:.2f}")
        if not self.trusts(view):
            likeness = f"likeness {view.likeness:.2f} to its first view (expected {self.min_likeness:.2f})"
            return Verdict(False, f"{likeness}, {view.rival:.2f} to another object's (margin {self.rival_margin:.2f})")
        facts = f"confidence {view.confidence:.2f}, area ratio {view.area_ratio:.2f}, novelty {view.novelty:.3f}"
        if self.max_anchors and view.distractor >= self.min_distractor:
            return Verdict(True, f"anchor: distractor {view.distractor:.2f}, {facts}", True)
        if view.novelty < self.min_novelty:
            return Verdict(False, f"novelty {view.novelty:.3f} < {self.min_novelty:.3f}")
        return Verdict(True, facts)

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        if is_anchor and kept.anchors.sum() >= self.max_anchors:
            return _most_redundant(kept, np.flatnonzero(kept.anchors))
        if len(kept) < num_slots:
            return None
        plain = np.flatnonzero(~kept.anchors)
        return _most_redundant(kept, plain if len(plain) else np.arange(len(kept)))


def choose_views(num_views: int, max_read: int, likeness: np.ndarray | None = None) -> np.ndarray:
    """Which of an object's views to read: the first, and the latest or, by `likeness`, those most like now.

    Args:
        num_views: how many there are, in ascending frame order.
        max_read: how many to read at most, at least 1.
        likeness: (num_views,) of each to what is seen now.

    Returns:
        Ascending rows, (k,) int64.
    """
    rows = np.arange(1, num_views)
    if likeness is not None:
        rows = rows[np.argsort(likeness[1:], kind="stable")]
    kept = rows[max(0, len(rows) - (max_read - 1)) :]
    return np.sort(np.concatenate([np.arange(min(1, num_views)), kept]))


def refuse_unseen(view: View) -> Verdict | None:
    """The verdict over a view that shows nothing; None over others."""
    return None if view.area_px else Verdict(False, "not visible")


def refuse_soon(view: View, gap_frames: int) -> Verdict | None:
    """The verdict over a view too soon after the last; None over others."""
    if view.gap_frames >= gap_frames:
        return None
    return Verdict(False, f"{view.gap_frames} frames since the last key frame < {gap_frames}")


def oldest(kept: KeptViews, rows: np.ndarray | None = None) -> Drop:
    """The oldest view, of all or of some rows."""
    rows = np.arange(len(kept)) if rows is None else rows
    return Drop(int(rows[np.argmin(kept.frame_indices[rows])]), f"oldest of {len(rows)}")


def _most_redundant(kept: KeptViews, rows: np.ndarray) -> Drop:
    """Of `rows`, the view most like another one or like what is to come; of a pair, the older."""
    others = np.concatenate([kept.descriptors, kept.fixed, kept.now[None]])
    similarity = kept.descriptors[rows] @ others.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    nearest = similarity.max(axis=1)
    ties = np.flatnonzero(nearest >= nearest.max() - 1e-6)
    place = int(ties[np.argmin(kept.frame_indices[rows[ties]])])
    other = int(np.argmax(similarity[place]))
    if other < len(kept):
        name = f"frame {kept.frame_indices[other]}"
    else:
        name = "now" if other == len(others) - 1 else "a view that stays"
    return Drop(int(rows[place]), f"similarity {nearest[place]:.3f} to {name}")
