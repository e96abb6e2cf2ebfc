"""SAM-HQ (Ke et al., NeurIPS 2023) through `segment-anything-hq`: set an image once, predict many times.

What we do ourselves: the package's builders load without `map_location`, print, and pass over wrong
checkpoints with `strict=False`; and they call `eval()` before loading, which leaves ViT-Tiny with stale
attention biases (it caches them in `eval()`). Here the checkpoint is loaded with `weights_only`, every key
must match, and the cache is made again. The input is always 1024 x 1024 (longest side scaled, the rest
padded), whatever the image's size.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Literal

import cv2
import numpy as np
import torch

from streamvos.errors import InputError, unknown_name
from streamvos.models.catalogue import locate
from streamvos.models.checkpoint import load_checkpoint

SamHqSize = Literal["vit_tiny", "vit_b", "vit_l", "vit_h"]
CATALOGUE_NAMES: dict[str, str] = {
    "vit_tiny": "sam-hq-vit-tiny",
    "vit_b": "sam-hq-vit-b",
    "vit_l": "sam-hq-vit-l",
    "vit_h": "sam-hq-vit-h",
}
PROMPT_SIDE_PX = 256  # a mask prompt is a quarter of the input
PROMPT_LOGIT = 8.0  # how sure a mask prompt is; the decoder was trained on its own outputs, mostly within +-10


class SamHqPredictor:
    """Promptable masks of one image at a time.

    Args:
        size: which image encoder.
        weights: the checkpoint, or None for the one of the catalogue.
        device: where it runs.

    Raises:
        MissingWeightsError: weights is None and the catalogue's file is not here; says how to get it.
        IntegrityError: the file is damaged, or belongs to another model.
    """

    def __init__(self, size: SamHqSize, weights: Path | None, device: torch.device):
        model = _build(size)
        load_checkpoint(model, locate(CATALOGUE_NAMES[size]) if weights is None else weights, "SAM-HQ", size)
        self._ready(model, device)

    @classmethod
    def randomly_initialised(
        cls, seed: int, size: SamHqSize = "vit_tiny", device: torch.device | None = None
    ) -> SamHqPredictor:
        """The same architecture with random weights, to test the code around it; its masks mean nothing."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = _build(size)
        predictor = cls.__new__(cls)
        predictor._ready(model, device or torch.device("cpu"))
        return predictor

    def set_image(self, image: np.ndarray) -> None:
        """Encode an (H, W, 3) uint8 RGB image; all later prompts speak of it."""
        with torch.inference_mode():
            self._predictor.set_image(image, "RGB")

    def predict(
        self,
        box: np.ndarray | None = None,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        hq_token_only: bool = False,
    ) -> tuple[np.ndarray, float]:
        """One mask for one prompt; at least one of box, points, mask.

        The package returns a single mask whatever `multimask_output` says. Where the prompt is ambiguous (a
        single point) it is asked for several all the same: it picks the best of three then.

        Args:
            box: (4,) xyxy pixels.
            points: (P, 2) xy pixels, with `labels` (P,) bool, True on the object.
            mask: (H, W) bool, a coarse mask to start from.
            hq_token_only: leave out SAM's own mask, which is added to the fine one otherwise; sharper where the picture
                shows one object, worse where it shows many.

        Returns:
            (H, W) bool, and the model's own estimate of its IoU in [0, 1].
        """
        if box is None and points is None and mask is None:
            raise InputError("SamHqPredictor.predict: expected at least one of box, points, mask; got none")
        if not self._predictor.is_image_set:
            raise InputError("SamHqPredictor.predict: no image; call set_image first")
        ambiguous = box is None and mask is None and points is not None and len(points) == 1
        with torch.inference_mode():
            masks, predicted_iou, _ = self._predictor.predict(
                point_coords=None if points is None else points.astype(np.float32),
                point_labels=None if labels is None else labels.astype(np.int64),
                box=None if box is None else box.astype(np.float32),
                mask_input=None if mask is None else mask_prompt(mask),
                multimask_output=ambiguous,
                hq_token_only=hq_token_only,
            )
        return masks[0].astype(bool), float(np.clip(predicted_iou[0], 0.0, 1.0))

    def _ready(self, model: torch.nn.Module, device: torch.device) -> None:
        self._predictor = _package().SamPredictor(model.to(device).eval())


def mask_prompt(mask: np.ndarray) -> np.ndarray:
    """An (H, W) bool mask as the (1, 256, 256) float32 logits of the decoder, padded as the image is."""
    scale = PROMPT_SIDE_PX / max(mask.shape)
    height, width = (max(1, round(side * scale)) for side in mask.shape)
    small = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    logits = np.full((1, PROMPT_SIDE_PX, PROMPT_SIDE_PX), -PROMPT_LOGIT, np.float32)
    logits[0, :height, :width] = (2 * small - 1) * PROMPT_LOGIT
    return logits


def _package() -> ModuleType:
    """`segment_anything_hq`, imported when needed: it is slow, and warns of its own old imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import segment_anything_hq
    return segment_anything_hq


def _build(size: str) -> torch.nn.Module:
    if size not in CATALOGUE_NAMES:
        raise unknown_name("SAM-HQ size", size, CATALOGUE_NAMES)
    return _package().sam_model_registry[size](checkpoint=None)
