"""Detectors of the hub's architectures with few channels and random weights, saved as the hub would hold them."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from streamvos.models import coco

SIDES = {"rtdetr-v2": 64, "dfine": 64, "rf-detr": 56, "owlv2": 64}
CHANNELS = 16  # of the hybrid encoder's maps
_QUERIES = 10
# as checkpoints trained on COCO name some classes
_HUB_NAMES = {"motorcycle": "motorbike", "airplane": "aeroplane", "couch": "sofa", "tv": "tvmonitor"}
_NAMES = {place: _HUB_NAMES.get(name, name) for place, name in enumerate(coco.NAMES)}


def save(name: str, folder: Path) -> None:
    """`config.json`, `model.safetensors` and companions of a detector."""
    model = _MAKERS[name]()
    for key, tensor in model.state_dict().items():  # decided scores in place of the prior that training begins with
        if "class_embed" in key or "class_head" in key:
            torch.nn.init.normal_(tensor, std=0.5 if tensor.ndim > 1 and "shift" not in key else 0.1)
        elif key.startswith("box_head.dense2"):
            tensor.mul_(0.01)  # boxes of a patch's size, not flat ones
    model.save_pretrained(folder)
    side = SIDES[name]
    told: dict[str, Any] = {"size": {"height": side, "width": side}, "do_normalize": name in ("rf-detr", "owlv2")}
    told |= {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    if name == "owlv2":
        (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(_tokens())}))
        (folder / "merges.txt").write_text("#version: 0.2\n")


def _tokens() -> list[str]:
    letters = string.ascii_lowercase
    return ["!", *letters, *(f"{one}</w>" for one in letters), "<|startoftext|>", "<|endoftext|>"]


def _hybrid(kind: str, backbone: Any, **more: Any) -> torch.nn.Module:
    config = getattr(transformers, f"{kind}Config")(
        backbone_config=backbone, encoder_in_channels=[8, 16, 16], feat_strides=[8, 16, 32], encoder_layers=1,
        encoder_hidden_dim=CHANNELS, encoder_ffn_dim=32, encoder_attention_heads=2, d_model=16, decoder_ffn_dim=32,
        decoder_in_channels=[CHANNELS] * 3, decoder_layers=2, decoder_attention_heads=2, num_feature_levels=3,
        num_queries=_QUERIES, id2label=_NAMES, **more,
    )  # fmt: skip
    return getattr(transformers, f"{kind}ForObjectDetection")(config)


def _rtdetr() -> torch.nn.Module:
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    return _hybrid("RTDetrV2", backbone, decoder_n_points=2)


def _dfine() -> torch.nn.Module:
    backbone = transformers.HGNetV2Config(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 8, 16], stage_mid_channels=[8, 8, 8, 8], stage_out_channels=[8, 8, 16, 16],
        stage_num_blocks=[1, 1, 1, 1], stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True], stage_kernel_size=[3, 3, 5, 5], stage_numb_of_layers=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    return _hybrid("DFine", backbone, decoder_n_points=[2, 2, 2], hidden_expansion=1.0)


def _rf_detr() -> torch.nn.Module:
    backbone = {
        "model_type": "rf_detr_dinov2", "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2,
        "image_size": 56, "patch_size": 14, "num_windows": 2, "out_features": ["stage2", "stage4"],
    }  # fmt: skip
    names = {0: "N/A"} | {class_id: name for class_id, name in coco.NAME_OF.items()}
    names |= {column: "N/A" for column in range(coco.NUM_IDS) if column not in names}
    config = transformers.RfDetrConfig(
        backbone_config=backbone, d_model=16, decoder_layers=2, decoder_self_attention_heads=2,
        decoder_cross_attention_heads=2, decoder_ffn_dim=32, num_queries=_QUERIES, group_detr=1, c2f_num_blocks=1,
        id2label=names,
    )  # fmt: skip
    return transformers.RfDetrForObjectDetection(config)


def _owlv2() -> torch.nn.Module:
    tokens = len(_tokens())
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = layers | {
        "vocab_size": tokens, "max_position_embeddings": 40, "pad_token_id": 0, "bos_token_id": tokens - 2,
        "eos_token_id": tokens - 1,
    }  # fmt: skip
    vision = layers | {"image_size": SIDES["owlv2"], "patch_size": 16}
    return transformers.Owlv2ForObjectDetection(
        transformers.Owlv2Config(text_config=text, vision_config=vision, projection_dim=16)
    )


_MAKERS: dict[str, Callable[[], torch.nn.Module]] = {
    "rtdetr-v2": _rtdetr,
    "dfine": _dfine,
    "rf-detr": _rf_detr,
    "owlv2": _owlv2,
}
