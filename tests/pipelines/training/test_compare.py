"""Weights side by side on the same held-out clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipelines.trackers.propagation_net import PropagationNet
from pipelines.training.compare import main, mean_and_error
from streamvos.models.catalogue import locate


def test_mean_and_standard_error_by_hand() -> None:
    mean, error = mean_and_error(np.array([0.2, 0.4, 0.6]))
    assert mean == pytest.approx(40.0) and error == pytest.approx(100 * 0.2 / 3**0.5)
    assert np.isnan(mean_and_error(np.array([0.5]))[1])


def test_weights_that_know_nothing_lose(folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    lost = PropagationNet().state_dict()
    lost["mix_gain"] = torch.tensor(-6.0)
    save_file(lost, tmp_path / "lost.safetensors")
    options = ["--kinds", "layers", "--count", "3", "--size", "64", "--frames", "3", "--device", "cpu"]
    sources = folders[: folders.index("--out")]
    main([str(locate("embedded-tracker")), str(tmp_path / "lost.safetensors"), *sources, *options])
    title, kind, count, first, *_, gain, _, _ = capsys.readouterr().out.split()
    assert (title, kind, count) == ("held_out", "layers", "3")
    assert float(first) > 20 and float(gain) < -10
