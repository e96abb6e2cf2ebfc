"""New things: which unmatched detections are believed, and whether one of them has been here before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pipelines.segmentation.matching import AssociationConfig, box_window, same_group
from streamvos.boxes import box_iou
from streamvos.records import Detections

_MAX_RETIRED = 64  # objects that may be recognised after they were dropped; the oldest are forgotten
_MAX_VIEWS = 8  # of each
_DECLINED_RUNS = 10  # of the detector, for which what was declined is left out
_DECLINED_IOU = 0.7  # with what was declined, from which a detection is that again


class _Retired(NamedTuple):
    """What is kept of an object that is no longer followed; `views` are (n, C) unit vectors."""

    class_name: str
    views: np.ndarray
    of_this_shot: bool


class Newcomers:
    """Detections that wait for a second sighting, and objects that left and may come back.

    Args:
        config: see `AssociationConfig`.
    """

    def __init__(self, config: AssociationConfig) -> None:
        self._config = config
        self._waiting: list[tuple[str, np.ndarray]] = []  # class and (4,) box of the detector's last run
        self._retired: OrderedDict[int, _Retired] = OrderedDict()
        self._declined: list[tuple[str, np.ndarray, int]] = []  # class, (4,) box, runs of the detector it is left out

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
        self._declined = [(name, box, runs - 1) for name, box, runs in self._declined if runs > 1]
        for row in np.argsort(-found.scores, kind="stable").tolist():
            box, name, score = found.boxes_xyxy[row], found.class_names[row], float(found.scores[row])
            if object_ids[row] != -1 or not self._is_thing(box, size, score) or self._was_declined(name, box):
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

    def decline(self, class_name: str, box_xyxy: np.ndarray) -> None:
        """Leave out a believed detection for a while: nothing can be made of it."""
        self._declined.append((class_name, box_xyxy, _DECLINED_RUNS))

    def recognise(
        self,
        seen: np.ndarray,
        class_name: str,
        lost: Mapping[int, tuple[str, np.ndarray]],
        present: Mapping[int, tuple[str, np.ndarray]],
    ) -> tuple[int | None, str]:
        """Whether an appearance is that of an object which is lost or retired.

        Args:
            seen: (C,) unit vector of appearance.
            class_name: of the detection.
            lost: objects of this shot that may be it: class and (n, C) unit vectors.
            present: objects that it cannot be, likewise; what is like them is nobody's return.

        Returns:
            Its id and the reason; None where it is new.
        """
        retired = {key: (past.class_name, past.views) for key, past in self._retired.items()}
        likeness = {
            object_id: float((views @ seen).max())
            for object_id, (name, views) in {**retired, **lost, **present}.items()
            if len(views) and same_group(class_name, name)
        }
        best, reason = None, "new object"
        for object_id, value in likeness.items():
            if object_id in present or (best is not None and value <= likeness[best]):
                continue
            lead = value - max((other for key, other in likeness.items() if key != object_id), default=-1.0)
            known = self._known(value, lead, object_id in lost or self._retired[object_id].of_this_shot)
            if known:
                best, reason = object_id, f"returned, likeness {value:.2f} {known}"
        return best, reason

    def retire(self, object_id: int, class_name: str, views: np.ndarray) -> None:
        """Remember what an object that is no longer followed looks like; views are (n, C) unit vectors."""
        self._retired[object_id] = _Retired(class_name, views[-_MAX_VIEWS:].copy(), True)
        while len(self._retired) > _MAX_RETIRED:
            self._retired.popitem(last=False)

    def forget(self, object_id: int) -> None:
        self._retired.pop(object_id, None)

    def start_shot(self) -> None:
        self._waiting, self._declined = [], []
        for object_id, past in self._retired.items():
            self._retired[object_id] = past._replace(of_this_shot=False)

    def state_dict(self) -> dict[str, Any]:
        waiting, declined = list(self._waiting), list(self._declined)
        return {
            "waiting": waiting,
            "declined": declined,
            "retired": {key: tuple(past) for key, past in self._retired.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._waiting = [tuple(item) for item in state["waiting"]]
        self._declined = [tuple(item) for item in state["declined"]]
        self._retired = OrderedDict((object_id, _Retired(*item)) for object_id, item in state["retired"].items())

    def _known(self, value: float, lead: float, of_this_shot: bool) -> str:
        """What makes a likeness enough, "" where it is not."""
        rules = self._config
        limit = rules.min_likeness if of_this_shot else rules.min_likeness_across_cuts
        if value >= limit:
            return f">= {limit:.2f}"
        if of_this_shot and value >= rules.min_leading_likeness and lead >= rules.min_lead:
            return f">= {rules.min_leading_likeness:.2f}, and no other of its kind within {rules.min_lead:.2f}"
        return ""

    def _is_thing(self, box: np.ndarray, size: tuple[int, int], score: float) -> bool:
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        return score >= self._config.min_new_score and area >= self._config.min_area_share * size[0] * size[1]

    def _was_declined(self, class_name: str, box: np.ndarray) -> bool:
        return any(
            class_name == name and box_iou(box[None], earlier[None])[0, 0] >= _DECLINED_IOU
            for name, earlier, _ in self._declined
        )

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
