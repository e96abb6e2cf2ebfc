"""What the detector says of the objects: confirms them, corrects found ones, starts new ones, brings lost ones back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.refiners.first_mask import explains, first_mask
from pipelines.refiners.protocol import Refiner
from pipelines.scores import ScoreThresholds
from pipelines.segmentation.mask_maps import shrink
from pipelines.segmentation.matching import MatchingRules, box_window, contained, match, match_fragments
from pipelines.segmentation.new_objects import NewObjects
from pipelines.segmentation.object_table import ObjectTable
from pipelines.segmentation.track_state import Track
from pipelines.trackers.protocol import BaseTracker, Propagation
from streamvos import masks
from streamvos.boxes import box_iou
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, Prompt

_NOT_EXPLAINED = "no mask fills what was detected"
_FRAGMENT_AFTER_S = 0.6  # without a detection of its own, an object inside another's detection is a part of it


@dataclass(frozen=True)
class _Seen:
    """Objects of one frame at the working size (h, w): ids, bool masks, and the maps they come from, where any."""

    size: tuple[int, int]
    ids: list[int]
    masks: list[np.ndarray]
    probabilities: list[np.ndarray | None]


@dataclass(frozen=True)
class Discovered:
    """What the detector's finds made of a frame.

    Args:
        detections: with the identities they were given; None where the detector did not run.
        propagation: the tracker's maps, cut to the detections that confirm them.
        decided: (H, W) bool masks of all objects that were started or made anew in this frame.
    """

    detections: Detections | None
    propagation: Propagation
    decided: dict[int, np.ndarray]


class Discovery:
    """Joins detections and objects; all its state is the table's, the tracker's and the new objects'.

    Args:
        scores: from which a detection may say anything of an object.
        discovers: whether detections may start objects.
        tracker, table, new_objects: of the stage.
        refiner: makes masks of boxes.
        rules: see `MatchingRules`.
    """

    def __init__(
        self,
        scores: ScoreThresholds,
        discovers: bool,
        tracker: BaseTracker,
        table: ObjectTable,
        new_objects: NewObjects,
        refiner: Refiner,
        rules: MatchingRules | None = None,
    ) -> None:
        self._scores, self._rules = scores, rules or MatchingRules()
        self._discovers, self._refiner = discovers, refiner
        self._tracker, self._table, self._new_objects = tracker, table, new_objects

    def step(
        self,
        frame: Frame,
        found: Detections | None,
        propagation: Propagation,
        decided: Mapping[int, np.ndarray],
    ) -> Discovered:
        """Match detections with objects; start and recover objects from the rest.

        Args:
            frame: the current frame, which the tracker has observed.
            found: detections, None where the detector did not run.
            propagation: the tracker's maps.
            decided: (H, W) bool masks decided in this frame.
        """
        decided = dict(decided)
        if found is None:
            return Discovered(None, propagation, decided)
        seen = self._seen(propagation, decided)
        scale = np.array([frame.size[1] / seen.size[1], frame.size[0] / seen.size[0]] * 2)
        boxes = (np.array([masks.tight_box(mask) for mask in seen.masks]).reshape(-1, 4) * scale).astype(np.float32)
        names = [self._table.tracks[key].class_name for key in seen.ids]
        pairs = match(found, boxes, names, self._rules.min_iou)
        pairs |= match_fragments(found, seen.masks, names, pairs, frame.size, self._rules.min_inside)
        object_ids = np.full(len(found), -1, np.int64)
        cut: dict[int, np.ndarray] = {}
        for row, column in pairs.items():
            object_id = object_ids[row] = seen.ids[column]
            track, area_px = self._table.tracks[object_id], float(seen.masks[column].sum())
            track.vote(found.class_names[row], float(found.scores[row]), frame.time_s, area_px)
            if seen.probabilities[column] is None or track.prompted or found.scores[row] < self._scores.start:
                continue
            overlap = float(box_iou(found.boxes_xyxy[row][None], boxes[column][None])[0, 0])
            if overlap >= self._rules.agree_iou:
                cut[object_id] = self._cut(seen.probabilities[column], found.boxes_xyxy[row], frame.size)
            elif (mask := self._replace(frame, found, row, object_id, overlap, seen.size)) is not None:
                decided[object_id] = mask
        propagation = propagation.with_some(cut)
        if self._discovers:
            self._drop_fragments(frame, found, seen, pairs, names)
            current = [
                (name, mask)
                for key, name, mask in zip(seen.ids, names, seen.masks, strict=True)
                if key in self._table.tracks
            ]
            started = self._discover(frame, found, object_ids, current, seen.size)
            for row, object_id, mask in started:
                object_ids[row], decided[object_id] = object_id, mask
        return Discovered(dataclasses.replace(found, object_ids=object_ids), propagation, decided)

    def _seen(self, propagation: Propagation, decided: Mapping[int, np.ndarray]) -> _Seen:
        """All objects' masks of this frame at the working size."""
        size = propagation.size
        ids, shown = list(decided), [shrink(mask, size) for mask in decided.values()]
        probabilities: list[np.ndarray | None] = [None] * len(decided)
        for key, probability in propagation.items():
            if key in self._table.tracks and key not in decided:
                ids.append(key)
                shown.append(probability > 0.5)
                probabilities.append(probability)
        return _Seen(size, ids, shown, probabilities)

    def _cut(self, probability: np.ndarray, box_xyxy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """An (h, w) map without what lies beyond the detection that confirms it."""
        window, cut = box_window(box_xyxy, probability.shape, size, self._rules.box_margin), np.zeros_like(probability)
        cut[window] = probability[window]
        return cut

    def _replace(
        self, frame: Frame, found: Detections, row: int, object_id: int, overlap: float, size: tuple[int, int]
    ) -> np.ndarray | None:
        """A new (H, W) mask from the detection that disagrees with an object's; None where none can be made."""
        prompt = Prompt(frame.index, object_id, box=found.boxes_xyxy[row])
        mask = first_mask(frame.image, prompt, self._refiner, quick=True)
        if not explains(mask, found.boxes_xyxy[row]):
            self._table.tell("reject", frame.index, f"object {object_id}", _NOT_EXPLAINED)
            return None
        try:
            self._tracker.add(frame.index, object_id, mask)
        except InputError as error:  # too small at the working size
            self._table.tell("reject", frame.index, f"object {object_id}", str(error))
            return None
        track = self._table.tracks[object_id]
        track.state, track.seen_s, track.score = "tracked", frame.time_s, float(found.scores[row])
        track.usual_area_px, track.confirmed_area_px = 0.0, float(shrink(mask, size).sum())
        reason = f"its detection disagrees (overlap {overlap:.2f}): new mask"
        self._table.tell("refine", frame.index, f"object {object_id}", reason)
        return mask

    def _drop_fragments(
        self, frame: Frame, found: Detections, seen: _Seen, pairs: dict[int, int], names: list[str]
    ) -> None:
        """Objects inside another one's detection that the detector has not confirmed lately are parts of it."""
        for column, key in enumerate(seen.ids):
            track = self._table.tracks[key]
            if column in pairs.values() or track.prompted or frame.time_s - track.confirmed_s < _FRAGMENT_AFTER_S:
                continue
            for row, owner in pairs.items():
                inside = contained(found.boxes_xyxy[row], seen.masks[column], frame.size)
                if names[owner] == names[column] and inside >= self._rules.min_inside:
                    reason = f"{inside:.0%} of it lies inside object {seen.ids[owner]}: a part of that"
                    self._table.tell("merge", frame.index, f"object {key}", reason)
                    self._table.forget(key)
                    break

    def _discover(
        self,
        frame: Frame,
        found: Detections,
        object_ids: np.ndarray,
        current: list[tuple[str, np.ndarray]],
        size: tuple[int, int],
    ) -> list[tuple[int, int, np.ndarray]]:
        """Give confirmed unmatched detections an identity: a lost object's, a retired one's, or a new one.

        Returns:
            Row of the detection, identity and (H, W) mask of each.
        """
        started = []
        for row in self._new_objects.confirm(frame.size, found, object_ids, current):
            class_name, score = found.class_names[row], float(found.scores[row])
            mask = first_mask(frame.image, Prompt(frame.index, 1, box=found.boxes_xyxy[row]), self._refiner, quick=True)
            if not explains(mask, found.boxes_xyxy[row]):
                self._new_objects.decline(class_name, found.boxes_xyxy[row])
                self._table.tell("skip", frame.index, class_name, _NOT_EXPLAINED)
                continue
            waiting, present = self._known()
            object_id, reason = self._new_objects.recognise(
                self._tracker.appearance(mask), class_name, waiting, present
            )
            if object_id not in self._table.tracks and not self._table.has_room(frame.index, class_name):
                continue
            object_id = object_id or self._table.next_id
            try:
                self._tracker.add(frame.index, object_id, mask)
            except InputError as error:  # too small at the working size
                self._table.tell("skip", frame.index, class_name, str(error))
                continue
            track = self._table.tracks.get(object_id) or Track(False)
            self._table.enter(object_id, track)
            track.vote(class_name, score, frame.time_s, float(shrink(mask, size).sum()))
            track.state, track.seen_s, track.score, track.usual_area_px = "tracked", frame.time_s, score, 0.0
            started.append((row, object_id, mask))
            self._table.tell(
                "write", frame.index, f"object {object_id}", f"the detector sees a {class_name} ({score:.2f}): {reason}"
            )
        return started

    def _known(self) -> tuple[dict[int, tuple[str, np.ndarray]], dict[int, tuple[str, np.ndarray]]]:
        """Class and looks of the found objects that are not seen now, and of all others."""
        waiting, present = {}, {}
        for key, track in self._table.tracks.items():
            pool = present if track.state == "tracked" or track.prompted else waiting
            pool[key] = track.class_name, self._tracker.appearances(key)
        return waiting, present
