"""The refiners by name."""

from __future__ import annotations

from pathlib import Path

import torch

from pipelines.refiners.embedded import EmbeddedRefiner, EmbeddedRefinerConfig
from pipelines.refiners.grabcut import GrabCutRefiner
from pipelines.refiners.protocol import Refiner
from pipelines.refiners.sam_hq import SamHqRefiner
from streamvos.device import Precision
from streamvos.models.sam_hq import SamHqPredictor, SamHqSize


def make_refiner(
    name: str, precision: Precision, sam_size: SamHqSize, sam_weights: str, device: torch.device, seed: int
) -> Refiner | None:
    """The refiner of that name, None for "none"; raises `MissingWeightsError` where its weights are not here."""
    if name == "none":
        return None
    if name == "grabcut":
        return GrabCutRefiner(seed=seed)
    if name == "embedded":
        return EmbeddedRefiner.shipped(device, EmbeddedRefinerConfig(precision=precision))
    return SamHqRefiner(SamHqPredictor(sam_size, Path(sam_weights) if sam_weights else None, device))
