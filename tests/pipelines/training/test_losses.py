"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from pipelines.training.losses import bootstrapped_cross_entropy, jaccard, soft_jaccard

SURE = 30.0


def test_cross_entropy_of_the_hardest_half() -> None:
    logits = torch.tensor([[[0.0, SURE], [-SURE, 0.0]]])
    targets = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    assert float(bootstrapped_cross_entropy(logits, targets, 0.5)) == pytest.approx(math.log(2), rel=1e-5)
    assert float(bootstrapped_cross_entropy(logits, targets, 1.0)) == pytest.approx(math.log(2) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("logits", "targets", "expected"),
    [
        pytest.param([SURE, SURE, -SURE, -SURE], [1.0, 1.0, 0.0, 0.0], 0.0, id="perfect"),
        pytest.param([-SURE] * 4, [0.0] * 4, 0.0, id="both empty"),
        pytest.param([SURE, -SURE, -SURE, -SURE], [1.0, 1.0, 0.0, 0.0], 1 - 2 / 3, id="half, one smoothing pixel"),
        pytest.param([SURE] * 4, [0.0] * 4, 1 - 1 / 5, id="found where there is nothing"),
    ],
)
def test_soft_jaccard(logits: list[float], targets: list[float], expected: float) -> None:
    rows = torch.tensor(logits).view(1, 2, 2), torch.tensor(targets).view(1, 2, 2)
    assert float(soft_jaccard(*rows).mean()) == pytest.approx(expected, abs=1e-5)


def test_jaccard_counts_an_empty_frame_as_right_only_if_nothing_is_found() -> None:
    logits = torch.tensor([[[SURE, SURE]], [[-SURE, -SURE]], [[SURE, -SURE]]])
    targets = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]])
    assert jaccard(logits, targets).tolist() == [0.5, 1.0, 0.0]


def test_pixels_without_truth_do_not_count() -> None:
    logits, targets = torch.tensor([[[SURE, -SURE, SURE]]]), torch.tensor([[[1.0, 1.0, 0.0]]])
    known = torch.tensor([[[1.0, 0.0, 0.0]]])
    assert float(bootstrapped_cross_entropy(logits, targets, 1.0, known)) == pytest.approx(0.0, abs=1e-6)
    assert float(soft_jaccard(logits, targets, known).mean()) == pytest.approx(0.0, abs=1e-6)
    assert jaccard(logits, targets, known).tolist() == [1.0]
    assert jaccard(logits, targets).tolist() == pytest.approx([1 / 3])
