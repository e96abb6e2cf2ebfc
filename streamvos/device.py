"""Where tensors live and how many threads work on them. The only module that names a kind of device."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from streamvos.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")
Precision = Literal["auto", "float32", "bfloat16"]


def pick_device(name: str = "auto") -> torch.device:
    """Resolve "auto" to the best device present; raises `InputError` where a named one is absent."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    if name not in present:
        raise InputError(f"unknown device {name!r} (valid: {', '.join(DEVICES)})")
    if not present[name]:
        have = ", ".join(kind for kind, there in present.items() if there)
        raise InputError(f"device {name!r} is not available here (available: {have}); use device='auto'")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Resolve "auto" to bfloat16 where the processor computes with it, else float32.

    Frozen networks are about twice as fast in bfloat16 on such processors, and slower on others. Raises `InputError`
    for an unknown name.
    """
    if name not in get_args(Precision):
        raise InputError(f"unknown precision {name!r} (valid: {', '.join(get_args(Precision))})")
    if name != "auto":
        return getattr(torch, name)
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        has_bfloat16 = able.get("avx512_bf16", False) or able.get("amx_bf16", False)
    else:
        has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which a network of float32 weights computes in `dtype`."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
