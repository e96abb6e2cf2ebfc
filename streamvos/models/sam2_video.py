"""SAM 2.1 (Ravi et al., 2024) and EdgeTAM (Zhou et al., 2025) as `transformers` video models, and their input.

Loaded from the catalogue's folder, see `hub_model.py`. Both models see a square picture of a fixed side, whatever
the frame's shape.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as functional

from streamvos.errors import unknown_name
from streamvos.models.catalogue import locate
from streamvos.models.hub_model import load_hub_model

Sam2Size = Literal["tiny", "small", "base-plus", "large"]
EDGETAM = "edgetam"
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as Sam2VideoVideoProcessor has them


def load_sam2(size: Sam2Size, weights: Path | None, device: torch.device) -> torch.nn.Module:
    """A `Sam2VideoModel` ready for inference.

    Args:
        size: which image encoder.
        weights: a folder with `config.json` and `model.safetensors`, or None for the catalogue's.
        device: where it runs.

    Raises:
        MissingWeightsError: weights is None and the catalogue's files are not here; says how to get them.
        IntegrityError: the files are damaged, or belong to another model.
    """
    if size not in get_args(Sam2Size):
        raise unknown_name("SAM 2.1 size", size, get_args(Sam2Size))
    folder = locate(f"sam2.1-hiera-{size}").parent if weights is None else weights
    from transformers import Sam2VideoModel

    return load_hub_model(Sam2VideoModel, folder, device)


def load_edgetam(weights: Path | None, device: torch.device) -> torch.nn.Module:
    """An `EdgeTamVideoModel` ready for inference; arguments and errors as `load_sam2`."""
    folder = locate(EDGETAM).parent if weights is None else weights
    from transformers import EdgeTamVideoModel

    return load_hub_model(EdgeTamVideoModel, folder, device)


def square_pixels(image: np.ndarray, side: int, device: torch.device) -> torch.Tensor:
    """(H, W, 3) uint8 RGB to the (1, 3, side, side) float32 that both models expect."""
    picture = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float()
    picture = functional.interpolate(picture, (side, side), mode="bilinear", align_corners=False, antialias=True)
    picture = picture.round_().clamp_(0, 255).div_(255.0)  # resized as uint8 by the processor
    mean, spread = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (_MEAN, _SPREAD))
    return picture.sub_(mean).div_(spread)
