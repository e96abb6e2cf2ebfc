"""What a detector is, and the detectors by name; a new one registers its class and is imported in `detectors.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from streamvos.models.candidates import Candidates
from streamvos.registry import Registry


class Detector(Protocol):
    """A network in two halves, so that a memory can stand between backbone and heads.

    `levels`: names of its feature maps and their numbers of channels.
    """

    levels: ClassVar[Mapping[str, int]]

    def __init__(self, device: torch.device) -> None: ...

    def features(self, image: np.ndarray) -> Any:
        """Feature maps of an (H, W, 3) uint8 RGB image."""

    def to_arrays(self, maps: Any) -> dict[str, np.ndarray]:
        """Feature maps as (h, w, C) float32 arrays by level."""

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The opposite of `to_arrays`."""

    def predict(self, maps: Any, size: tuple[int, int]) -> Candidates:
        """Candidates of feature maps, in pixels of an image of (H, W)."""


DETECTORS: Registry[type[Detector]] = Registry("detector")
