import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval.metrics.detection import motion_bins, motion_ious, score_detections, to_coco_results

CATEGORIES = {1: "car", 2: "dog"}
# recall 0.5 at precision 1, recall 1 at precision 2/3: 51 of 101 recalls at 1, 50 at 2/3
BETWEEN = (100 * (51 + 50 * 2 / 3) / 101,) * 3


def box(image_id: int, left: float = 0, category_id: int = 1, width: float = 100) -> dict:
    return {"image_id": image_id, "category_id": category_id, "bbox": [left, 0, width, 100], "iscrowd": 0}


def found(image_id: int, score: float, left: float = 0, category_id: int = 1, width: float = 100) -> list[float]:
    return [image_id, category_id, left, 0, width, 100, score]


@pytest.mark.parametrize(
    "detections, expected",
    [
        pytest.param([found(0, 0.9), found(1, 0.8)], (100, 100, 100), id="perfect"),
        pytest.param([], (0, 0, 0), id="nothing-found"),
        pytest.param([found(0, 0.9), found(0, 0.8, left=300), found(1, 0.7)], BETWEEN, id="an-error-between-two"),
        # IoU 0.62 is enough at 0.5, 0.55 and 0.6 of ten thresholds
        pytest.param([found(0, 0.9, width=62), found(1, 0.8, width=62)], (30, 100, 0), id="too-narrow"),
        pytest.param([found(0, 0.9), found(0, 0.8), found(1, 0.7)], BETWEEN, id="found-twice"),
    ],
)
def test_average_precision_by_hand(detections, expected):
    scores = score_detections([box(0), box(1)], np.array(detections).reshape(-1, 7), [0, 1], CATEGORIES)
    assert tuple(scores.by_class["car"].values()) == pytest.approx(expected)
    assert list(scores.by_class) == ["car"]  # dogs have no truth here


def test_a_class_that_is_never_found_counts_as_zero():
    truth = [box(0), box(0, category_id=2)]
    scores = score_detections(truth, np.array([found(0, 0.9)]), [0], CATEGORIES)
    assert scores.mean("AP50") == pytest.approx(50)
    assert scores.mean("AP50", ["car"]) == pytest.approx(100)
    assert scores.mean("AP50", ["cat"]) is None
    assert score_detections([], np.array([found(0, 0.9)]), [0], CATEGORIES).mean("AP") is None


def test_only_the_images_asked_for_count():
    truth, detections = [box(0), box(1)], np.array([found(0, 0.9), found(1, 0.99, left=500)])
    assert score_detections(truth, detections, [0], CATEGORIES).mean("AP50") == pytest.approx(100)
    assert score_detections(truth, detections, [1], CATEGORIES).mean("AP50") == 0


def test_ignored_truth_need_not_be_found_and_may_be():
    truth, ignored = [box(0), box(0, left=300)], np.array([False, True])
    alone = np.array([found(0, 0.5)])
    both = np.array([found(0, 0.5), found(0, 0.9, left=300)])
    wrong = np.array([found(0, 0.5), found(0, 0.9, left=600)])
    for detections, expected in ((alone, 100), (both, 100), (wrong, 50)):
        scores = score_detections(truth, detections, [0], CATEGORIES, ignored)
        assert scores.mean("AP50") == pytest.approx(expected)
    assert not score_detections(truth, both, [0], CATEGORIES, np.array([True, True])).by_class


def test_motion_iou_by_hand():
    def at(instance: int, index: int, left: float) -> tuple[int, int, tuple[float, float, float, float]]:
        return instance, index, (left, 0, 10, 10)

    still = [at(1, index, 0) for index in range(3)]
    steps = [at(2, index, 5 * index) for index in range(3)]  # IoU 1/3 with the next, 0 with the one after
    far = [at(3, 0, 0), at(3, 11, 100)]  # eleven frames apart: no neighbours
    mixed = [steps[0], still[0], far[1], steps[2], still[2], still[1], far[0], steps[1]]
    expected = [1 / 6, 1, 1, 1 / 6, 1, 1, 1, 1 / 3]
    assert motion_ious(mixed) == pytest.approx(expected)
    assert motion_ious([]).shape == (0,)


def test_motion_bins_at_their_edges():
    assert motion_bins(np.array([1, 0.91, 0.9, 0.7, 0.69, 0])).tolist() == ["slow"] * 2 + ["medium"] * 2 + ["fast"] * 2


def test_agrees_with_pycocotools_as_it_comes(tmp_path):
    rng = np.random.default_rng(3)
    truth, rows = [], []
    for image_id in range(1, 41):
        for _ in range(rng.integers(0, 4)):
            place = [*rng.uniform(0, 400, 2), *rng.uniform(20, 200, 2)]
            category_id = int(rng.integers(1, 3))
            truth.append({"image_id": image_id, "category_id": category_id, "bbox": place, "iscrowd": 0})
            if rng.random() < 0.8:
                rows.append([image_id, category_id, *(np.array(place) + rng.normal(0, 8, 4)), rng.random()])
        rows.append([image_id, int(rng.integers(1, 3)), *rng.uniform(20, 200, 4), rng.random()])
    ours = score_detections(truth, np.array(rows), range(1, 41), CATEGORIES)
    document = {
        "images": [{"id": image_id} for image_id in range(1, 41)],
        "categories": [{"id": category_id, "name": name} for category_id, name in CATEGORIES.items()],
        "annotations": [{**one, "id": n, "area": one["bbox"][2] * one["bbox"][3]} for n, one in enumerate(truth, 1)],
    }
    (tmp_path / "truth.json").write_text(json.dumps(document))
    (tmp_path / "found.json").write_text(json.dumps(to_coco_results(np.array(rows))))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "truth.json"))
        official = COCOeval(coco, coco.loadRes(str(tmp_path / "found.json")), "bbox")
        official.evaluate()
        official.accumulate()
        official.summarize()
    assert 20 < 100 * official.stats[0] < 95
    for measure, value in zip(("AP", "AP50", "AP75"), official.stats[:3], strict=True):
        assert ours.mean(measure) == pytest.approx(100 * value, abs=1e-9)


def test_sizes_count_apart():
    """As COCO's AP small: truth of other sizes is ignored, and so is what is found of another size without truth."""
    small, large = box(0, width=10), box(0, left=300)
    detections = np.array([found(0, 0.9), found(0, 0.8, left=600), found(0, 0.7, width=10)])
    scores = score_detections([small, large], detections, [0], CATEGORIES, areas_px=(0, 2000))
    assert scores.mean("AP50") == pytest.approx(100)  # the two of 100x100 are no errors among the small
    assert score_detections([large], detections, [0], CATEGORIES, areas_px=(0, 2000)).mean("AP50") is None
