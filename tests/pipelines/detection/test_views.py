"""Quarters of a frame: where they lie, what they show whole, and how what was found there comes back."""

import numpy as np
import pytest

from pipelines.detection.views import NAMES, View, quarters_of, to_frame, together
from streamvos.models.candidates import Candidates

SIZE = (100, 200)  # of the frame; quarters are 60 x 120


@pytest.mark.parametrize("size", [(100, 200), (101, 203), (3, 5), (1, 1)])
def test_quarters_cover_the_frame_and_overlap(size):
    views, seen = quarters_of(size), np.zeros(size, int)
    assert len(views) == len(NAMES) == 4
    for view in views:
        assert view.left >= 0 and view.top >= 0 and view.right <= size[1] and view.bottom <= size[0]
        seen[view.top : view.bottom, view.left : view.right] += 1
    assert seen.min() >= 1
    assert len({(view.right - view.left, view.bottom - view.top) for view in views}) == 1


def test_the_quarters_by_hand():
    assert quarters_of(SIZE) == (
        View(0, 0, 120, 60),
        View(80, 0, 200, 60),
        View(0, 40, 120, 100),
        View(80, 40, 200, 100),
    )


@pytest.mark.parametrize(
    "box, taken",
    [
        pytest.param((10, 10, 40, 40), True, id="inside"),
        pytest.param((0, 0, 30, 30), True, id="at-the-frame's-own-border"),
        pytest.param((90, 10, 119, 30), False, id="at-the-inner-border-on-the-right"),
        pytest.param((10, 30, 30, 59.5), False, id="at-the-inner-border-below"),
        pytest.param((90, 10, 117, 30), True, id="just-before-the-inner-border"),
        pytest.param((10, 5, 100, 55), False, id="more-than-three-tenths-of-the-quarter"),
        pytest.param((150, 10, 160, 20), False, id="elsewhere"),
    ],
)
def test_a_quarter_takes_what_it_shows_whole_and_small(box, taken):
    view = quarters_of(SIZE)[0]
    assert view.takes(np.array([box], np.float32), SIZE).tolist() == [taken]


def test_candidates_come_back_in_pixels_of_the_frame():
    view = quarters_of(SIZE)[3]
    boxes = np.array([[10, 10, 30, 30], [-5, 10, 15, 30], [100, 40, 140, 70], [50, 20, 60, 30]], np.float32)
    scores = np.zeros((4, 5), np.float32)
    scores[:3, 2] = 0.8
    found = to_frame(Candidates(boxes, scores, (60, 120)), view, SIZE)
    # the second is cut by the inner border, the third is clipped at the frame's own, the last scores nothing
    assert found.boxes_xyxy.tolist() == [[90, 50, 110, 70], [180, 80, 200, 100]]
    assert found.scores.shape == (2, 5) and found.size == SIZE


def test_what_several_views_show_is_one():
    whole = Candidates(np.zeros((3, 4), np.float32), np.zeros((3, 5), np.float32), SIZE)
    part = Candidates(np.ones((2, 4), np.float32), np.ones((2, 5), np.float32), SIZE)
    both = together([whole, part])
    assert both.boxes_xyxy.shape == (5, 4) and both.scores[:, 1].tolist() == [0, 0, 0, 1, 1]
    assert together([whole]).boxes_xyxy.shape == (3, 4)


def test_the_picture_of_a_view():
    image = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)
    part = quarters_of(SIZE)[1].cut_out(image)
    assert part.flags.c_contiguous and np.array_equal(part, image[:60, 80:])
