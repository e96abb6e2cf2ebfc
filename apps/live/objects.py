"""Who is followed, as the page lists them: names, states, colours, thumbnails, who is hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from apps.live.history import encode_jpeg
from pipelines.segment import PERSON_IDS
from streamvos.errors import InputError
from streamvos.export.colours import id_colour
from streamvos.records import Frame, StepResult

_THUMBNAIL_PX = 96
_THUMBNAIL_EVERY = 12  # frames; a larger view of the object comes in at once
_MARGIN = 0.12  # of the box's sides


@dataclass
class Known:
    """One object."""

    name: str = ""
    state: str = ""
    score: float = 0.0  # of the mask
    class_score: float | None = None  # None where the detector never named it
    thumbnail: bytes = b""
    number: int = 0  # of the thumbnail
    taken_at: int = -_THUMBNAIL_EVERY
    area_px: float = 0.0


class Objects:
    """The objects of one run. Ids up to `PERSON_IDS` are given here, those above by the detector's finds."""

    def __init__(self) -> None:
        self.hidden: frozenset[int] = frozenset()
        self._known: dict[int, Known] = {}
        self._pointed: set[int] = set()  # on their way to their frame
        self._removed: set[int] = set()
        self._last_id = 0

    def new_id(self) -> int:
        """The id of the next object that is pointed at.

        Raises:
            InputError: all are used up.
        """
        if self._last_id >= PERSON_IDS:
            raise InputError(f"{PERSON_IDS} objects were pointed at, which is the most; open the video anew")
        return self._last_id + 1

    def checked(self, object_id: int) -> int:
        """The id; raises `InputError` where nobody has it."""
        if object_id not in self._known and object_id not in self._pointed:
            have = ", ".join(f"#{number}" for number in sorted(self._known)) or "nobody"
            raise InputError(f"object #{object_id} is not followed (followed: {have})")
        return object_id

    def point_at(self, object_id: int) -> None:
        """Someone pointed at this object."""
        self._pointed.add(object_id)
        self._removed.discard(object_id)
        self._last_id = max(self._last_id, object_id) if object_id <= PERSON_IDS else self._last_id

    def is_pointed_at(self, object_id: int) -> bool:
        """Whether a prompt for it is still on its way."""
        return object_id in self._pointed

    def rename(self, object_id: int, label: str) -> None:
        if object_id in self._known:
            self._known[object_id].name = label

    def hide(self, object_id: int, hidden: bool) -> None:
        self.hidden = self.hidden | {object_id} if hidden else self.hidden - {object_id}

    def remove(self, object_id: int) -> None:
        """Out of sight at once; the run forgets it with its next frame."""
        self._removed.add(object_id)
        self.hidden |= {object_id}

    def take(self, frame: Frame, result: StepResult) -> None:
        """Take in one frame."""
        if result.masks is None:
            return
        here = result.masks.object_ids.tolist()
        self._removed &= set(here)
        self._pointed -= {prompt.object_id for prompt in result.prompts}
        for gone in set(self._known) - set(here):
            del self._known[gone]
            self.hidden -= {gone}
        for row, object_id in enumerate(here):
            known = self._known.setdefault(object_id, Known())
            known.name, known.state = result.masks.class_names[row], result.masks.states[row]
            known.score = float(result.masks.scores[row])
            known.class_score = result.masks[row].class_score
            box = result.masks.boxes_xyxy[row]
            area_px = float((box[2] - box[0]) * (box[3] - box[1]))
            is_due = frame.index - known.taken_at >= _THUMBNAIL_EVERY or area_px > 1.5 * known.area_px
            if known.state == "tracked" and area_px > 16 and is_due:
                known.thumbnail, known.number = _thumbnail(frame.image, box), frame.index + 1
                known.taken_at, known.area_px = frame.index, area_px

    def rows(self) -> list[dict[str, Any]]:
        """Who is followed, for the page."""
        return [
            {
                "id": object_id,
                "name": known.name,
                "state": known.state,
                "score": round(known.score, 2),
                "class_score": None if known.class_score is None else round(known.class_score, 2),
                "colour": "#{:02x}{:02x}{:02x}".format(*id_colour(object_id)),
                "hidden": object_id in self.hidden,
                "found": object_id > PERSON_IDS,
            }
            for object_id, known in sorted(self._known.items())
            if object_id not in self._removed
        ]

    def thumbnails(self) -> dict[int, tuple[int, bytes]]:
        """Number and JPEG of each object's picture."""
        return {key: (known.number, known.thumbnail) for key, known in self._known.items() if known.thumbnail}

    @staticmethod
    def timeline_rows(rows: Mapping[int, list[Any]]) -> list[dict[str, Any]]:
        """Spans of all objects that were ever seen, for the page: [state, from, to] in seconds."""
        return [
            {
                "id": object_id,
                "name": name,
                "colour": "#{:02x}{:02x}{:02x}".format(*id_colour(object_id)),
                "spans": [[state, round(begin, 3), round(end, 3)] for state, begin, end in spans],
            }
            for object_id, (name, spans, _) in sorted(rows.items())
            if spans
        ]

    @staticmethod
    def box_in(result: StepResult, object_id: int) -> np.ndarray | None:
        """The (4,) box of an object's mask in a result, None where it has none."""
        if result.masks is None:
            return None
        rows = np.flatnonzero(result.masks.object_ids == object_id)
        if not len(rows) or result.masks.states[rows[0]] != "tracked":
            return None
        box = result.masks.boxes_xyxy[rows[0]]
        return box if box[2] > box[0] and box[3] > box[1] else None


def _thumbnail(image: np.ndarray, box: np.ndarray) -> bytes:
    """A square cut around the box, the short side filled up with what is beside it."""
    height, width = image.shape[:2]
    side = min((1 + 2 * _MARGIN) * max(box[2] - box[0], box[3] - box[1]), min(height, width))
    x = float(np.clip((box[0] + box[2] - side) / 2, 0, width - side))
    y = float(np.clip((box[1] + box[3] - side) / 2, 0, height - side))
    cut = image[int(y) : int(np.ceil(y + side)), int(x) : int(np.ceil(x + side))]
    return encode_jpeg(cv2.resize(cut, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA))
