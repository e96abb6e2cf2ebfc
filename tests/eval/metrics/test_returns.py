import numpy as np
import pytest

from eval.metrics.returns import IdentityCounter, Return, ReturnRule
from streamvos.errors import InputError

RULE = ReturnRule(absence=3, within=2)


def frame(*placed: tuple[int, int]) -> np.ndarray:
    """A row of ten places of 4 pixels; (id, place) fills one."""
    labels = np.zeros((2, 20), np.uint8)
    for object_id, place in placed:
        labels[:, 2 * place : 2 * place + 2] = object_id
    return labels


def count(predictions: list[np.ndarray], truths: list[np.ndarray], starts: dict[int, int], rule: ReturnRule = RULE):
    counter = IdentityCounter(starts, rule)
    assert len(list(counter.watch(predictions, truths))) == len(truths)
    return counter.objects


BOTH, SWAPPED = frame((1, 0), (2, 5)), frame((2, 0), (1, 5))


def test_perfect():
    counted = count([BOTH] * 4, [BOTH] * 4, {1: 0, 2: 0})[1]
    assert (counted.visible_frames, counted.wrong_id_frames, counted.switches, counted.returns) == (3, 0, 0, [])


def test_empty():
    counted = count([frame()] * 4, [BOTH] * 4, {1: 0, 2: 0})[2]
    assert (counted.visible_frames, counted.wrong_id_frames, counted.switches) == (3, 0, 0)  # missed, not switched


def test_switches_by_hand():
    # right, swapped, nothing, swapped, right: one switch away, none over the gap, one back
    predictions = [BOTH, BOTH, SWAPPED, frame(), SWAPPED, BOTH]
    objects = count(predictions, [BOTH] * 6, {1: 0, 2: 0})
    for counted in objects.values():
        assert (counted.visible_frames, counted.wrong_id_frames, counted.switches) == (5, 2, 2)


def test_best_overlap_is_by_iou():
    truth = frame((1, 0))
    sloppy = np.full_like(truth, 2)  # id 2 covers all, id 1 half of the object: IoU 2/4 against 2/38
    sloppy[0, :2] = 1
    counted = count([truth, sloppy], [truth] * 2, {1: 0})[1]
    assert counted.wrong_id_frames == 0


def test_given_frame_is_not_counted():
    counted = count([BOTH] * 4, [frame((1, 0)), BOTH, BOTH, BOTH], {1: 0, 2: 1})[2]
    assert counted.visible_frames == 2


AWAY = [frame((2, 5))] * 3


@pytest.mark.parametrize(
    "answers, expected",
    [
        pytest.param([BOTH, BOTH], Return(4, 3, "found", 0), id="at-once"),
        pytest.param([frame((2, 5)), BOTH], Return(4, 3, "found", 1), id="one-frame-later"),
        pytest.param([frame((1, 8), (2, 5)), BOTH], Return(4, 3, "found", 1), id="astray-then-found"),
        pytest.param([frame((2, 5))] * 2, Return(4, 3, "missed"), id="missed"),
        pytest.param([frame((1, 5))] * 2, Return(4, 3, "wrong", on="object"), id="on-another-object"),
        pytest.param([frame((1, 8), (2, 5))] * 2, Return(4, 3, "wrong", on="background"), id="on-the-background"),
    ],
)
def test_returns_by_hand(answers, expected):
    truths = [BOTH, *AWAY, BOTH, BOTH]
    (back,) = count([BOTH, *AWAY, *answers], truths, {1: 0, 2: 0})[1].returns
    assert back == expected


def test_half_overlap_is_not_found():
    truth = frame((1, 0), (1, 1))  # 8 pixels
    half = frame((1, 0))  # 4 of them: IoU 0.5 is not more than 0.5, and nothing lies elsewhere
    (back,) = count([truth, *[frame()] * 3, half, half], [truth, *[frame()] * 3, truth, truth], {1: 0})[1].returns
    assert back.outcome == "missed"


def test_short_absences_and_cut_returns_are_not_judged():
    short = count([BOTH] * 5, [BOTH, *AWAY[:2], BOTH, BOTH], {1: 0})[1]
    assert short.returns == [] and (short.absent_frames, short.imagined_frames) == (2, 2)
    cut = count([BOTH, *AWAY, BOTH], [BOTH, *AWAY, BOTH], {1: 0})[1]
    assert cut.returns == [] and (cut.absent_frames, cut.imagined_frames) == (3, 0)


def test_slivers_are_absence():
    sliver = frame((2, 5))
    sliver[0, 0] = 1
    truths = [BOTH, sliver, sliver, sliver, BOTH, BOTH]
    assert count([BOTH] * 6, truths, {1: 0})[1].returns == []
    rule = ReturnRule(absence=3, within=2, visible_px=2)
    assert [back.outcome for back in count([BOTH] * 6, truths, {1: 0}, rule)[1].returns] == ["found"]
    perfect = count(truths, truths, {1: 0}, rule)[1]
    assert (perfect.absent_frames, perfect.imagined_frames) == (3, 0)


def test_bad_input():
    with pytest.raises(InputError, match="absence: expected 1 or more"):
        ReturnRule(absence=0)
    with pytest.raises(InputError, match="expected a prediction of"):
        count([BOTH[:1]], [BOTH], {1: 0})


def test_a_sliver_neither_ends_an_absence_nor_counts_as_back():
    whole, sliver = np.full((2, 20), 1, np.uint8), frame((1, 0))
    truths = [whole, *AWAY, sliver, sliver, whole, whole]
    predictions = [whole, *AWAY, frame(), frame(), whole, whole]
    (found,) = count(predictions, truths, {1: 0})[1].returns
    assert found == Return(6, 3, "found", 0)
    (missed,) = count(predictions, truths, {1: 0})[1].returns_any
    assert missed.frame == 4 and missed.outcome == "missed"
    with pytest.raises(InputError, match="back_share"):
        ReturnRule(back_share=1.5)
