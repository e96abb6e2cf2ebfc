"""New things: which unmatched detections are believed, and whether one of them has been here before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines.association import AssociationConfig, box_window, same_group
from streamvos.boxes import box_iou
from streamvos.records import Detections

_MAX_RETIRED = 64  # objects that may be recognised after they were dropped; the oldest are forgotten
_MAX_VIEWS = 8  # of each


class Newcomers:
    """Detections that wait for a second sighting, and objects that left and may come back.

    Args:
        config: see `AssociationConfig`.
    """

    def __init__(self, config: AssociationConfig) -> None:
        self._config = config
        self._waiting: list[tuple[str, np.ndarray]] = []  # class and (4,) box of the detector's last run
        self._retired: OrderedDict[int, tuple[str, np.ndarray]] = OrderedDict()  # id: class, (n, C) unit vectors

    def believe(
        self,
        size: tuple[int, int],
        found: Detections,
        object_ids: np.ndarray,
        current: list[tuple[str, np.ndarray]],
    ) -> list[int]:
        """Rows of the detections that may start an object, best first.

        Args:
            size: (H, W) of the frame.
            found: M detections.
            object_ids: (M,) identity where one is matched, -1 elsewhere.
            current: class and (h, w) bool mask of each object that is seen now.
        """
        rows, waiting = [], []
        for row in np.argsort(-found.scores, kind="stable").tolist():
            box, name, score = found.boxes_xyxy[row], found.class_names[row], float(found.scores[row])
            if object_ids[row] != -1 or not self._is_thing(box, size, score):
                continue
            if self._covered(box, name, size, current) or self._is_double(found, row, object_ids, rows):
                continue
            seen_before = any(
                same_group(name, other) and box_iou(box[None], earlier[None])[0, 0] >= self._config.confirm_iou
                for other, earlier in self._waiting
            )
            if score >= self._config.sure_score or seen_before:
                rows.append(row)
            else:
                waiting.append((name, box))
        self._waiting = waiting
        return rows

    def recognise(
        self, seen: np.ndarray, class_name: str, lost: Mapping[int, tuple[str, np.ndarray]]
    ) -> tuple[int | None, str]:
        """Whether an appearance is that of an object which is lost or retired.

        Args:
            seen: (C,) unit vector of appearance.
            class_name: of the detection.
            lost: objects of this shot that are not seen now: class and (n, C) unit vectors.

        Returns:
            Its id and the reason; None where it is new.
        """
        best, best_likeness, best_limit = None, -1.0, 0.0
        for pool, limit in (
            (lost, self._config.min_likeness),
            (self._retired, self._config.min_likeness_across_cuts),
        ):
            for object_id, (name, views) in pool.items():
                if not len(views) or not same_group(class_name, name):
                    continue
                likeness = float((views @ seen).max())
                if likeness >= limit and likeness - limit > best_likeness - best_limit:
                    best, best_likeness, best_limit = object_id, likeness, limit
        if best is None:
            return None, "new object"
        return best, f"returned, likeness {best_likeness:.2f} >= {best_limit:.2f}"

    def retire(self, object_id: int, class_name: str, views: np.ndarray) -> None:
        """Remember what an object that is no longer followed looks like; views are (n, C) unit vectors."""
        self._retired[object_id] = (class_name, views[-_MAX_VIEWS:].copy())
        while len(self._retired) > _MAX_RETIRED:
            self._retired.popitem(last=False)

    def forget(self, object_id: int) -> None:
        self._retired.pop(object_id, None)

    def start_shot(self) -> None:
        self._waiting = []

    def state_dict(self) -> dict[str, Any]:
        return {"waiting": list(self._waiting), "retired": dict(self._retired)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._waiting = [tuple(item) for item in state["waiting"]]
        self._retired = OrderedDict((object_id, tuple(item)) for object_id, item in state["retired"].items())

    def _is_thing(self, box: np.ndarray, size: tuple[int, int], score: float) -> bool:
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        return score >= self._config.min_new_score and area >= self._config.min_area_share * size[0] * size[1]

    def _is_double(self, found: Detections, row: int, object_ids: np.ndarray, believed: list[int]) -> bool:
        """Whether the detector names a thing of the same class here that has its identity already."""
        for other in [*np.flatnonzero(object_ids != -1).tolist(), *believed]:
            if found.class_names[other] != found.class_names[row]:
                continue
            overlap = box_iou(found.boxes_xyxy[row][None], found.boxes_xyxy[other][None])[0, 0]
            if overlap > self._config.max_double_iou:
                return True
        return False

    def _covered(
        self, box: np.ndarray, name: str, size: tuple[int, int], current: list[tuple[str, np.ndarray]]
    ) -> bool:
        """Whether most of the box lies in the mask of one object of its group: a part, or a second look at it."""
        for other, mask in current:
            if other and not same_group(name, other):
                continue
            inside = mask[box_window(box, mask.shape, size, 0.0)]
            if inside.size and inside.mean() > self._config.max_covered:
                return True
        return False
