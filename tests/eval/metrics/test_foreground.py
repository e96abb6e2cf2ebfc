import numpy as np
import pytest

from eval.metrics.foreground import Confusion, confusion, mean_measures, measures
from streamvos.errors import InputError

LABELS = np.array([[0, 0, 50, 50], [85, 85, 170, 170], [255, 255, 255, 0]], np.uint8)


def test_hand_computed_counts_and_measures():
    found = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0]], bool)
    pixels = confusion(found, LABELS)
    # Moving: 2 of 3 found. Static and shadow: 2 of 5 taken for moving, one of them a shadow. The middle row is ignored.
    assert pixels == Confusion(tp=2, fp=2, fn=1, tn=3, shadow=1)
    values = measures(pixels)
    assert values.recall == pytest.approx(2 / 3) and values.fnr == pytest.approx(1 / 3)
    assert values.specificity == pytest.approx(3 / 5) and values.fpr == pytest.approx(2 / 5)
    assert values.precision == pytest.approx(1 / 2) and values.f == pytest.approx(4 / 7)
    assert values.pwc == pytest.approx(100 * 3 / 8)


def test_perfect_ignores_what_is_unknown_or_outside():
    values = measures(confusion((LABELS == 255) | (LABELS == 85), LABELS))
    assert values == (1, 1, 0, 0, 0, 1, 1)


def test_nothing_found_and_nothing_there():
    nothing = np.zeros(LABELS.shape, bool)
    missed = measures(confusion(nothing, LABELS))
    assert (missed.recall, missed.precision, missed.f) == (0, None, 0)
    still = measures(confusion(nothing, np.zeros_like(LABELS)))
    assert (still.recall, still.f, still.pwc, still.specificity) == (None, None, 0, 1)
    assert measures(Confusion()) == (None,) * 7


def test_frames_are_pooled_not_averaged():
    rng = np.random.default_rng(3)
    labels = rng.choice([0, 50, 85, 170, 255], (5, 20, 30), p=[0.5, 0.1, 0.1, 0.1, 0.2]).astype(np.uint8)
    found = rng.random(labels.shape) < 0.4
    total = Confusion()
    for one, truth in zip(found, labels, strict=True):
        total = total + confusion(one, truth)
    scored = (labels != 85) & (labels != 170)  # the formulas of the CDnet page, on all pixels at once
    recall = (found & (labels == 255)).sum() / (labels == 255).sum()
    precision = (found & (labels == 255)).sum() / (found & scored).sum()
    values = measures(total)
    assert values.recall == pytest.approx(recall) and values.precision == pytest.approx(precision)
    assert values.f == pytest.approx(2 * recall * precision / (recall + precision))
    assert values.pwc == pytest.approx(100 * (found[scored] != (labels[scored] == 255)).mean())


def test_means_leave_out_what_is_undefined():
    values = mean_measures([measures(Confusion(tp=1, fn=1, tn=2)), measures(Confusion(tn=4))])
    assert values.recall == 0.5 and values.specificity == 1
    assert mean_measures([measures(Confusion())]).f is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.full((3, 4), 7, np.uint8), r"got \[7\]"), (np.zeros((3, 5), np.uint8), "size of the truth")],
    ids=["label", "size"],
)
def test_bad_truth(labels, message):
    with pytest.raises(InputError, match=message):
        confusion(np.zeros((3, 4), bool), labels)
