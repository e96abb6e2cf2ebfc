"""Regions of similarity maps: which part is found, what an occluder splits, what is held by others."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.segmentation.similarity_regions import best_region, inside, overlaps

GRID = (12, 20)
ALL = np.ones(GRID, bool)


def picture(**parts: tuple[int, int, int, int, float]) -> np.ndarray:
    """A similarity map of boxes (top, bottom, left, right, value) on 0."""
    similarity = np.zeros(GRID, np.float32)
    for top, bottom, left, right, value in parts.values():
        similarity[top:bottom, left:right] = value
    return similarity


def test_the_likest_part_is_found_not_the_largest() -> None:
    region = best_region(picture(large=(0, 12, 0, 9, 0.6), good=(3, 8, 14, 18, 1.0)), ALL, 0.35, 0.0)
    assert region.cells[5, 15] and not region.cells[5, 4]
    assert region.peak == pytest.approx(1.0) and region.mean > 0.7


def test_parts_that_an_occluder_splits_are_one_region_within_reach() -> None:
    similarity = picture(left=(3, 9, 2, 6, 1.0), right=(3, 9, 9, 13, 0.9))
    both = best_region(similarity, ALL, 0.35, 4.0)
    assert both.cells[5, 3] and both.cells[5, 11] and not both.cells[5, 7]
    alone = best_region(similarity, ALL, 0.35, 0.0)
    assert alone.cells[5, 3] and not alone.cells[5, 11]


def test_a_much_weaker_part_does_not_belong_to_it() -> None:
    region = best_region(picture(left=(3, 9, 2, 6, 1.0), right=(3, 9, 9, 13, 0.6)), ALL, 0.35, 10.0)
    assert not region.cells[5, 11]


def test_cells_that_others_hold_are_left_out() -> None:
    free = ALL.copy()
    free[:, 10:] = False
    assert best_region(picture(right=(3, 9, 12, 18, 1.0)), free, 0.35, 5.0) is None


def test_nothing_is_found_where_nothing_is_like_it() -> None:
    assert best_region(picture(faint=(3, 9, 2, 6, 0.3)), ALL, 0.35, 5.0) is None


def test_a_few_cells_do_not_make_a_peak() -> None:
    few = best_region(picture(few=(4, 6, 4, 6, 1.2)), ALL, 0.35, 0.0)
    assert few.cells.sum() >= 4 and few.peak < 1.0


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        pytest.param({(2, 2): 1.0, (2, 3): 1.0, (2, 4): 0.3}, 1.0, id="border cells do not count"),
        pytest.param({(2, 3): 0.4, (2, 4): 0.4}, 0.5, id="but where there are no others"),
        pytest.param({}, 0.0, id="empty"),
    ],
)
def test_mean_inside(share: dict[tuple[int, int], float], expected: float) -> None:
    cells = np.zeros(GRID, np.float32)
    for place, value in share.items():
        cells[place] = value
    assert inside(picture(own=(0, 12, 0, 4, 1.0)), cells) == pytest.approx(expected)


def test_regions_of_successive_frames_may_have_moved_a_little() -> None:
    one, near, far = (picture(box=(3, 7, left, left + 4, 1.0)) > 0 for left in (2, 5, 14))
    assert overlaps(one, near) and not overlaps(one, far)
