"""Cutie's network (Cheng et al., CVPR 2024) from `rf-cutie`, without the downloads of its constructor.

The package's encoders ask for ResNet weights of the internet when they are built, only to overwrite them with the
checkpoint; `get_default_model` needs hydra and a GPU; `load_weights` passes over keys that do not fit. Here the
settings are read from the package's own files, the encoders start at random, the checkpoint is loaded with
`weights_only`, and every key must fit. `cutie` is an optional extra.
"""

from __future__ import annotations

import importlib.metadata
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from streamvos.errors import InputError, unknown_name
from streamvos.models.catalogue import locate
from streamvos.models.checkpoint import load_checkpoint

CutieSize = Literal["small", "base"]
CATALOGUE_NAMES: dict[str, str] = {"small": "cutie-small", "base": "cutie-base"}
LEAST_LONG_TERM_TOKENS = 512  # four merges of 128 prototypes, the package's `num_prototypes`
INSTALL = "pip install 'streamvos[cutie]'"

_TRAINING_ONLY = "aux_computer."  # the heads of its auxiliary losses: a checkpoint may lack them
_building = threading.Lock()  # while the package's encoders are kept from downloading


def load_cutie(size: CutieSize, weights: Path | None, device: torch.device) -> torch.nn.Module:
    """The network with trained weights, ready for inference.

    Args:
        size: "small" (ResNet-18) or "base" (ResNet-50).
        weights: the checkpoint, or None for the one of the catalogue.
        device: where it runs.

    Raises:
        InputError: the extra `cutie` is not installed; says the line that installs it.
        MissingWeightsError: weights is None and the catalogue's file is not here; says how to get it.
        IntegrityError: the file is damaged, or belongs to another model.
    """
    require_cutie()
    _check_size(size)
    path = locate(CATALOGUE_NAMES[size]) if weights is None else weights
    network = _build(size)
    load_checkpoint(network, path, "Cutie", size, may_lack=(_TRAINING_ONLY,))
    return network.to(device).eval()


def random_cutie(size: CutieSize, seed: int, device: torch.device) -> torch.nn.Module:
    """The same architecture with random weights: it costs as much and its masks mean nothing (tests, speed)."""
    require_cutie()
    _check_size(size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _build(size)
    return network.to(device).eval()


def require_cutie() -> None:
    """Raise `InputError` with the install line where `rf-cutie` is absent."""
    try:
        importlib.metadata.distribution("rf-cutie")
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"the base tracker cutie needs the package rf-cutie; install it with: {INSTALL}") from None


def cutie_settings(size: CutieSize, max_long_term_tokens: int = 10_000) -> Any:
    """The package's settings (an omegaconf `DictConfig`) for one video of any length, read without hydra."""
    from omegaconf import OmegaConf

    folder = Path(str(importlib.metadata.distribution("rf-cutie").locate_file("cutie/config")))
    settings = OmegaConf.load(folder / "eval_config.yaml")
    model = OmegaConf.load(folder / "model" / "base.yaml")
    if size == "small":
        model = OmegaConf.merge(model, OmegaConf.load(folder / "model" / "small.yaml"))
    generic = settings.datasets.generic
    settings = OmegaConf.merge(settings, {"use_long_term": generic.use_long_term, "mem_every": generic.mem_every})
    long_term = {"max_num_tokens": max_long_term_tokens, "buffer_tokens": max_long_term_tokens // 5}
    return OmegaConf.merge(settings, {"model": model, "long_term": long_term})


def _check_size(size: str) -> None:
    if size not in get_args(CutieSize):
        raise unknown_name("Cutie size", size, CATALOGUE_NAMES)


def _build(size: CutieSize) -> torch.nn.Module:
    from cutie.model.cutie import CUTIE

    # it warns once a line of its own use of an old autocast, when it runs and not only when it is imported
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"cutie\.")
    with _building, _encoders_without_download():
        return CUTIE(cutie_settings(size))


@contextmanager
def _encoders_without_download() -> Iterator[None]:
    """The package has no switch for it: both of its ResNet makers are called with `pretrained=True`."""
    from cutie.model.utils import resnet

    names = ("resnet18", "resnet50")
    makers = {name: getattr(resnet, name) for name in names}
    for name, maker in makers.items():
        setattr(resnet, name, lambda pretrained=True, extra_dim=0, model_dir=None, make=maker: make(False, extra_dim))
    try:
        yield
    finally:
        for name, maker in makers.items():
            setattr(resnet, name, maker)
