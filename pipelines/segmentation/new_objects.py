"""New objects: which unmatched detections are confirmed, and whether one of them has been here before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from memory_bank.appearance import RetiredObjects
from pipelines.scores import ScoreThresholds
from pipelines.segmentation.matching import MatchingRules, box_window, contained, grown, same_group, shared
from streamvos.boxes import box_iou
from streamvos.records import Detections

_WAITING_RUNS = 2  # of the detector, in which a second sighting counts
_DECLINED_RUNS = 10  # of the detector, for which what was declined is left out
_DECLINED_IOU = 0.7  # with what was declined, from which a detection is that again


class Taken(NamedTuple):
    """What an object that is seen now explains: its (h, w) bool mask; its detection's (4,) box, None where none."""

    class_name: str
    mask: np.ndarray
    own_box: np.ndarray | None


class NewObjects:
    """Its state: detections that wait for a second sighting, and those of which nothing could be made.

    Args:
        scores: from which a detection may start an object.
        min_area_share: of the frame; smaller things start no object.
        retired: objects that left and may come back.
        rules: see `MatchingRules`.
    """

    def __init__(
        self,
        scores: ScoreThresholds,
        min_area_share: float,
        retired: RetiredObjects,
        rules: MatchingRules | None = None,
    ) -> None:
        self._scores, self._min_area_share = scores, min_area_share
        self._retired, self._rules = retired, rules or MatchingRules()
        self.reset()

    def reset(self) -> None:
        # class, (4,) box, score, and runs of the detector for which it waits for another sighting
        self._waiting: list[tuple[str, np.ndarray, float, int]] = []
        self._declined: list[tuple[str, np.ndarray, int]] = []  # class, (4,) box, runs of the detector it is left out

    def confirm(
        self,
        size: tuple[int, int],
        found: Detections,
        object_ids: np.ndarray,
        taken: Sequence[Taken],
    ) -> list[int]:
        """Rows of the detections that may start an object, best first.

        Args:
            size: (H, W) of the frame.
            found: M detections.
            object_ids: (M,) identity where one is matched, -1 elsewhere.
            taken: what the objects that are seen now explain.
        """
        rows: list[int] = []
        waiting = [(name, at, score, runs - 1) for name, at, score, runs in self._waiting if runs > 1]
        self._declined = [(name, box, runs - 1) for name, box, runs in self._declined if runs > 1]
        for row in np.argsort(-found.scores, kind="stable").tolist():
            box, name, score = found.boxes_xyxy[row], found.class_names[row], float(found.scores[row])
            if object_ids[row] != -1 or not self._is_thing(box, size) or self._was_declined(name, box):
                continue
            if self._is_explained(box, name, size, taken) or self._is_double(found, row, object_ids, rows):
                continue
            earlier = [
                before
                for other, at, before, _ in self._waiting
                if same_group(name, other) and self._may_have_moved(at, box)
            ]
            both = (score + max(earlier)) / 2 if earlier else 0.0
            if score >= self._scores.start_at_once or both >= self._scores.start:
                rows.append(row)
            else:
                waiting.append((name, box, score, _WAITING_RUNS))
        self._waiting = waiting
        return rows

    def decline(self, class_name: str, box_xyxy: np.ndarray) -> None:
        """Leave out a confirmed detection for a while: nothing can be made of it."""
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
        retired = self._retired.read()
        left = {key: (past.class_name, past.views) for key, past in retired.items()}
        similarity = {
            object_id: float((views @ seen).max())
            for object_id, (name, views) in {**left, **lost, **present}.items()
            if len(views) and same_group(class_name, name)
        }
        best, reason = None, "a new object"
        for object_id, value in similarity.items():
            if object_id in present or (best is not None and value <= similarity[best]):
                continue
            lead = value - max((other for key, other in similarity.items() if key != object_id), default=-1.0)
            known = self._known(value, lead, object_id in lost or retired[object_id].of_this_shot)
            if known:
                best, reason = object_id, f"it returned, similarity {value:.2f} {known}"
        return best, reason

    def start_shot(self) -> None:
        """What was seen in another shot neither confirms nor declines anything."""
        self.reset()

    def state_dict(self) -> dict[str, Any]:
        return {"waiting": list(self._waiting), "declined": list(self._declined)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._waiting = [tuple(item) for item in state["waiting"]]
        self._declined = [tuple(item) for item in state["declined"]]

    def _known(self, value: float, lead: float, of_this_shot: bool) -> str:
        """What makes a similarity enough, "" where it is not."""
        rules = self._rules
        limit = rules.min_similarity if of_this_shot else rules.min_similarity_across_cuts
        if value >= limit:
            return f">= {limit:.2f}"
        if of_this_shot and value >= rules.min_leading_similarity and lead >= rules.min_lead:
            return f">= {rules.min_leading_similarity:.2f}, and no other of its kind within {rules.min_lead:.2f}"
        return ""

    def _is_thing(self, box: np.ndarray, size: tuple[int, int]) -> bool:
        return float((box[2] - box[0]) * (box[3] - box[1])) >= self._min_area_share * size[0] * size[1]

    def _was_declined(self, class_name: str, box: np.ndarray) -> bool:
        return any(
            class_name == name and box_iou(box[None], earlier[None])[0, 0] >= _DECLINED_IOU
            for name, earlier, _ in self._declined
        )

    def _is_double(self, found: Detections, row: int, object_ids: np.ndarray, confirmed: list[int]) -> bool:
        """Whether the detector names a thing of the same class here that has its identity already."""
        for other in [*np.flatnonzero(object_ids != -1).tolist(), *confirmed]:
            if found.class_names[other] != found.class_names[row]:
                continue
            overlap = box_iou(found.boxes_xyxy[row][None], found.boxes_xyxy[other][None])[0, 0]
            if overlap > self._rules.max_double_iou:
                return True
        return False

    def _may_have_moved(self, earlier: np.ndarray, box: np.ndarray) -> bool:
        margin = self._rules.confirm_margin
        return box_iou(grown(box, margin)[None], grown(earlier, margin)[None])[0, 0] >= self._rules.confirm_iou

    def _is_explained(self, box: np.ndarray, name: str, size: tuple[int, int], taken: Sequence[Taken]) -> bool:
        """Whether the box is a part of an object of its group or a second look at it, or a look at a group of them.

        An object's mask explains nothing that is apart from what the detector saw of it: there it is on another thing.
        """
        held = 0
        for one in taken:
            if one.class_name and not same_group(name, one.class_name):
                continue
            inside = one.mask[box_window(box, one.mask.shape, size, 0.0)]
            apart = one.own_box is not None and shared(box, one.own_box) < self._rules.max_shared
            if not apart and inside.size and inside.mean() > self._rules.max_covered:
                return True
            held += one.own_box is not None and contained(box, one.mask, size) >= self._rules.min_inside
        return held > 1
