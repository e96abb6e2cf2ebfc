"""What nobody explains of what the detector sees: it starts objects, and brings back those that left."""

from __future__ import annotations

import numpy as np

from pipelines.refiners.protocol import Refiner
from pipelines.segmentation.association import Associated
from pipelines.segmentation.detected_mask import NOT_EXPLAINED, detected_mask
from pipelines.segmentation.mask_maps import at_full_size, shrink
from pipelines.segmentation.new_objects import NewObjects, Taken
from pipelines.segmentation.object_table import ObjectTable
from pipelines.segmentation.track_state import Track
from pipelines.trackers.protocol import BaseTracker
from streamvos import masks
from streamvos.errors import InputError
from streamvos.records import Detections, Frame

_LEAST_REST = 0.3  # of a new object's mask that must not be another's, for that to be taken from it


class Discovery:
    """Gives unmatched detections an identity; all its state is the table's, the tracker's and the new objects'.

    Args:
        tracker, table, new_objects: of the stage.
        refiner: makes masks of boxes.
    """

    def __init__(self, tracker: BaseTracker, table: ObjectTable, new_objects: NewObjects, refiner: Refiner) -> None:
        self._tracker, self._table, self._new_objects, self._refiner = tracker, table, new_objects, refiner

    def step(
        self, frame: Frame, found: Detections, associated: Associated, size: tuple[int, int]
    ) -> list[tuple[int, int, np.ndarray]]:
        """Give confirmed unmatched detections an identity: a lost object's, a retired one's, or a new one.

        Args:
            frame: the current frame, which the tracker has observed.
            found: M detections.
            associated: what the known objects explain of them.
            size: the working size (h, w).

        Returns:
            Row of the detection, identity and (H, W) mask of each.
        """
        taken = [
            Taken(one.class_name, one.mask, associated.own_boxes.get(one.object_id))
            for one in associated.known
            if one.object_id in self._table.tracks
        ]
        held = _held(associated, frame.size)
        started = []
        for row in self._new_objects.confirm(frame.size, found, associated.object_ids, taken):
            class_name, box = found.class_names[row], found.boxes_xyxy[row]
            mask = detected_mask(frame, box, self._refiner)
            if mask is None:
                self._new_objects.decline(class_name, box)
                self._table.tell("skip", frame.index, class_name, NOT_EXPLAINED)
                continue
            mask = _without(mask, held)
            waiting, present = self._waiting_and_present()
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
            self._enter(frame, found, row, object_id, mask, size)
            started.append((row, object_id, mask))
            told = f"the detector sees a {class_name} ({found.scores[row]:.2f}): {reason}"
            self._table.tell("write", frame.index, f"object {object_id}", told)
        return started

    def _enter(
        self, frame: Frame, found: Detections, row: int, object_id: int, mask: np.ndarray, size: tuple[int, int]
    ) -> None:
        track = self._table.tracks.get(object_id) or Track(False)
        self._table.enter(object_id, track)
        score = float(found.scores[row])
        track.confirm(found.class_names[row], score, frame.time_s, float(shrink(mask, size).sum()))
        track.motion = None  # wherever it was
        track.place(found.boxes_xyxy[row], masks.tight_box(mask), frame.time_s)
        track.state, track.seen_s, track.score, track.usual_area_px = "tracked", frame.time_s, score, 0.0

    def _waiting_and_present(self) -> tuple[dict[int, tuple[str, np.ndarray]], dict[int, tuple[str, np.ndarray]]]:
        """Class and looks of the found objects that are not seen now, and of all others."""
        waiting, present = {}, {}
        for key, track in self._table.tracks.items():
            pool = present if track.state == "tracked" or track.prompted else waiting
            pool[key] = track.leading_class, self._tracker.appearances(key)
        return waiting, present


def _held(associated: Associated, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: what lies under the masks of objects that a detection confirms in this frame."""
    held = np.zeros(size, bool)
    for object_id, probability in associated.propagation.items():
        if object_id in associated.own_boxes and object_id not in associated.decided:
            held |= at_full_size(probability, size) > 0.5
    for mask in associated.decided.values():
        held |= mask
    return held


def _without(mask: np.ndarray, held: np.ndarray) -> np.ndarray:
    """A new object's (H, W) mask without what is another's already: a bicycle without its rider's legs.

    Where little would be left, both look at one thing, or one hides the other: the mask stays.
    """
    rest = mask & ~held
    return rest if np.count_nonzero(rest) >= _LEAST_REST * np.count_nonzero(mask) else mask
