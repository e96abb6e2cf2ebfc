"""Published rules for key frames, to compare `smart` with; each is a `KeyFramePolicy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from memory_bank.keyframes.policy import (
    POLICIES,
    Drop,
    KeptViews,
    KeyFramePolicy,
    View,
    WriteDecision,
    oldest,
    refuse_soon,
    refuse_unseen,
)
from streamvos.config import setting

_GAP = "frames between key frames at least; larger spreads them in time"


@POLICIES.register("fifo")
@dataclass(frozen=True)
class FifoPolicy(KeyFramePolicy, at="keyframes.fifo"):
    """`fifo`, the recent frames of SAM 2 (Ravi et al., 2024, section 4): all that is visible; the oldest goes."""

    def judge(self, view: View) -> WriteDecision:
        return refuse_unseen(view) or WriteDecision(True, "it is visible")

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        return None if len(kept) < num_slots else oldest(kept)


@POLICIES.register("gap")
@dataclass(frozen=True)
class GapPolicy(KeyFramePolicy, at="keyframes.gap"):
    """`gap`, as STM (Oh et al., ICCV 2019): a view every few frames.

    STM keeps all of them; here the oldest goes.
    """

    gap_frames: int = setting(5, _GAP, low=0)

    def judge(self, view: View) -> WriteDecision:
        return _every(view, self.gap_frames)

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        return None if len(kept) < num_slots else oldest(kept)


@POLICIES.register("dmaot")
@dataclass(frozen=True)
class DmaotPolicy(KeyFramePolicy, at="keyframes.dmaot"):
    """`dmaot`, the winner of VOTS 2023 (Kristan et al., ICCVW 2023, DMAOT): the view least like now goes.

    Each object has its own memory, of 10 frames there.
    """

    gap_frames: int = setting(5, _GAP, low=0)

    def judge(self, view: View) -> WriteDecision:
        return _every(view, self.gap_frames)

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        if len(kept) < num_slots:
            return None
        similarity = kept.descriptors @ kept.now
        row = int(np.argmin(similarity))
        return Drop(row, "it is the least like what is seen now", {"similarity": float(similarity[row])})


@POLICIES.register("rmem")
@dataclass(frozen=True)
class RmemPolicy(KeyFramePolicy, at="keyframes.rmem"):
    """`rmem`, RMem (Zhou et al., CVPR 2024, eq. 4): the view with the lowest upper confidence bound goes.

    The bound is the attention that a view receives plus sqrt(2 log T / t), which favours fresh views: t is how often
    it was read, T how often all were. The paper has the first frame and 8 more. A view that was not read counts as
    read once.
    """

    reads_attention: ClassVar[bool] = True

    gap_frames: int = setting(5, _GAP, low=0)
    freshness: float = setting(0.1, "weight of the second term; larger keeps newer views", low=0)

    def judge(self, view: View) -> WriteDecision:
        return _every(view, self.gap_frames)

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        if len(kept) < num_slots:
            return None
        times = np.maximum(kept.num_reads, 1)
        bound = kept.attention + self.freshness * np.sqrt(2.0 * np.log(times.sum()) / times)
        row = int(np.argmin(bound))
        numbers = {"bound": float(bound[row]), "attention": float(kept.attention[row]), "reads": int(times[row])}
        return Drop(row, "it is the least read for its age", numbers)


@POLICIES.register("dam4sam")
@dataclass(frozen=True)
class Dam4SamPolicy(KeyFramePolicy, at="keyframes.dam4sam"):
    """`dam4sam`, DAM4SAM (Videnovic et al., CVPR 2025): recent views, and anchors beside distractors.

    Recent views are written every few frames while the object is visible. An anchor is written where something else
    looks like the object while the object itself is sure (there: predicted IoU; here: mean probability inside the mask)
    and its area stable. Of each kind the oldest goes; anchors have half of the slots, the first view counted in.
    """

    gap_frames: int = setting(5, _GAP, low=0)
    min_confidence: float = setting(0.8, "of an anchor; higher keeps doubtful views out", low=0, high=1)
    max_area_change: float = setting(
        0.2, "of an anchor, from the recent median area; larger admits half-hidden views", low=0
    )
    min_distractor: float = setting(
        0.5, "how much something else looks like the object; smaller makes anchors of more views", low=0, high=1
    )

    def judge(self, view: View) -> WriteDecision:
        refused = refuse_unseen(view) or refuse_soon(view, self.gap_frames)
        if refused:
            return refused
        stable = abs(view.area_ratio - 1.0) <= self.max_area_change
        numbers = {"distractor": view.distractor, "confidence": view.confidence}
        if view.distractor >= self.min_distractor and view.confidence > self.min_confidence and stable:
            return WriteDecision(True, "something beside it looks alike", numbers, anchor=True)
        return WriteDecision(True, "it is recent", {"gap_frames": view.gap_frames, **numbers})

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        most_anchors = num_slots // 2
        most = most_anchors if is_anchor and most_anchors else num_slots - most_anchors
        rows = np.flatnonzero(kept.anchors == (is_anchor and most_anchors > 0))
        if len(rows) >= most:
            return oldest(kept, rows)
        return None if len(kept) < num_slots else oldest(kept)


def _every(view: View, gap_frames: int) -> WriteDecision:
    refused = refuse_unseen(view) or refuse_soon(view, gap_frames)
    return refused or WriteDecision(True, "some frames have passed since the last one", {"gap_frames": view.gap_frames})
