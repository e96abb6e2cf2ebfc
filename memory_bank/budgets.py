"""How many bytes each memory may take: the one place where that is set. A memory never exceeds its budget."""

from __future__ import annotations

from dataclasses import dataclass

from streamvos.config import Settings, setting

_MIB = 2**20


@dataclass(frozen=True)
class MemoryBudgets(Settings, at="memory"):
    """Budgets in MiB, of one stream; `bytes_of` gives them in bytes."""

    keyframes_mib: float | None = setting(
        None,
        "key frames of all objects; larger keeps more views; nothing: what the tracker needs",
        above=0,
    )
    object_keyframes_mib: float = setting(12.0, "key frames of one object; larger keeps more views of it", above=0)
    objects_mib: float = setting(
        256.0, "what is kept of objects from frame to frame; larger follows more at once, up to max_objects", above=0
    )
    appearance_mib: float = setting(8.0, "what objects and background look like; larger knows more objects", above=0)
    retired_mib: float = setting(1.0, "looks of objects that left; larger recognises them after more others", above=0)
    features_mib: float = setting(8.0, "feature vectors and expected places; larger remembers more looks", above=0)
    scene_mib: float = setting(24.0, "static map, moving points and places; larger maps more of the world", low=1)
    episodes_mib: float = setting(64.0, "the long memory on disk; larger keeps detail for longer", low=2)

    def bytes_of(self, memory: str) -> int:
        """The budget of "keyframes", "object_keyframes", … in bytes; that of key frames must be resolved."""
        return int(getattr(self, f"{memory}_mib") * _MIB)
