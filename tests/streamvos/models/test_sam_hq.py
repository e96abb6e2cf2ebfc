from pathlib import Path

import numpy as np
import pytest
import torch

from streamvos.errors import InputError, IntegrityError, MissingWeightsError
from streamvos.models.sam_hq import SamHqPredictor, _build, mask_prompt

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A whole checkpoint of ViT-Tiny with biases that are not zero, as trained ones are."""
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.manual_seed(5)
    state = _build("vit_tiny").state_dict()
    for key in state:
        if key.endswith("attention_biases"):
            state[key] = torch.randn_like(state[key])
    torch.save(state, path)
    return path


def damaged(checkpoint: Path, path: Path, how: str) -> Path:
    state = torch.load(checkpoint, weights_only=True)
    if how == "missing":
        del state["mask_decoder.hf_token.weight"]
    elif how == "unexpected":
        state["mask_decoder.other.weight"] = torch.zeros(1)
    else:
        state["mask_decoder.hf_token.weight"] = torch.zeros(1, 7)
    torch.save(state, path)
    return path


def test_loads_and_renews_the_cached_biases(checkpoint: Path):
    model = SamHqPredictor("vit_tiny", checkpoint, CPU)._predictor.model
    attention = model.image_encoder.layers[1].blocks[0].attn
    assert attention.attention_biases.abs().sum() > 0
    assert torch.equal(attention.ab, attention.attention_biases[:, attention.attention_bias_idxs])
    assert not model.training


@pytest.mark.parametrize(
    "how, message",
    [
        ("missing", "1 missing .first: mask_decoder.hf_token.weight"),
        ("unexpected", "1 unexpected .first: mask_decoder.other.weight"),
        ("shape", "1 of another shape .first: mask_decoder.hf_token.weight"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(checkpoint, tmp_path, how, message):
    with pytest.raises(IntegrityError, match=message):
        SamHqPredictor("vit_tiny", damaged(checkpoint, tmp_path / "bad.pth", how), CPU)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "text.pth"
    path.write_text("not weights")
    with pytest.raises(IntegrityError, match="cannot be read"):
        SamHqPredictor("vit_tiny", path, CPU)


def test_without_weights_the_catalogue_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="streamvos models fetch sam-hq-vit-tiny"):
        SamHqPredictor("vit_tiny", None, CPU)


def test_unknown_size():
    with pytest.raises(InputError, match="did you mean 'vit_tiny'"):
        SamHqPredictor("vit_tin", Path("x"), CPU)


def test_random_weights_depend_on_the_seed_alone():
    before = torch.random.get_rng_state()
    first, second, other = (SamHqPredictor.randomly_initialised(seed)._predictor.model for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    name = "mask_decoder.hf_token.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


def test_mask_prompt_is_padded_like_the_image():
    mask = np.zeros((100, 200), bool)
    mask[:, 100:] = True
    logits = mask_prompt(mask)
    assert logits.shape == (1, 256, 256) and logits.dtype == np.float32
    assert (logits[0, :128, 130:] == 8).all()
    assert (logits[0, 128:] == -8).all() and (logits[0, :128, :126] == -8).all()


def test_prompts_are_checked():
    predictor = SamHqPredictor.randomly_initialised(0)
    with pytest.raises(InputError, match="at least one of"):
        predictor.predict()
    with pytest.raises(InputError, match="set_image first"):
        predictor.predict(box=np.array([0, 0, 5, 5], np.float32))
