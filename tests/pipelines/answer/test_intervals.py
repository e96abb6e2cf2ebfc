"""The arithmetic of intervals, by hand."""

from pipelines.answer.intervals import intersect, most_at_once, total, union


def test_intervals_by_hand():
    assert union([(5, 9), (0, 3), (2, 4)]) == [(0, 4), (5, 9)]
    assert intersect([(0, 10)], [(5, 20), (-5, 2)]) == [(0, 2), (5, 10)]
    assert total([(0, 10), (5, 12), (20, 21)]) == 13 and total([]) == 0
    assert most_at_once([]) == (0, None)
    assert most_at_once([([(0, 10)], 1), ([(5, 20)], 1), ([(12, 14)], 3)]) == (4, (12, 14))
    assert most_at_once([([(0, 5)], 1), ([(5, 9)], 1)]) == (2, (5, 5))  # both are seen in the frame at 5
    assert most_at_once([([(0, 5), (3, 9)], 1)]) == (1, (0, 9))  # one thing counts once
