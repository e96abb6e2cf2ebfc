import numpy as np
import pytest
import torch

from pipelines.trackers.recall import distractor_score, near_cells, similarity_of_views


def disc(centre: tuple[int, int], radius: int, size: tuple[int, int] = (48, 80)) -> np.ndarray:
    rows, cols = np.mgrid[: size[0], : size[1]]
    return (rows - centre[0]) ** 2 + (cols - centre[1]) ** 2 <= radius**2


OWN = disc((20, 20), 8)


def test_a_view_is_alike_where_its_object_is_seen_anywhere() -> None:
    cells = torch.zeros(3, 10, 12)
    cells[0] = 1.0
    cells[:, 4:9, 3:8] = torch.tensor([0.6, 0.8, 0.0])[:, None, None]
    views = np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
    assert similarity_of_views(views, cells).tolist() == pytest.approx([1.0, 0.0, 1.0, 0.8])
    assert similarity_of_views(views[:1], cells[:, :1, :2]).tolist() == pytest.approx(
        [0.6]
    )  # fewer cells than it takes
    assert similarity_of_views(views[:0], cells).shape == (0,)


@pytest.mark.parametrize(
    ("other", "strength", "low", "high"),
    [
        ((30, 60), 0.0, 0.0, 0.0),
        ((30, 60), 0.5, 0.45, 0.55),
        ((30, 60), 1.0, 0.95, 1.0),
        ((30, 60), 3.0, 1.0, 1.0),
        ((20, 25), 1.0, 0.0, 0.35),  # beside the object, it is its own rim
    ],
    ids=["nothing", "half as alike", "as alike", "more alike", "its own rim"],
)
def test_the_best_region_elsewhere_counts(other: tuple[int, int], strength: float, low: float, high: float) -> None:
    scores = np.maximum(OWN.astype(np.float32), np.float32(strength) * disc(other, 8))
    assert low <= distractor_score(scores, OWN) <= high


def test_specks_are_no_distractor() -> None:
    scores = OWN.astype(np.float32)
    scores[40, 60] = scores[10, 70] = 1.0
    assert distractor_score(scores, OWN) < 0.1


def test_without_an_object_or_a_place_elsewhere_there_is_none() -> None:
    scores = np.ones((6, 6), np.float32)
    assert distractor_score(scores, np.zeros((6, 6), bool)) == 0.0
    assert distractor_score(scores, np.ones((6, 6), bool)) == 0.0
    assert distractor_score(-scores, disc((2, 2), 0, (6, 6))) == 0.0


@pytest.mark.parametrize(("rim", "rows", "cols"), [(0, (1, 2), (2, 4)), (1, (0, 3), (1, 5)), (9, (0, 5), (0, 7))])
def test_cells_near_an_object_by_hand(rim: int, rows: tuple[int, int], cols: tuple[int, int]) -> None:
    mask = torch.zeros(20, 28)
    mask[5:7, 9:13], mask[19, 0] = 1.0, 0.4  # cells of four: row 1, columns 2 and 3
    wanted = torch.zeros(5, 7, dtype=torch.bool)
    wanted[rows[0] : rows[1], cols[0] : cols[1]] = True
    assert torch.equal(near_cells(mask, rim), wanted)
