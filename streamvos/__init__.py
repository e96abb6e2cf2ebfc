"""StreamVOS: streaming video perception with bounded memory.

The public names of all layers can be imported from here; each is loaded when it is first used, so that
`from streamvos import Frame` does not wait for torch. Those of the upper layers are the only imports that go up.
"""

from __future__ import annotations

import importlib.metadata
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memory_bank.protocol import MemoryStats
    from pipelines.answer import ask
    from pipelines.graph.build import GraphConfig
    from pipelines.session import Session
    from streamvos.answers import Answer, Evidence
    from streamvos.errors import InputError, MissingWeightsError
    from streamvos.records import Detections, Frame, MemoryEvent, ObjectMasks, Prompt, SceneEstimate, StepResult
    from streamvos.rows import Detection, TrackedObject
    from streamvos.video.sources import open_source

__all__ = [
    "Answer",
    "Detection",
    "Detections",
    "Evidence",
    "Frame",
    "GraphConfig",
    "InputError",
    "MemoryEvent",
    "MemoryStats",
    "MissingWeightsError",
    "ObjectMasks",
    "Prompt",
    "SceneEstimate",
    "Session",
    "StepResult",
    "TrackedObject",
    "__version__",
    "ask",
    "open_source",
]

# OpenMP threads that wait for each other sleep. By default they spin, and take the cores from the reader and the
# encoder, and from the thread that they wait for. Works where torch is not loaded yet; the user's own choice stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'streamvos' has no attribute {name!r}")
    value = importlib.metadata.version("streamvos") if name == "__version__" else getattr(_home(name), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _home(name: str) -> Any:
    """The module that defines a public name."""
    match name:
        case "Session":
            from pipelines import session as home
        case "ask":
            from pipelines import answer as home
        case "GraphConfig":
            from pipelines.graph import build as home
        case "MemoryStats":
            from memory_bank import protocol as home
        case "Answer" | "Evidence":
            from streamvos import answers as home
        case "InputError" | "MissingWeightsError":
            from streamvos import errors as home
        case "open_source":
            from streamvos.video import sources as home
        case "Detection" | "TrackedObject":
            from streamvos import rows as home
        case _:
            from streamvos import records as home
    return home
