"""Records as people use them: lists in, rows, subsets and tables out."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from streamvos import masks as mask_codec
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, ObjectMasks, Prompt

FIRST, SECOND = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
FIRST[1:3, 1:4] = SECOND[0, 5] = True


@pytest.fixture
def masks() -> ObjectMasks:
    pictures = (FIRST, SECOND, np.zeros((4, 6), bool))
    return ObjectMasks(
        (4, 6),
        [2, 5, 7],
        [mask_codec.encode(picture) for picture in pictures],
        [mask_codec.tight_box(picture) for picture in pictures],
        [0.9, 0.5, 0.0],
        ["tracked", "tracked", "lost"],
        ["dog", "thing", ""],
        [0.75, np.nan, np.nan],
    )


@pytest.fixture
def found() -> Detections:
    return Detections([[0, 0, 2, 2], [1, 1, 3.5, 4]], [0.5, 0.75], [18, 3], ["dog", "car"], [2, -1])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ((1.5, 2, 3, 4), [1.5, 2, 3, 4]),
        (np.array([1, 2, 3, 4], np.float64), [1, 2, 3, 4]),
        (np.array([1, 2, 3, 4], np.uint8), [1, 2, 3, 4]),
    ],
    ids=["list", "tuple", "float64", "integers"],
)
def test_a_box_may_be_any_four_numbers(given, wanted):
    box = Prompt(0, 1, box=given).box
    assert box.dtype == np.float32 and box.tolist() == wanted


@pytest.mark.parametrize("given", [FIRST.astype(np.uint8), FIRST * 255, FIRST.astype(float), FIRST.tolist()])
def test_a_mask_may_be_of_numbers(given):
    assert np.array_equal(Prompt(0, 1, mask=given).mask, FIRST)


def test_points_and_labels_may_be_lists():
    prompt = Prompt(0, 1, points=[[1, 2], [3, 4.5]], labels=[1, 0])
    assert prompt.points.dtype == np.float32 and prompt.labels.tolist() == [True, False]


def test_a_frame_may_be_of_lists():
    frame = Frame("s", 0, 0.0, [[[1, 2, 255]]], depth_m=[[1.25]], intrinsics=np.eye(3, dtype=np.float32))
    assert frame.image.dtype == np.uint8 and frame.image.tolist() == [[[1, 2, 255]]]
    assert frame.depth_m.dtype == np.float32 and frame.intrinsics.dtype == np.float64


def test_what_has_the_right_form_is_not_copied():
    image = np.zeros((4, 6, 3), np.uint8)
    assert Frame("s", 0, 0.0, image).image is image


def test_nothing_found_may_be_empty_lists():
    nothing = Detections([], [], [], [], [])
    assert len(nothing) == 0 and nothing.boxes_xyxy.shape == (0, 4) and list(nothing) == []


def test_one_row_of_masks(masks):
    dog = masks[0]
    assert (dog.object_id, dog.class_name, dog.state) == (2, "dog", "tracked")
    assert dog.score == pytest.approx(0.9) and dog.class_score == 0.75 and masks[1].class_score is None
    assert np.array_equal(dog.mask, FIRST) and dog.box_xyxy.tolist() == [1, 1, 4, 3]
    assert masks[-1].object_id == 7 and [one.object_id for one in masks] == [2, 5, 7]
    assert masks.find(5).class_name == "thing" and masks.find(6) is None and masks.find(9) is None


@pytest.mark.parametrize(
    ("rows", "ids"),
    [
        (slice(1, None), [5, 7]),
        ([0, 2], [2, 7]),
        (np.array([True, False, True]), [2, 7]),
        ([False, True, False], [5]),
        ([], []),
        (np.array([-1]), [7]),
    ],
    ids=["slice", "rows", "bool array", "bool list", "none", "from the end"],
)
def test_some_rows_of_masks(masks, rows, ids):
    some = masks[rows]
    assert isinstance(some, ObjectMasks) and some.object_ids.tolist() == ids
    assert [len(some.rles), len(some.states), len(some.class_scores)] == [len(ids)] * 3


def test_wrong_rows(masks):
    for row in (3, -4):
        with pytest.raises(IndexError, match=f"row {row}: expected -3 to 2"):
            masks[row]
    for rows in ([True, False], "dog", [1.5], [7]):
        with pytest.raises(InputError, match="expected a row, a slice, rows from 0 to 2"):
            masks[rows]
    with pytest.raises(InputError, match="ascending"):
        masks[[2, 0]]


def test_all_masks_at_once(masks):
    assert masks.masks.shape == (3, 4, 6) and masks.masks.dtype == bool
    assert np.array_equal(masks.masks[:2], [FIRST, SECOND]) and not masks.masks[2].any()
    assert masks[[]].masks.shape == (0, 4, 6)


def test_rows_of_detections(found):
    car = found[1]
    assert (car.class_name, car.class_id, car.object_id, car.score) == ("car", 3, -1, 0.75)
    assert car.box_xyxy.tolist() == [1, 1, 3.5, 4]
    assert found[found.scores > 0.6].class_names == ("car",) and found[::-1].class_names == ("car", "dog")


def test_tables(masks, found):
    pytest.importorskip("pandas")
    table = masks.to_pandas()
    assert table["object_id"].tolist() == [2, 5, 7] and table["area_px"].tolist() == [6, 1, 0]
    assert table["class_score"].isna().tolist() == [False, True, True]
    assert table.loc[0, ["x1", "y1", "x2", "y2"]].tolist() == [1, 1, 4, 3]
    assert found.to_pandas()[["class_name", "object_id"]].to_numpy().tolist() == [["dog", 2], ["car", -1]]


def test_supervision(masks, found):
    pytest.importorskip("supervision")
    shown = masks.to_supervision()
    assert len(shown) == 2 and shown.tracker_id.tolist() == [2, 5]  # the lost one has no pixels
    assert np.array_equal(shown.mask, [FIRST, SECOND]) and shown.class_id.tolist() == [18, -1]
    assert shown.data["class_name"].tolist() == ["dog", "thing"] and shown.data["class_score"][0] == 0.75
    dets = found.to_supervision()
    assert np.array_equal(dets.xyxy, found.boxes_xyxy) and dets.confidence.tolist() == [0.5, 0.75]
    assert len(masks[[]].to_supervision()) == 0


@pytest.mark.parametrize(("name", "how"), [("supervision", "--no-deps supervision"), ("pandas", "pandas")])
def test_a_missing_library_is_named(masks, found, monkeypatch, name, how):
    monkeypatch.setitem(sys.modules, name, None)
    for record in (masks, found):
        with pytest.raises(InputError, match=f"pip install {how}"):
            getattr(record, f"to_{name}")()
