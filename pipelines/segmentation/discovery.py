"""What the detector says of the objects: confirms them, corrects found ones, starts new ones, brings lost ones back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from pipelines.refiners.first_mask import explains, first_mask
from pipelines.refiners.protocol import Refiner
from pipelines.segmentation.mask_maps import shrink
from pipelines.segmentation.matching import AssociationConfig, box_window, contained, match, match_fragments
from pipelines.segmentation.new_objects import Newcomers
from pipelines.segmentation.object_table import Roster
from pipelines.segmentation.track_state import Life
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


class Discovery:
    """Joins detections and objects; all its state is the roster's, the tracker's and the newcomers'.

    Args:
        rules: see `AssociationConfig`.
        discovers: whether detections may start objects.
        tracker, roster, newcomers: of the stage.
        refiner: makes masks of boxes.
    """

    def __init__(
        self,
        rules: AssociationConfig,
        discovers: bool,
        tracker: BaseTracker,
        roster: Roster,
        newcomers: Newcomers,
        refiner: Refiner,
    ) -> None:
        self._rules, self._discovers, self._refiner = rules, discovers, refiner
        self._tracker, self._roster, self._newcomers = tracker, roster, newcomers

    def step(
        self, frame: Frame, found: Detections | None, propagation: Propagation, fresh: dict[int, np.ndarray]
    ) -> Detections | None:
        """Match detections with objects; start and recover objects from the rest.

        Args:
            frame: the current frame, which the tracker has observed.
            found: detections, None where the detector did not run.
            propagation: the tracker's maps; cut and emptied in place.
            fresh: (H, W) bool masks decided in this frame; those made here are added.

        Returns:
            The detections with the identities they were given.
        """
        if found is None:
            return None
        seen = self._seen(propagation, fresh)
        scale = np.array([frame.size[1] / seen.size[1], frame.size[0] / seen.size[0]] * 2)
        boxes = (np.array([masks.tight_box(mask) for mask in seen.masks]).reshape(-1, 4) * scale).astype(np.float32)
        names = [self._roster.lives[key].class_name for key in seen.ids]
        pairs = match(found, boxes, names, self._rules.min_iou)
        pairs |= match_fragments(found, seen.masks, names, pairs, frame.size, self._rules.min_inside)
        object_ids = np.full(len(found), -1, np.int64)
        for row, column in pairs.items():
            object_ids[row] = seen.ids[column]
            life, area_px = self._roster.lives[seen.ids[column]], float(seen.masks[column].sum())
            life.vote(found.class_names[row], float(found.scores[row]), frame.time_s, area_px)
            self._agree(frame, found, row, seen, column, boxes[column], fresh)
        if self._discovers:
            self._drop_fragments(frame, found, seen, pairs, names)
            current = [
                (name, mask)
                for key, name, mask in zip(seen.ids, names, seen.masks, strict=True)
                if key in self._roster.lives
            ]
            self._discover(frame, found, object_ids, current, seen.size, fresh)
        return dataclasses.replace(found, object_ids=object_ids)

    def _seen(self, propagation: Propagation, fresh: dict[int, np.ndarray]) -> _Seen:
        """All objects' masks of this frame at the working size."""
        size = propagation.probabilities.shape[1:]
        ids, shown, probabilities = list(fresh), [shrink(mask, size) for mask in fresh.values()], [None] * len(fresh)
        for key, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            if key in self._roster.lives and key not in fresh:
                ids.append(key)
                shown.append(probability > 0.5)
                probabilities.append(probability)
        return _Seen(size, ids, shown, probabilities)

    def _agree(
        self,
        frame: Frame,
        found: Detections,
        row: int,
        seen: _Seen,
        column: int,
        box_xyxy: np.ndarray,
        fresh: dict[int, np.ndarray],
    ) -> None:
        """Cut a discovered object's mask to its detection; make it anew where the two disagree."""
        object_id, probability = seen.ids[column], seen.probabilities[column]
        if (
            probability is None
            or self._roster.lives[object_id].prompted
            or found.scores[row] < self._rules.min_new_score
        ):
            return
        overlap = float(box_iou(found.boxes_xyxy[row][None], box_xyxy[None])[0, 0])
        if overlap >= self._rules.agree_iou:
            outside = np.ones(probability.shape, bool)
            outside[box_window(found.boxes_xyxy[row], probability.shape, frame.size, self._rules.box_margin)] = False
            probability[outside] = 0.0
            return
        mask = first_mask(
            frame.image, Prompt(frame.index, object_id, box=found.boxes_xyxy[row]), self._refiner, quick=True
        )
        if not explains(mask, found.boxes_xyxy[row]):
            self._roster.tell("reject", frame.index, f"object {object_id}", _NOT_EXPLAINED)
            return
        try:
            self._tracker.add(frame.index, object_id, mask)
        except InputError as error:  # too small at the working size
            self._roster.tell("reject", frame.index, f"object {object_id}", str(error))
            return
        fresh[object_id] = mask
        life = self._roster.lives[object_id]
        life.state, life.seen_s, life.score = "tracked", frame.time_s, float(found.scores[row])
        life.usual_area_px, life.confirmed_area_px = 0.0, float(shrink(mask, probability.shape).sum())
        self._roster.tell(
            "refine", frame.index, f"object {object_id}", f"its detection disagrees (IoU {overlap:.2f}): new mask"
        )

    def _drop_fragments(
        self, frame: Frame, found: Detections, seen: _Seen, pairs: dict[int, int], names: list[str]
    ) -> None:
        """Objects inside another one's detection that the detector has not confirmed lately are parts of it."""
        for column, key in enumerate(seen.ids):
            life = self._roster.lives[key]
            if column in pairs.values() or life.prompted or frame.time_s - life.confirmed_s < _FRAGMENT_AFTER_S:
                continue
            for row, owner in pairs.items():
                inside = contained(found.boxes_xyxy[row], seen.masks[column], frame.size)
                if names[owner] == names[column] and inside >= self._rules.min_inside:
                    self._roster.tell(
                        "merge", frame.index, f"object {key}", f"{inside:.0%} inside object {seen.ids[owner]}"
                    )
                    self._roster.forget(key)
                    break

    def _discover(
        self,
        frame: Frame,
        found: Detections,
        object_ids: np.ndarray,
        current: list[tuple[str, np.ndarray]],
        size: tuple[int, int],
        fresh: dict[int, np.ndarray],
    ) -> None:
        """Give believable unmatched detections an identity: a lost object's, a retired one's, or a new one."""
        for row in self._newcomers.believe(frame.size, found, object_ids, current):
            class_name, score = found.class_names[row], float(found.scores[row])
            mask = first_mask(frame.image, Prompt(frame.index, 1, box=found.boxes_xyxy[row]), self._refiner, quick=True)
            if not explains(mask, found.boxes_xyxy[row]):
                self._newcomers.decline(class_name, found.boxes_xyxy[row])
                self._roster.tell("skip", frame.index, class_name, _NOT_EXPLAINED)
                continue
            waiting, present = self._known()
            object_id, reason = self._newcomers.recognise(self._tracker.appearance(mask), class_name, waiting, present)
            if object_id not in self._roster.lives and not self._roster.has_room(frame.index, class_name):
                continue
            object_id = object_id or self._roster.next_id
            try:
                self._tracker.add(frame.index, object_id, mask)
            except InputError as error:  # too small at the working size
                self._roster.tell("skip", frame.index, class_name, str(error))
                continue
            life = self._roster.lives.get(object_id) or Life(False)
            self._roster.enter(object_id, life)
            life.vote(class_name, score, frame.time_s, float(shrink(mask, size).sum()))
            life.state, life.seen_s, life.score, life.usual_area_px = "tracked", frame.time_s, score, 0.0
            object_ids[row], fresh[object_id] = object_id, mask
            self._roster.tell("write", frame.index, f"object {object_id}", f"{class_name} {score:.2f}: {reason}")

    def _known(self) -> tuple[dict[int, tuple[str, np.ndarray]], dict[int, tuple[str, np.ndarray]]]:
        """Class and looks of the found objects that are not seen now, and of all others."""
        waiting, present = {}, {}
        for key, life in self._roster.lives.items():
            pool = present if life.state == "tracked" or life.prompted else waiting
            pool[key] = life.class_name, self._tracker.appearances(key)
        return waiting, present
