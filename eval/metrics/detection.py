"""Average precision of boxes in video, by pycocotools, also apart by how fast things move.

Motion as in FGFA (Zhu et al., ICCV 2017): the motion IoU of a box is its mean IoU with the boxes of the same instance
up to ten frames before and after. Things are slow above 0.9, fast below 0.7, medium between. Scores of a bin ignore
the truth of the others: it need not be found, and finding it is no error.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from streamvos.boxes import box_iou

MEASURES = ("AP", "AP50", "AP75")
MOTION_BINS = ("slow", "medium", "fast")
_REACH = 10  # frames
_LARGEST = 1e10  # area that pycocotools takes for the largest; truth beyond it is ignored, boxes come out smaller
_MAX_DETECTIONS = 100  # of a class in a frame, as COCO counts


@dataclass(frozen=True)
class DetectionScores:
    """Average precision of each class that has truth, in percent.

    Args:
        by_class: by the name of the class, one value for each of `MEASURES`.
    """

    by_class: Mapping[str, Mapping[str, float]]

    def mean(self, measure: str, names: Collection[str] | None = None) -> float | None:
        """Mean over classes, all of them or those named; None where none of them has truth."""
        values = [scores[measure] for name, scores in self.by_class.items() if names is None or name in names]
        return float(np.mean(values)) if values else None


def score_detections(
    truth: Sequence[Mapping[str, Any]],
    detections: np.ndarray,
    image_ids: Collection[int],
    categories: Mapping[int, str],
    ignored: np.ndarray | None = None,
) -> DetectionScores:
    """AP over IoU 0.5 to 0.95, and at 0.5 and 0.75.

    Args:
        truth: COCO annotations with `image_id`, `category_id`, `bbox` (left, top, width, height) and `iscrowd`.
        detections: (N, 7) float64, each image_id, category_id, left, top, width, height, score.
        image_ids: of the images that count; truth and detections elsewhere are left out.
        categories: names by id.
        ignored: (len(truth),) bool, truth that need not be found and may be.
    """
    wanted = set(image_ids)
    hidden = np.zeros(len(truth), bool) if ignored is None else ignored
    annotations = [
        {**one, "area": 2 * _LARGEST if skip else one["bbox"][2] * one["bbox"][3]}
        for one, skip in zip(truth, hidden, strict=True)
        if one["image_id"] in wanted
    ]
    found = [one for one in to_coco_results(detections) if one["image_id"] in wanted]
    present = {one["category_id"] for one in annotations if one["area"] <= _LARGEST and not one["iscrowd"]}
    if not present:
        return DetectionScores({})
    precision = _precision(annotations, found, sorted(wanted), sorted(present))  # (thresholds, recalls, classes)
    by_class = {}
    for row, category_id in enumerate(sorted(present)):
        values = {"AP": precision[..., row], "AP50": precision[0, :, row], "AP75": precision[5, :, row]}
        by_class[categories[category_id]] = {measure: 100 * float(values[measure].mean()) for measure in MEASURES}
    return DetectionScores(by_class)


def to_coco_results(detections: np.ndarray) -> list[dict[str, Any]]:
    """Rows as `score_detections` takes them in COCO's format of results."""
    return [
        {"image_id": int(row[0]), "category_id": int(row[1]), "bbox": list(row[2:6]), "score": row[6]}
        for row in np.asarray(detections, np.float64).reshape(-1, 7).tolist()
    ]


def motion_ious(boxes: Iterable[tuple[Any, int, Sequence[float]]]) -> np.ndarray:
    """How much each box overlaps its instance's boxes up to ten frames away.

    Args:
        boxes: instance (anything that can be hashed), place in the video, (left, top, width, height).

    Returns:
        (N,) float64 in [0, 1]; 1 for a box without neighbours, of which no motion is known.
    """
    tracks: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    corners = []
    for row, (instance, index, (left, top, width, height)) in enumerate(boxes):
        tracks[instance].append((index, row))
        corners.append((left, top, left + width, top + height))
    xyxy, motion = np.array(corners, np.float64).reshape(-1, 4), np.ones(len(corners))
    for track in tracks.values():
        places, rows = (np.array(column) for column in zip(*sorted(track), strict=True))
        for at, place in enumerate(places):
            first, last = np.searchsorted(places, [place - _REACH, place + _REACH + 1])
            others = np.delete(np.arange(first, last), at - first)
            if len(others):
                motion[rows[at]] = box_iou(xyxy[rows[at]][None], xyxy[rows[others]]).mean()
    return motion


def motion_bins(motion: np.ndarray) -> np.ndarray:
    """The name out of `MOTION_BINS` for each motion IoU."""
    return np.where(motion > 0.9, "slow", np.where(motion < 0.7, "fast", "medium"))


def _precision(
    annotations: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    image_ids: Sequence[int],
    category_ids: Sequence[int],
) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        evaluation = COCOeval(
            _coco(annotations, image_ids, category_ids), _coco(found, image_ids, category_ids), iouType="bbox"
        )
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, _LARGEST]], ["all"]
        evaluation.params.maxDets = [_MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., 0, 0]


def _coco(annotations: Sequence[Mapping[str, Any]], image_ids: Sequence[int], category_ids: Sequence[int]) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image_id} for image_id in image_ids],
        "categories": [{"id": category_id} for category_id in category_ids],
        # numbered from 1: for pycocotools a match with number 0 is none
        "annotations": [
            {"area": one["bbox"][2] * one["bbox"][3], "iscrowd": 0, **one, "id": number}
            for number, one in enumerate(annotations, start=1)
        ],
    }
    coco.createIndex()
    return coco
