"""Published rules for key frames, to compare `smart` with; each is a `KeyFramePolicy`. See `policy`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memory_bank.keyframes.policy import (
    Drop,
    KeptViews,
    KeyFramePolicy,
    Verdict,
    View,
    oldest,
    refuse_soon,
    refuse_unseen,
)


@dataclass(frozen=True)
class FifoPolicy(KeyFramePolicy):
    """`fifo`, the recent frames of SAM 2 (Ravi et al., 2024, section 4): all that is visible; the oldest goes."""

    def judge(self, view: View) -> Verdict:
        return refuse_unseen(view) or Verdict(True, "visible")

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        return None if len(kept) < num_slots else oldest(kept)


@dataclass(frozen=True)
class GapPolicy(KeyFramePolicy):
    """`gap`, as STM (Oh et al., ICCV 2019): a view every few frames.

    STM keeps all of them; here the oldest goes.
    """

    gap_frames: int = 5  # larger spreads the key frames in time

    def judge(self, view: View) -> Verdict:
        return _every(view, self.gap_frames)

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        return None if len(kept) < num_slots else oldest(kept)


@dataclass(frozen=True)
class DmaotPolicy(KeyFramePolicy):
    """`dmaot`, the winner of VOTS 2023 (Kristan et al., ICCVW 2023, DMAOT): the view least like now goes.

    Each object has its own memory, of 10 frames there.
    """

    gap_frames: int = 5  # larger spreads the key frames in time

    def judge(self, view: View) -> Verdict:
        return _every(view, self.gap_frames)

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        if len(kept) < num_slots:
            return None
        similarity = kept.descriptors @ kept.now
        row = int(np.argmin(similarity))
        return Drop(row, f"similarity {similarity[row]:.3f} to now, the lowest of {len(kept)}")


@dataclass(frozen=True)
class RmemPolicy(KeyFramePolicy):
    """`rmem`, RMem (Zhou et al., CVPR 2024, eq. 4): the view with the lowest upper confidence bound goes.

    The bound is the attention that a view receives plus sqrt(2 log T / t), which favours fresh views: t is how often
    it was read, T how often all were. The paper has the first frame and 8 more. A view that was not read counts as
    read once.
    """

    gap_frames: int = 5  # larger spreads the key frames in time
    freshness: float = 0.1  # weight of the second term; larger keeps newer views

    def judge(self, view: View) -> Verdict:
        return _every(view, self.gap_frames)

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        if len(kept) < num_slots:
            return None
        times = np.maximum(kept.num_reads, 1)
        bound = kept.attention + self.freshness * np.sqrt(2.0 * np.log(times.sum()) / times)
        row = int(np.argmin(bound))
        return Drop(row, f"bound {bound[row]:.3f}: attention {kept.attention[row]:.3f} in {times[row]} reads")


@dataclass(frozen=True)
class Dam4SamPolicy(KeyFramePolicy):
    """`dam4sam`, DAM4SAM (Videnovic et al., CVPR 2025): recent views, and anchors beside distractors.

    Recent views are written every few frames while the object is visible. An anchor is written where something else
    looks like the object while the object itself is sure (there: predicted IoU; here: mean probability inside the mask)
    and its area stable. Of each kind the oldest goes; anchors have half of the slots, the first view counted in.
    """

    gap_frames: int = 5  # larger spreads the key frames in time
    min_confidence: float = 0.8  # of an anchor; higher keeps doubtful views out
    max_area_change: float = 0.2  # of an anchor, from the recent median area; larger admits half-hidden views
    min_distractor: float = 0.5  # smaller makes anchors of more views

    def judge(self, view: View) -> Verdict:
        refused = refuse_unseen(view) or refuse_soon(view, self.gap_frames)
        if refused:
            return refused
        stable = abs(view.area_ratio - 1.0) <= self.max_area_change
        if view.distractor >= self.min_distractor and view.confidence > self.min_confidence and stable:
            return Verdict(True, f"anchor: distractor {view.distractor:.2f}, confidence {view.confidence:.2f}", True)
        return Verdict(True, f"recent: {view.gap_frames} frames since, distractor {view.distractor:.2f}")

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        most_anchors = num_slots // 2
        most = most_anchors if is_anchor and most_anchors else num_slots - most_anchors
        rows = np.flatnonzero(kept.anchors == (is_anchor and most_anchors > 0))
        if len(rows) >= most:
            return oldest(kept, rows)
        return None if len(kept) < num_slots else oldest(kept)


def _every(view: View, gap_frames: int) -> Verdict:
    refused = refuse_unseen(view) or refuse_soon(view, gap_frames)
    return refused or Verdict(True, f"{view.gap_frames} frames since the last key frame")
