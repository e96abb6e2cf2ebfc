"""Random weights of the strong trackers' own architectures, fetched into a cache as real ones would be."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from streamvos.models import catalogue
from streamvos.models.cutie import INSTALL, random_cutie
from streamvos.models.download import Origin
from streamvos.models.entries import Entry

CPU = torch.device("cpu")
SIDE = 64  # of the tiny video models' square input
ENTRY = {"cutie": "cutie-small", "sam2": "sam2.1-hiera-tiny", "edgetam": "edgetam"}
HAS_CUTIE = importlib.util.find_spec("cutie") is not None


@pytest.fixture
def cutie_installed() -> None:
    if not HAS_CUTIE:
        pytest.skip(f"rf-cutie is not installed: {INSTALL}")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may download."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a test of trackers reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a hub would hold: a folder for each entry."""
    folder = tmp_path_factory.mktemp("hub")
    torch.manual_seed(11)
    tiny_sam2().save_pretrained(folder / ENTRY["sam2"])
    tiny_edgetam().save_pretrained(folder / ENTRY["edgetam"])
    if HAS_CUTIE:
        (folder / ENTRY["cutie"]).mkdir()
        torch.save(decided_cutie().state_dict(), folder / ENTRY["cutie"] / "cutie-small-mega.pth")
    return folder


@pytest.fixture(scope="session")
def fetched(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache with the weights of all trackers, brought and checked by the catalogue."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMVOS_CACHE", str(cache))
        for name in ENTRY.values():
            if (hub / name).is_dir():
                catalogue.fetch(name, lambda entry, file, folder: _bring(hub, entry, file, folder))
    yield cache


@pytest.fixture
def weights(fetched: Path, no_network: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, in use."""
    monkeypatch.setenv("STREAMVOS_CACHE", str(fetched))
    return fetched


@pytest.fixture(scope="session")
def film() -> Callable[[int], tuple[np.ndarray, dict[int, np.ndarray]]]:
    """Frames of (64, 96) with two squares that move over noise, and their masks."""
    rng = np.random.default_rng(3)
    background = rng.integers(60, 130, (64, 96, 3), dtype=np.uint8)
    colours = {1: (230, 40, 40), 2: (40, 60, 230)}

    def frame(index: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        image, truth = background.copy(), {}
        for object_id, colour in colours.items():
            left, top = (8 + index % 20, 10) if object_id == 1 else (60 - index % 20, 36)
            truth[object_id] = np.zeros((64, 96), bool)
            truth[object_id][top : top + 20, left : left + 24] = True
            image[truth[object_id]] = colour
        return image, truth

    return frame


def decided_cutie(seed: int = 5) -> torch.nn.Module:
    """A random network whose masks are not all undecided: the last layer is scaled up."""
    network = random_cutie("small", seed, CPU)
    with torch.no_grad():
        network.mask_decoder.pred.weight.mul_(60.0)
    return network


def tiny_sam2() -> torch.nn.Module:
    from transformers import Sam2VideoConfig, Sam2VideoModel

    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 12,
        "embed_dim_per_stage": [12, 24, 48, 96],
        "blocks_per_stage": [1, 1, 2, 1],
        "global_attention_blocks": [3],
        "image_size": [SIDE, SIDE],
        "window_positional_embedding_background_size": [4, 4],
    }
    vision = {"model_type": "sam2_vision_model", "backbone_config": backbone, "backbone_channel_list": [96, 48, 24, 12]}
    config = Sam2VideoConfig(**_settings(vision), memory_attention_feed_forward_hidden_size=32)
    return _decided(Sam2VideoModel(config))


def tiny_edgetam() -> torch.nn.Module:
    from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, TimmWrapperConfig

    levels = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
    backbone = TimmWrapperConfig(architecture="repvit_m1", num_labels=0, model_args=levels)
    config = EdgeTamVideoConfig(
        **_settings({"model_type": "edgetam_vision_model", "backbone_config": backbone}),
        memory_attention_mlp_hidden_size=32,
        memory_attention_rope_k_sizes=[4, 4],
        perceiver_resampler_num_latents=16,
        perceiver_resampler_num_latents_2d=16,
        perceiver_resampler_mlp_intermediate_size=32,
    )
    return _decided(EdgeTamVideoModel(config))


def _settings(vision: dict[str, Any]) -> dict[str, Any]:
    """What the two architectures share."""
    vision |= {"fpn_hidden_size": 128, "backbone_feature_sizes": [[SIDE // step] * 2 for step in (4, 8, 16)]}
    return {
        "vision_config": vision,
        "prompt_encoder_config": {"hidden_size": 128, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 8},
        "mask_decoder_config": {
            "hidden_size": 128,
            "mlp_dim": 32,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 32,
        },
        "image_size": SIDE,
        "memory_attention_hidden_size": 128,
        "memory_attention_num_layers": 1,
        "memory_attention_rope_feat_sizes": [SIDE // 16] * 2,
        "memory_encoder_hidden_size": 128,
        "mask_downsampler_embed_dim": 128,
        "memory_fuser_embed_dim": 128,
        "memory_fuser_intermediate_dim": 32,
        "memory_fuser_num_layers": 1,
    }


def _decided(model: torch.nn.Module) -> torch.nn.Module:
    """Weights as spread as trained ones are, so that masks and memories differ from frame to frame."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() > 1 and not name.startswith(("vision_encoder.backbone", "mask_decoder.pred_obj_score_head")):
                value.mul_(4.0)
            if name == "mask_decoder.pred_obj_score_head.proj_out.bias":
                value.fill_(3.0)  # the object is there
    return model.eval()


def _bring(hub: Path, entry: Entry, file: str, folder: Path) -> Origin:
    shutil.copyfile(hub / entry.name / file, folder / file)
    return Origin("", "")
