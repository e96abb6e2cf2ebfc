"""Where tensors live and how many threads work on them. The only module that names a kind of device."""

from __future__ import annotations

import torch

from streamvos.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str = "auto") -> torch.device:
    """Resolve "auto" to the best device present; raises `InputError` where a named one is absent."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    if name not in present:
        raise InputError(f"unknown device {name!r} (valid: {', '.join(DEVICES)})")
    if not present[name]:
        have = ", ".join(kind for kind, there in present.items() if there)
        raise InputError(f"device {name!r} is not available here (available: {have}); use --device auto")
    return torch.device(name)
