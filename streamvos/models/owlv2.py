"""OWLv2 (Minderer et al., NeurIPS 2023): an open-vocabulary detector, which looks for whatever words it is given.

As a `transformers` model behind the protocol of detectors. The words go through its text encoder once; of a frame every
patch of the vision transformer is a candidate, scored against each of them. Its features are one with its classes, and
no memory enhances them: it has no levels. As published, a picture is padded to a square at the right and the bottom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
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

_PROMPT = "a photo of a {}"  # of the words; the model has learned from captions


class _Patches(NamedTuple):
    """What the vision transformer makes of a picture: (1, h, w, C)."""

    embedded: Tensor


@DETECTORS.register("owlv2")
class Owlv2:
    """The detector.

    Args:
        folder: with the model, its vocabulary of tokens (`vocab.json`, `merges.txt`) and its preprocessing.
        device: where it runs.
        classes: what to look for, any words; COCO's 80 where empty.

    Raises:
        IntegrityError: the files are damaged, or of another model.
        InputError: a class name that says nothing.
    """

    names = None
    weights = "owlv2-base"
    levels: Mapping[str, int] = {}

    def __init__(self, folder: Path, device: torch.device, classes: Sequence[str] = ()) -> None:
        from transformers import Owlv2ForObjectDetection

        wanted = tuple(classes) or coco.NAMES
        if any(not name.strip() for name in wanted):
            raise InputError(f"classes: expected words such as 'red backpack', got {list(wanted)}")
        self.device, self.vocabulary = device, Vocabulary(wanted)
        self._ids = [self.vocabulary.id_of(name) for name in wanted]
        self._model = load_hub_model(Owlv2ForObjectDetection, folder, device)
        self._input = Preprocessing.from_folder(folder)
        side = self._model.config.vision_config.image_size
        if self._input.size != (side, side):
            raise IntegrityError(
                f"weights in {folder}: the model sees {side}x{side} pixels, its preprocessing gives {self._input.size}"
            )
        self._queries = self._embed([_PROMPT.format(name) for name in wanted], folder)  # (1, classes, C)

    @classmethod
    def build(cls, setup: DetectorSetup) -> Owlv2:
        """The detector with the catalogue's weights; raises `MissingWeightsError` where they are not here."""
        return cls(locate(cls.weights).parent, setup.device, setup.classes)

    @torch.inference_mode()
    def features(self, image: np.ndarray) -> _Patches:
        """What it makes of an (H, W, 3) uint8 RGB image, whatever is looked for."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise InputError(f"detector image: expected (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
        height, width = image.shape[:2]
        side = max(height, width)
        square = cv2.copyMakeBorder(image, 0, side - height, 0, side - width, cv2.BORDER_CONSTANT)
        return _Patches(self._model.image_embedder(self._input.apply(square, self.device))[0])

    @torch.inference_mode()
    def predict(self, maps: _Patches, size: tuple[int, int]) -> Candidates:
        """Boxes and scores of all patches, in pixels of a picture of (H, W)."""
        patches = maps.embedded.flatten(1, 2)  # (1, h * w, C)
        logits, _ = self._model.class_predictor(patches, self._queries)
        centre, sides = self._model.box_predictor(patches, maps.embedded)[0].split(2, dim=1)
        boxes = torch.cat([centre - sides / 2, centre + sides / 2], dim=1) * max(size)
        scores = np.zeros((len(boxes), self.vocabulary.num_ids), np.float32)
        scores[:, self._ids] = torch.sigmoid(logits[0]).cpu().numpy()
        return Candidates(boxes.cpu().numpy(), scores, size)

    @torch.inference_mode()
    def _embed(self, texts: list[str], folder: Path) -> Tensor:
        """(1, N, C) unit vectors of some texts."""
        from transformers import CLIPTokenizer

        length = self._model.config.text_config.max_position_embeddings
        try:
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True, pad_token="!")
            tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        except Exception as error:  # what tokenizers raise differs from version to version
            raise IntegrityError(f"weights in {folder}: the vocabulary of tokens cannot be read ({error})") from None
        tokens = {name: tokens[name].to(self.device) for name in ("input_ids", "attention_mask")}
        encoded = self._model.owlv2.get_text_features(**tokens)
        vectors = getattr(encoded, "pooler_output", encoded)
        return (vectors / vectors.norm(dim=-1, keepdim=True))[None]
