import numpy as np
import pytest

from eval.running.trackers import CopyFirstMask, SessionTracker, TimedRun
from pipelines.graph.build import GraphConfig

SIZE = (96, 128)


def square(object_id: int, left: int) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    labels[30:66, left : left + 36] = object_id
    return labels


def picture(labels: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 90, (*SIZE, 3)).astype(np.uint8)
    for object_id in (1, 2):
        image[labels == object_id] = 0
        image[labels == object_id, object_id] = 200
    return image


def late_second_object() -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Object 1 from the beginning, object 2 given in frame 2; both stand still."""
    one, both = square(1, 10), square(1, 10) + square(2, 80)
    return [(picture(one), one), (picture(one), None), (picture(both), square(2, 80)), *[(picture(both), None)] * 3]


def test_copy_holds_each_first_mask() -> None:
    run = TimedRun(CopyFirstMask())
    results = list(run(iter(late_second_object())))
    assert run.num_frames == 6 and run.seconds > 0
    assert [np.unique(labels).tolist() for labels in results] == [[0, 1]] * 2 + [[0, 1, 2]] * 4
    assert np.array_equal(results[-1], square(1, 10) + square(2, 80))


@pytest.mark.parametrize("frame", [1, 2, 5])
def test_session_takes_objects_at_any_frame(frame: int) -> None:
    make = SessionTracker(GraphConfig(stages=("segment",), size=96))
    results = list(TimedRun(make)(iter(late_second_object())))
    truth = square(1, 10) + (square(2, 80) if frame >= 2 else 0)
    assert (results[frame] == truth).mean() > 0.95


def test_what_is_given_is_the_result_and_void_is_no_object() -> None:
    given = square(1, 10)
    given[:10] = 255
    (labels,) = TimedRun(CopyFirstMask())(iter([(picture(square(1, 10)), given)]))
    assert np.array_equal(labels, square(1, 10))


def test_only_the_box_of_what_is_given_is_shown() -> None:
    rows, cols = np.mgrid[: SIZE[0], : SIZE[1]] - np.array([48, 50])[:, None, None]
    disc = (rows**2 + cols**2 < 20**2).astype(np.uint8)
    seen = (abs(rows) + abs(cols) < 20).astype(np.uint8)  # the picture shows a diamond in the disc's box
    make = SessionTracker(GraphConfig(stages=("segment",), size=96), first="box")
    (labels,) = TimedRun(make, keep_given=False)(iter([(picture(seen), disc)]))
    assert (labels != seen).mean() < 0.01 < (labels != disc).mean()
    (filled,) = TimedRun(CopyFirstMask(first="box"), keep_given=False)(iter([(picture(seen), disc)]))
    assert filled[28, 30] == 0 and filled[29, 31] == filled[67, 69] == 1 and filled.sum() == 39 * 39
