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
_THRESHOLDS = (slice(None), 0, 5)  # out of IoU 0.5, 0.55 ... 0.95
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
    areas_px: tuple[float, float] = (0, _LARGEST),
) -> DetectionScores:
    """AP over IoU 0.5 to 0.95, and at 0.5 and 0.75.

    Args:
        truth: COCO annotations with `image_id`, `category_id`, `bbox` (left, top, width, height) and `iscrowd`.
        detections: (N, 7) float64, each image_id, category_id, left, top, width, height, score.
        image_ids: of the images that count; truth and detections elsewhere are left out.
        categories: names by id.
        ignored: (len(truth),) bool, truth that need not be found and may be.
        areas_px: smallest and largest area of a box that counts, as COCO tells small things from large ones; truth of
            other sizes is ignored, and so is what is found without truth and has another size.
    """
    wanted = set(image_ids)
    hidden = np.zeros(len(truth), bool) if ignored is None else ignored
    annotations = [
        {**one, "area": 2 * _LARGEST if skip else one["bbox"][2] * one["bbox"][3]}
        for one, skip in zip(truth, hidden, strict=True)
        if one["image_id"] in wanted
    ]
    found = detections[np.isin(detections[:, 0], list(wanted))]
    low, high = areas_px
    present = {one["category_id"] for one in annotations if low <= one["area"] <= high and not one["iscrowd"]}
    by_class = {}
    for category_id in sorted(present):  # apart: pycocotools looks at every image for every class that it is given
        boxes = [one for one in annotations if one["category_id"] == category_id]
        precision = _precision(boxes, to_coco_results(found[found[:, 1] == category_id]), areas_px)
        by_class[categories[category_id]] = {
            measure: 100 * float(precision[part].mean()) for measure, part in zip(MEASURES, _THRESHOLDS, strict=True)
        }
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
    annotations: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], areas_px: tuple[float, float]
) -> np.ndarray:
    """(IoU thresholds, recalls) float64 precision of one class."""
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        evaluation = COCOeval(_coco(annotations), _coco(found), iouType="bbox")
        evaluation.params.imgIds = sorted({one["image_id"] for one in (*annotations, *found)})
        evaluation.params.catIds = [annotations[0]["category_id"]]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [list(areas_px)], ["all"]
        evaluation.params.maxDets = [_MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., 0, 0, 0]


def _coco(annotations: Sequence[Mapping[str, Any]]) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image_id} for image_id in {one["image_id"] for one in annotations}],
        "categories": [{"id": category_id} for category_id in {one["category_id"] for one in annotations}],
        # numbered from 1: for pycocotools a match with number 0 is none
        "annotations": [
            {"area": one["bbox"][2] * one["bbox"][3], "iscrowd": 0, **one, "id": number}
            for number, one in enumerate(annotations, start=1)
        ],
    }
    coco.createIndex()
    return coco
