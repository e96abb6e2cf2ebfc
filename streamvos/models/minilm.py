"""Sentence embeddings: all-MiniLM-L6-v2 (Wang et al., MiniLM, 2020; Reimers and Gurevych, Sentence-BERT, 2019).

Loaded with plain `transformers` from the catalogue's file: WordPiece to at most 256 tokens, mean of the last layer
over the tokens that are not padding, normalised. The weights come with the extra `text`; without it
`load_minilm` raises `MissingWeightsError` with the line that installs them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch

from streamvos.errors import IntegrityError
from streamvos.models import catalogue

NAME = "minilm-l6-v2"
DIM = 384
_MAX_TOKENS = 256
_BATCH = 32


class SentenceEncoder:
    """Turns sentences into unit vectors; similar meanings get a high dot product.

    Args:
        device: where the model runs.
    """

    name = NAME
    dim = DIM

    def __init__(self, device: torch.device) -> None:
        from transformers import AutoTokenizer, BertConfig, BertModel  # slow to import, needed here only

        weights = catalogue.locate(NAME)
        folder = str(weights.parent)
        self.device = device
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        config = BertConfig.from_pretrained(folder, local_files_only=True)
        self._model = BertModel(config, add_pooling_layer=False)
        _load(self._model, weights)
        self._model.to(device).eval()

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        """Embed sentences.

        Args:
            sentences: N texts; longer ones are cut after 256 tokens.

        Returns:
            (N, 384) float32, each row of length 1.
        """
        rows = [np.zeros((0, DIM), np.float32)]
        for start in range(0, len(sentences), _BATCH):
            batch = self._tokenizer(
                list(sentences[start : start + _BATCH]),
                padding=True,
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
            ).to(self.device)
            hidden = self._model(**batch).last_hidden_state  # (B, T, 384)
            weight = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
            mean = (hidden * weight).sum(1) / weight.sum(1)  # (B, 384)
            rows.append(torch.nn.functional.normalize(mean, dim=1).float().cpu().numpy())
        return np.concatenate(rows)


@functools.cache
def load_minilm(device: str = "cpu") -> SentenceEncoder:
    """The encoder of this process, loaded once for each device.

    Raises:
        MissingWeightsError: the extra `text` is not installed; the message has the install line.
        IntegrityError: the file is there but is not the expected one.
    """
    return SentenceEncoder(torch.device(device))


def _load(model: torch.nn.Module, weights: object) -> None:
    from safetensors.torch import load_file

    tensors = load_file(str(weights))
    wanted = set(model.state_dict())
    tensors = {name: value for name, value in tensors.items() if name in wanted}
    missing = sorted(wanted - set(tensors))
    if missing:
        raise IntegrityError(f"weights {NAME!r} lack {len(missing)} tensors, the first is {missing[0]!r}")
    model.load_state_dict(tensors)
