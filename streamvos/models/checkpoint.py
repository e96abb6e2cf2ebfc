"""A third party's checkpoint into a network: read as tensors only, and every key must fit."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from streamvos.errors import IntegrityError


def load_checkpoint(
    network: torch.nn.Module, path: Path, model: str, size: str, may_lack: tuple[str, ...] = ()
) -> None:
    """Fill `network` from the state dict in a file.

    Args:
        network: built as the checkpoint's was.
        path: a file of `torch.save`.
        model: its name, for messages.
        size: which of its sizes `network` is, for messages.
        may_lack: prefixes of keys that a checkpoint need not have; what `network` holds there stays.

    Raises:
        IntegrityError: the file cannot be read, or its keys or shapes are not the network's; nothing is loaded then.
    """
    state = _read(path, model)
    expected = network.state_dict()
    shapes = {key: getattr(value, "shape", None) for key, value in state.items()}
    problems = {
        "missing": [key for key in expected if key not in state and not key.startswith(may_lack)],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": [key for key in expected if key in state and expected[key].shape != shapes[key]],
    }
    found = [f"{len(keys)} {kind} (first: {keys[0]})" for kind, keys in problems.items() if keys]
    if found:
        raise IntegrityError(f"{model} weights {path} do not fit {size}: keys {', '.join(found)}")
    network.load_state_dict({**expected, **state})


def _read(path: Path, model: str) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise IntegrityError(f"{model} weights {path} cannot be read: {reason}") from None
    if not isinstance(state, dict):
        raise IntegrityError(f"{model} weights {path}: expected a dict of tensors, got {type(state).__name__}")
    return state
