"""`smart`, the key-frame policy of ours after HQ-SMem (Kazemi et al., 2025), which gives no numbers.

What is visible, sure, stable, novel and surely the object is written; the most redundant goes. Changed: the conditions
are DAM4SAM's (Videnovic et al., CVPR 2025) and a novelty; so are anchors, which need no novelty, as what is new about
them is what stands beside the object. A mask that has slid onto something else is as confident as any other; what tells
it is that it looks like that, or unlike the first view, so such a view is not trusted, and neither written nor learned.
A view is as redundant as it is like the nearest of the others: those that stay, and the one to come. Anchors go only to
make room for anchors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memory_bank.keyframes.policy import (
    POLICIES,
    Drop,
    KeptViews,
    KeyFramePolicy,
    View,
    WriteDecision,
    refuse_soon,
    refuse_unseen,
)
from streamvos.config import setting

# All numbers of this policy were tuned on composed sets of seed 11, which no figure is reported on (docs/ablation.md).
_MIN_AREA_RATIO, _MAX_AREA_RATIO = 0.6, 1.67  # by the recent median: half-hidden below, leaked above; DAM4SAM has +-0.2
_OTHER_MARGIN = 0.1  # by which a view must be more like the object's first view than like any other object's
_MIN_DISTRACTOR = 0.5  # from which something else looks like the object, so that its view is an anchor
_TIE = 1e-6  # by which similarities must differ to count as different


@POLICIES.register("smart")
@dataclass(frozen=True)
class SmartPolicy(KeyFramePolicy, at="keyframes.smart"):
    """See the module's head."""

    min_gap_frames: int = setting(5, "frames between key frames at least; larger spreads them in time", low=0)
    min_confidence: float = setting(
        0.8, "mean probability inside the mask; higher keeps doubtful views out", low=0, high=1
    )
    min_novelty: float = setting(
        0.004, "1 - cosine to the nearest key frame; larger stores fewer, more different views", low=0, high=2
    )
    min_similarity: float = setting(
        0.2, "cosine to the first view; larger refuses strange views, and slides", low=-1, high=1
    )
    max_anchors: int = setting(
        2, "views beside what looks alike, of an object; larger leaves fewer slots for what it looks like", low=0
    )

    def trusts(self, view: View) -> bool:
        return view.similarity >= self.min_similarity and view.similarity - view.nearest_other >= _OTHER_MARGIN

    def judge(self, view: View) -> WriteDecision:
        refused = refuse_unseen(view) or refuse_soon(view, self.min_gap_frames)
        if refused:
            return refused
        if view.confidence < self.min_confidence:
            numbers = {"confidence": view.confidence, "min_confidence": self.min_confidence}
            return WriteDecision(False, "the mask is not sure enough", numbers)
        if not _MIN_AREA_RATIO <= view.area_ratio <= _MAX_AREA_RATIO:
            return WriteDecision(False, "its area is unlike that of recent frames", {"area_ratio": view.area_ratio})
        if not self.trusts(view):
            numbers = {"similarity": view.similarity, "nearest_other": view.nearest_other}
            unlike = "it is not like its first view"
            reason = unlike if view.similarity < self.min_similarity else "it is too much like another object"
            return WriteDecision(False, reason, numbers)
        numbers = {"confidence": view.confidence, "area_ratio": view.area_ratio, "novelty": view.novelty}
        if self.max_anchors and view.distractor >= _MIN_DISTRACTOR:
            numbers["distractor"] = view.distractor
            return WriteDecision(True, "something beside it looks alike", numbers, anchor=True)
        if view.novelty < self.min_novelty:
            return WriteDecision(False, "it shows nothing new", numbers)
        return WriteDecision(True, "it shows something new", numbers)

    def drop(self, kept: KeptViews, is_anchor: bool, num_slots: int) -> Drop | None:
        if is_anchor and kept.anchors.sum() >= self.max_anchors:
            return _most_redundant(kept, np.flatnonzero(kept.anchors))
        if len(kept) < num_slots:
            return None
        plain = np.flatnonzero(~kept.anchors)
        return _most_redundant(kept, plain if len(plain) else np.arange(len(kept)))


def _most_redundant(kept: KeptViews, rows: np.ndarray) -> Drop:
    """Of `rows`, the view most like another one or like what is to come; of a pair, the older."""
    others = np.concatenate([kept.descriptors, kept.fixed, kept.now[None]])
    similarity = kept.descriptors[rows] @ others.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    nearest = similarity.max(axis=1)
    ties = np.flatnonzero(nearest >= nearest.max() - _TIE)
    place = int(ties[np.argmin(kept.frame_indices[rows[ties]])])
    other = int(np.argmax(similarity[place]))
    numbers = {"similarity": float(nearest[place])}
    if other < len(kept):
        numbers["to_frame"] = int(kept.frame_indices[other])
        return Drop(int(rows[place]), "it is the most like another one", numbers)
    like = "what is seen now" if other == len(others) - 1 else "one that stays"
    return Drop(int(rows[place]), f"it is the most like {like}", numbers)
