"""Detections and objects of one frame brought together: who is whom, and what each says against the other.

Where a detection and the mask of its object disagree, the sure detection of a found object wins: the mask is cut to
it, or made anew. What the detector sees at the place of a hidden object is that object, unless it looks different.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.refiners.protocol import Refiner
from pipelines.scores import ScoreThresholds
from pipelines.segmentation.detected_mask import NOT_EXPLAINED, detected_mask
from pipelines.segmentation.mask_maps import shrink
from pipelines.segmentation.matching import (
    Known,
    MatchingRules,
    associate,
    box_window,
    contained,
    match_fragments,
    same_group,
)
from pipelines.segmentation.object_table import ObjectTable
from pipelines.segmentation.track_state import Track
from pipelines.trackers.protocol import BaseTracker, Propagation
from streamvos import masks
from streamvos.boxes import box_iou
from streamvos.errors import InputError
from streamvos.records import Detections, Frame

_SILENT_S = 0.6  # without a detection of its own for so long, an object inside another's detection is a part of it
_BORDER = 0.15  # of a detection's sides, which mostly shows what is around the thing
_NOWHERE = np.zeros(4, np.float32)


@dataclass(frozen=True)
class Associated:
    """What the detections made of the objects that were known.

    Args:
        object_ids: (M,) int64 identity of each detection, -1 where none.
        known: the objects as they were expected.
        own_boxes: (4,) box of the detection of each object that has one.
        propagation: the tracker's maps, cut to the detections that confirm them.
        decided: (H, W) bool masks that were made anew.
    """

    object_ids: np.ndarray
    known: list[Known]
    own_boxes: dict[int, np.ndarray]
    propagation: Propagation
    decided: dict[int, np.ndarray]


class Association:
    """Joins detections and objects; all its state is the table's and the tracker's.

    Args:
        scores: from which a detection may say anything of an object.
        tracker, table: of the stage.
        refiner: makes masks of boxes.
        rules: see `MatchingRules`.
    """

    def __init__(
        self,
        scores: ScoreThresholds,
        tracker: BaseTracker,
        table: ObjectTable,
        refiner: Refiner,
        rules: MatchingRules | None = None,
    ) -> None:
        self._scores, self._rules = scores, rules or MatchingRules()
        self._tracker, self._table, self._refiner = tracker, table, refiner

    def step(
        self, frame: Frame, found: Detections, propagation: Propagation, prompted: Mapping[int, np.ndarray]
    ) -> Associated:
        """Match detections with objects; confirm, correct and withdraw objects by them.

        Args:
            frame: the current frame, which the tracker has observed.
            found: M detections.
            propagation: the tracker's maps.
            prompted: (H, W) bool masks of the objects that the user pointed at in this frame.
        """
        known = self._known(frame, propagation, prompted)
        pairs = associate(found, known, self._scores.start, self._rules, self._likeness(frame, found, known))
        pairs |= match_fragments(found, known, pairs, frame.size, self._rules.min_inside)
        object_ids, own_boxes = np.full(len(found), -1, np.int64), {}
        maps, cut, decided = dict(propagation.items()), {}, {}
        for row, column in pairs.items():
            one, box, score = known[column], found.boxes_xyxy[row], float(found.scores[row])
            track = self._table.tracks[one.object_id]
            is_open = one.object_id not in prompted and not track.prompted and score >= self._scores.start
            if one.hidden_s:
                mask = self._seen_again(frame, found, row, one)
                if mask is None:
                    continue
                decided[one.object_id] = mask
            elif is_open:
                overlap = float(box_iou(box[None], one.visible_xyxy[None])[0, 0])
                if overlap >= self._rules.agree_iou:
                    cut[one.object_id] = self._cut(maps[one.object_id], box, frame.size)
                elif (mask := self._made_anew(frame, found, row, one, overlap)) is not None:
                    decided[one.object_id] = mask
            object_ids[row], own_boxes[one.object_id] = one.object_id, box
            self._confirm(frame, track, found, row, one, decided.get(one.object_id))
        self._withdraw(frame, found, known, object_ids, own_boxes)
        return Associated(object_ids, known, own_boxes, propagation.with_some(cut), decided)

    def _known(self, frame: Frame, propagation: Propagation, prompted: Mapping[int, np.ndarray]) -> list[Known]:
        """All objects that a detection may be: what is seen, and what was seen a moment ago."""
        size = propagation.size
        seen = {key: probability > 0.5 for key, probability in propagation.items() if key in self._table.tracks}
        seen |= {key: shrink(mask, size) for key, mask in prompted.items()}
        scale = np.array([frame.size[1] / size[1], frame.size[0] / size[0]] * 2)
        known = []
        for object_id, mask in seen.items():
            track = self._table.tracks[object_id]
            foreseen = _NOWHERE if track.motion is None else track.motion.box(frame.time_s)
            name, hidden_s = track.leading_class, frame.time_s - track.seen_s
            if mask.any():
                visible = (masks.tight_box(mask) * scale).astype(np.float32)
                known.append(Known(object_id, name, mask, visible, track.carried(visible), foreseen, 0.0))
            elif 0 < hidden_s <= self._rules.hidden_s and track.kind.leading:
                known.append(Known(object_id, name, mask, _NOWHERE, _NOWHERE, foreseen, hidden_s))
        return known

    def _likeness(self, frame: Frame, found: Detections, known: list[Known]) -> Callable[[int, int], float]:
        """How like a detection (its row) is to the remembered views of an object (its column), as a cosine."""

        @functools.cache
        def looks(row: int) -> np.ndarray:
            middle = np.zeros(frame.size, bool)
            middle[box_window(found.boxes_xyxy[row], frame.size, frame.size, -_BORDER)] = True
            return self._tracker.appearance(middle)

        def likeness(row: int, column: int) -> float:
            views = self._tracker.appearances(known[column].object_id)
            return float((views @ looks(row)).max()) if len(views) else 0.0

        return likeness

    def _confirm(
        self, frame: Frame, track: Track, found: Detections, row: int, one: Known, mask: np.ndarray | None
    ) -> None:
        """The detection speaks for the object: for its class, and for where all of it is."""
        small = one.mask if mask is None else shrink(mask, one.mask.shape)
        visible = one.visible_xyxy if mask is None else masks.tight_box(mask)
        track.confirm(found.class_names[row], float(found.scores[row]), frame.time_s, float(small.sum()))
        track.place(found.boxes_xyxy[row], visible, frame.time_s)

    def _cut(self, probability: np.ndarray, box_xyxy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """An (h, w) map without what lies beyond the detection that confirms it."""
        window, cut = box_window(box_xyxy, probability.shape, size, self._rules.box_margin), np.zeros_like(probability)
        cut[window] = probability[window]
        return cut

    def _made_anew(self, frame: Frame, found: Detections, row: int, one: Known, overlap: float) -> np.ndarray | None:
        """A new (H, W) mask from the detection that disagrees with an object's; None where none can be made."""
        mask, entry = detected_mask(frame, found.boxes_xyxy[row], self._refiner), f"object {one.object_id}"
        if mask is None:
            self._table.tell("reject", frame.index, entry, NOT_EXPLAINED)
            return None
        if not self._takes(frame, one.object_id, mask):
            return None
        self._show(frame, one.object_id, found, row)
        self._table.tell("refine", frame.index, entry, f"its detection disagrees (overlap {overlap:.2f}): new mask")
        return mask

    def _seen_again(self, frame: Frame, found: Detections, row: int, one: Known) -> np.ndarray | None:
        """The (H, W) mask of a hidden object where the detector sees one of its kind; None where it is another."""
        if not same_group(one.class_name, found.class_names[row]):
            return None
        views = self._tracker.appearances(one.object_id)
        mask = detected_mask(frame, found.boxes_xyxy[row], self._refiner)
        if mask is None:
            return None
        similarity = float((views @ self._tracker.appearance(mask)).max()) if len(views) else 1.0
        numbers = {"similarity": similarity, "hidden_s": one.hidden_s}
        entry = f"object {one.object_id}"
        if similarity < self._rules.hidden_similarity:
            reason = f"what is detected at its place looks different, similarity {similarity:.2f}"
            self._table.tell("reject", frame.index, entry, reason, numbers)
            return None
        if not self._takes(frame, one.object_id, mask):
            return None
        self._show(frame, one.object_id, found, row)
        reason = f"the detector sees it at its place after {one.hidden_s:.1f} s, similarity {similarity:.2f}"
        self._table.tell("merge", frame.index, entry, reason, numbers)
        return mask

    def _takes(self, frame: Frame, object_id: int, mask: np.ndarray) -> bool:
        """Whether the tracker follows the object from a (H, W) mask on; it may be too small at the working size."""
        try:
            self._tracker.add(frame.index, object_id, mask)
        except InputError as error:
            self._table.tell("reject", frame.index, f"object {object_id}", str(error))
            return False
        return True

    def _show(self, frame: Frame, object_id: int, found: Detections, row: int) -> None:
        track = self._table.tracks[object_id]
        track.state, track.seen_s, track.score = "tracked", frame.time_s, float(found.scores[row])
        track.usual_area_px = 0.0

    def _withdraw(
        self,
        frame: Frame,
        found: Detections,
        known: list[Known],
        object_ids: np.ndarray,
        own_boxes: Mapping[int, np.ndarray],
    ) -> None:
        """End found objects that the detector has not confirmed lately and that lie in what is another's.

        Of the same class, they are a part of it; of another, a mask that has slid onto it where their boxes agree.
        """
        by_id = {one.object_id: one for one in known}
        for one in known:
            track = self._table.tracks[one.object_id]
            silent_s = frame.time_s - track.confirmed_s
            if one.hidden_s or one.object_id in own_boxes or track.prompted or silent_s < _SILENT_S:
                continue
            for row in np.flatnonzero(object_ids != -1).tolist():
                owner, box = by_id[int(object_ids[row])], found.boxes_xyxy[row]
                inside = contained(box, one.mask, frame.size)
                same = owner.class_name == one.class_name
                agrees = float(box_iou(box[None], one.visible_xyxy[None])[0, 0]) >= self._rules.agree_iou
                if inside >= self._rules.min_inside and (same or agrees):
                    reason = f"{inside:.0%} of it lies inside object {owner.object_id}: " + (
                        "a part of that" if same else f"that is a {found.class_names[row]}"
                    )
                    self._table.tell("merge", frame.index, f"object {one.object_id}", reason)
                    self._table.forget(one.object_id)
                    break
