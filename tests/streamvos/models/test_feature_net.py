"""What networks on frozen features share: statistics, rows of views, weights by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipelines.refiners.refine_net import RefineNet
from pipelines.trackers.propagation_net import PropagationNet
from streamvos.errors import InputError
from streamvos.models.efficientnet_lite import Features
from streamvos.models.feature_net import FeatureNet, PictureEncoding, Residual, stack_features


class Small(FeatureNet):
    NAME: ClassVar[str] = "the small network"

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 1)


@dataclass(frozen=True)
class Pair(PictureEncoding):
    first: torch.Tensor
    second: torch.Tensor


def maps(batch: int, scale: float = 1.0, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((24, 32), (40, 16), (112, 8))
    return tuple(scale * torch.randn(batch, count, side, side, generator=generator) + shift for count, side in sizes)


def test_features_have_zero_mean_and_unit_spread_after_statistics() -> None:
    net, typical = Small(), maps(4, scale=3.0, shift=5.0)
    assert all(torch.equal(one, two) for one, two in zip(net.normalise(*typical), typical, strict=True))
    net.set_statistics(*typical)
    for one in net.normalise(*typical):
        torch.testing.assert_close(one.mean(dim=(0, 2, 3)), torch.zeros(one.shape[1]), atol=1e-4, rtol=0)
        torch.testing.assert_close(one.std(dim=(0, 2, 3)), torch.ones(one.shape[1]))


def test_channels_that_never_change_are_not_blown_up() -> None:
    net = Small()
    net.set_statistics(*(torch.full_like(one, 2.0) for one in maps(2)))
    assert float(net.spread.min()) == pytest.approx(1e-3) and float(net.mean.max()) == 2.0


def test_rows_of_views_keep_their_kind_and_fields() -> None:
    views = Pair(torch.arange(6.0).view(3, 2, 1, 1), torch.arange(3.0).view(3, 1, 1, 1))
    rows = views.rows(torch.tensor([2, 0, 2, 1]))
    assert isinstance(rows, Pair) and rows.first[:, 0, 0, 0].tolist() == [4, 0, 4, 2]
    assert rows.second.flatten().tolist() == [2, 0, 2, 1]


def test_features_are_stacked_in_their_order() -> None:
    whole = maps(3)
    frames = [
        Features(np.zeros((128, 128, 3), np.uint8), (128, 128), *(one[index : index + 1] for one in whole))
        for index in range(3)
    ]
    assert all(torch.equal(one, two) for one, two in zip(stack_features(frames), whole, strict=True))


def test_a_residual_block_starts_as_the_identity() -> None:
    x = maps(1)[0]
    assert torch.equal(Residual(24)(x), x)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    save_file(Small().state_dict(), tmp_path / "small.safetensors")
    again = Small.from_file(tmp_path / "small.safetensors", torch.device("cpu"))
    assert isinstance(again, Small) and not again.training
    save_file({"mean": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="other.safetensors: expected safetensors weights of the small network: "):
        Small.from_file(tmp_path / "other.safetensors", torch.device("cpu"))


PARTS = {
    PropagationNet: "mix_gain mean spread key value_view value_mask value_block wide_view wide_read wide_block "
    "middle_view middle_cues middle_up middle_block narrow_view narrow_cues narrow_up narrow_block out",
    RefineNet: "sharpness odds_gain mean spread key wide_view wide_prompt wide_before wide_read wide_after "
    "middle_view middle_prompt middle_up middle_block middle_out narrow_view narrow_prompt narrow_up narrow_block "
    "fine_view fine_prompt fine_up fine_block out iou",
}


@pytest.mark.parametrize(("make", "parts"), PARTS.items(), ids=["propagation", "refiner"])
def test_checkpoints_of_earlier_runs_fit(make: type[FeatureNet], parts: str) -> None:
    """They hold weights by name, and the optimiser's state by the order of the parameters."""
    assert list(dict.fromkeys(name.split(".")[0] for name in make().state_dict())) == parts.split()


@pytest.mark.parametrize("make", [PropagationNet, RefineNet])
def test_the_docstring_says_the_size(make: type[FeatureNet]) -> None:
    millions = sum(value.numel() for value in make().parameters()) / 1e6
    assert make.__doc__.startswith(f"{millions:.2f} M parameters")
