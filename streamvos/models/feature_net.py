"""What our trained networks share: they stand on frozen EfficientNet-Lite0 features and look at a picture only once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self

import torch
import torch.nn.functional as functional
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from streamvos.errors import InputError
from streamvos.models.efficientnet_lite import CHANNELS, Features

Maps = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # (B, C, h, w) at strides 4, 8, 16
LOGIT_LIMIT = 12.0  # beyond it a probability is 0 or 1 in every way that matters


def stack_features(seen: Sequence[Features]) -> Maps:
    """The feature maps of B frames of one size, one after another."""
    four, eight, sixteen = (torch.cat([getattr(one, f"stride{stride}") for one in seen]) for stride in CHANNELS)
    return four, eight, sixteen


@dataclass(frozen=True)
class PictureEncoding:
    """What a network makes of B pictures, whatever it is asked about them; each field (B, C, h, w)."""

    def rows(self, index: torch.Tensor) -> Self:
        """The pictures of the given rows, one for each question."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))


class FeatureNet(nn.Module):
    """Base of networks on frozen features.

    The buffers `mean` and `spread` (strides 4, 8, 16 one after another) bring the features to zero mean and unit
    spread; `set_statistics` fills them before training.
    """

    NAME: ClassVar[str]  # as in "weights of ..."

    def __init__(self) -> None:
        super().__init__()
        total = sum(CHANNELS.values())
        self.register_buffer("mean", torch.zeros(total))
        self.register_buffer("spread", torch.ones(total))

    @classmethod
    def from_file(cls, path: Path, device: torch.device) -> Self:
        """Read trained weights (safetensors), ready for use; raises `InputError` where they are of another network."""
        net = cls()
        try:
            net.load_state_dict(load_file(path))
        except (RuntimeError, SafetensorError, OSError) as error:
            raise InputError(f"{path}: expected safetensors weights of {cls.NAME}: {error}") from None
        return net.to(device, memory_format=torch.channels_last).eval()

    def set_statistics(self, stride4: torch.Tensor, stride8: torch.Tensor, stride16: torch.Tensor) -> None:
        """Take mean and spread of each channel from (B, C, h, w) feature maps of typical pictures."""
        maps = [stride4, stride8, stride16]
        self.mean.copy_(torch.cat([one.mean(dim=(0, 2, 3)) for one in maps]))
        self.spread.copy_(torch.cat([one.std(dim=(0, 2, 3)) for one in maps]).clamp_min(1e-3))

    def normalise(self, stride4: torch.Tensor, stride8: torch.Tensor, stride16: torch.Tensor) -> Maps:
        """(B, C, h, w) frozen features at zero mean and unit spread."""
        sizes = list(CHANNELS.values())
        four, eight, sixteen = (
            (maps - mean[:, None, None]) / spread[:, None, None]
            for maps, mean, spread in zip(
                (stride4, stride8, stride16), self.mean.split(sizes), self.spread.split(sizes), strict=True
            )
        )
        return four, eight, sixteen


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), the identity at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(functional.relu(self.first(functional.relu(x))))
