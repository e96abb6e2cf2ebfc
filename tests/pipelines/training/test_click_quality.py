"""The quality of masks of clicks, fitted on drawn pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.refiners.embedded import EmbeddedRefiner, EmbeddedRefinerRules
from pipelines.refiners.protocol import RefinerSetup
from pipelines.refiners.refine_net import RefineNet
from pipelines.training import click_quality
from pipelines.training.datasets import Picture


def test_least_squares_by_hand() -> None:
    facts = np.array([[0.2, 0.1], [0.9, 0.3], [0.4, 0.8], [0.7, 0.6]])
    truth = facts @ [0.4, 0.5] - 0.1
    np.testing.assert_allclose(click_quality.fit(np.column_stack([facts, truth])), [0.4, 0.5, -0.1], atol=1e-9)


def test_facts_of_clicks_on_drawn_things(pictures: list[Picture]) -> None:
    torch.manual_seed(0)
    refiner = EmbeddedRefiner(
        RefineNet().eval(),
        RefinerSetup(torch.device("cpu")),
        EmbeddedRefinerRules(size_px=96, click_reaches=(0.2, 0.5)),
    )
    facts = click_quality.facts_of(refiner, pictures, 3, 0)
    assert facts.shape[1] == 3 and 3 <= len(facts) <= 18 and ((facts >= 0) & (facts <= 1)).all()
    assert np.array_equal(facts, click_quality.facts_of(refiner, pictures, 3, 0))


def test_the_command_says_what_follows(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    click_quality.main([*folders[:2], "--count", "2"])
    assert "predicted IoU alone" in capsys.readouterr().out
