"""StreamVOS: streaming video perception with bounded memory.

The public names of all layers can be imported from here; each is loaded when it is first used, so that the lower
layers stay free of the upper ones.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from typing import Any

# OpenMP threads that wait for each other sleep. By default they spin, and take the cores from the reader and the
# encoder, and from the thread that they wait for. Works where torch is not loaded yet; the user's own choice stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "Answer": "streamvos.answers",
    "Evidence": "streamvos.answers",
    "InputError": "streamvos.errors",
    "MissingWeightsError": "streamvos.errors",
    "Detections": "streamvos.records",
    "Frame": "streamvos.records",
    "MemoryEvent": "streamvos.records",
    "ObjectMasks": "streamvos.records",
    "Prompt": "streamvos.records",
    "SceneEstimate": "streamvos.records",
    "StepResult": "streamvos.records",
    "open_source": "streamvos.video.sources",
    "MemoryStats": "memory_bank.protocol",
    "GraphConfig": "pipelines.graph.build",
    "Session": "pipelines.session",
    "ask": "pipelines.answer",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("streamvos")
    if name not in _HOMES:
        raise AttributeError(f"module 'streamvos' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
