"""RT-DETRv2, D-FINE and RF-DETR, trained on COCO, as `transformers` models behind the protocol of detectors.

RT-DETRv2 (Lv et al., 2024) and D-FINE (Peng et al., ICLR 2025) are cut in two behind their hybrid encoder, whose maps
of three strides a memory can enhance before queries are chosen from them. RF-DETR (Robinson et al., 2025) has windows
of a vision transformer in that place, which are not cut: it has no levels. None of them needs suppression, which does
no harm; a candidate is a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from streamvos.errors import InputError, IntegrityError
from streamvos.models import coco
from streamvos.models.candidates import Candidates
from streamvos.models.catalogue import locate
from streamvos.models.detector import DETECTORS, DetectorSetup
from streamvos.models.hub_model import Preprocessing, load_hub_model
from streamvos.models.vocabulary import Vocabulary

# words of other vocabularies that checkpoints trained on COCO carry
_ALIASES = {
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}


class _Detr:
    """What the three have in common: input, classes, and boxes out of queries."""

    names: ClassVar[tuple[str, ...] | None] = coco.NAMES
    weights: ClassVar[str | None]
    kind: ClassVar[str]  # of the model in `transformers`

    def __init__(self, folder: Path, device: torch.device) -> None:
        import transformers

        self.device, self.vocabulary = device, Vocabulary(coco.NAMES)
        self._model = load_hub_model(getattr(transformers, self.kind), folder, device)
        self._input = Preprocessing.from_folder(folder)
        self._columns, self._ids = _columns(self._model.config.id2label, folder)
        self.levels: Mapping[str, int] = {}

    @classmethod
    def build(cls, setup: DetectorSetup) -> Self:
        """The detector with the catalogue's weights.

        Raises:
            MissingWeightsError: they are not here; says how to get them.
            IntegrityError: they are damaged, or of another model.
        """
        return cls(locate(cls.weights).parent, setup.device)

    def _pixels(self, image: np.ndarray) -> Tensor:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise InputError(f"detector image: expected (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
        return self._input.apply(image, self.device)

    def _candidates(self, output: Any, size: tuple[int, int]) -> Candidates:
        height, width = size
        centre, sides = output.pred_boxes[0].float().split(2, dim=1)  # (Q, 2) each, shares of the picture
        corners = torch.cat([centre - sides / 2, centre + sides / 2], dim=1)
        boxes = corners * corners.new_tensor([width, height, width, height])
        known = torch.sigmoid(output.logits[0].float()).cpu().numpy()  # (Q, labels)
        scores = np.zeros((len(known), self.vocabulary.num_ids), np.float32)
        scores[:, self._ids] = known[:, self._columns]
        return Candidates(boxes.cpu().numpy(), scores, size)


class _HybridEncoderDetr(_Detr):
    """Those with a hybrid encoder, cut in two behind it."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__(folder, device)
        config = self._model.config
        self.levels = {f"stride {stride}": config.encoder_hidden_dim for stride in config.feat_strides}

    @torch.inference_mode()
    def features(self, image: np.ndarray) -> list[Tensor]:
        """The encoder's maps, (1, C, h, w) float32 each, of an (H, W, 3) uint8 RGB image."""
        pixels, inner = self._pixels(image), self._model.model
        seen = inner.backbone(pixels, pixels.new_ones((1, *pixels.shape[2:])))
        projected = [project(part) for project, (part, _) in zip(inner.encoder_input_proj, seen, strict=True)]
        return list(inner.encoder(projected).last_hidden_state)

    @torch.inference_mode()
    def predict(self, maps: list[Tensor], size: tuple[int, int]) -> Candidates:
        """Boxes and scores of all queries, in pixels of a picture of (H, W)."""
        output = self._model(pixel_values=None, inputs_embeds=maps[0], encoder_outputs=(maps,))
        return self._candidates(output, size)

    def to_arrays(self, maps: list[Tensor]) -> dict[str, np.ndarray]:
        """The maps as (h, w, C) float32 arrays by level."""
        return {
            name: level[0].permute(1, 2, 0).contiguous().cpu().numpy()
            for name, level in zip(self.levels, maps, strict=True)
        }

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> list[Tensor]:
        """The way back from `to_arrays`."""
        return [
            torch.from_numpy(np.ascontiguousarray(arrays[name].transpose(2, 0, 1)))[None].to(self.device)
            for name in self.levels
        ]


@DETECTORS.register("rtdetr-v2")
class RtDetrV2(_HybridEncoderDetr):
    """RT-DETRv2 with a ResNet-18."""

    weights = "rtdetr-v2-r18"
    kind = "RTDetrV2ForObjectDetection"


@DETECTORS.register("dfine")
class DFine(_HybridEncoderDetr):
    """D-FINE, nano."""

    weights = "dfine-nano"
    kind = "DFineForObjectDetection"


class _Picture(NamedTuple):
    pixels: Tensor


@DETECTORS.register("rf-detr")
class RfDetr(_Detr):
    """RF-DETR, base; `features` only prepares the picture."""

    weights = "rf-detr-base"
    kind = "RfDetrForObjectDetection"

    def features(self, image: np.ndarray) -> _Picture:
        return _Picture(self._pixels(image))

    @torch.inference_mode()
    def predict(self, maps: _Picture, size: tuple[int, int]) -> Candidates:
        """Boxes and scores of all queries, in pixels of a picture of (H, W)."""
        return self._candidates(self._model(pixel_values=maps.pixels), size)


def _columns(id2label: Mapping[int, str], folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the model's logits that are COCO classes, and their ids."""
    named = {int(column): _ALIASES.get(str(name), str(name)) for column, name in id2label.items()}
    pairs = sorted((column, coco.ID_OF[name]) for column, name in named.items() if name in coco.ID_OF)
    if not pairs:
        raise IntegrityError(f"weights in {folder}: config.json names no COCO class; expected a detector of COCO's")
    columns, ids = np.array(pairs, np.int64).T
    return columns, ids
