"""What the four memories have in common.

A memory has a byte budget that it never exceeds, tells its size at any time, forgets an object on request, and
reports each decision as a `MemoryEvent`. What `write` and `read` take differs from memory to memory (key
frames, feature vectors, points, episodes), so their arguments belong to the class; everything else is the
same for all four and is what the runners rely on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from streamvos.records import MemoryEvent


@dataclass(frozen=True)
class MemoryStats:
    """Size of a memory.

    Args:
        entries: what is stored now, in the memory's own unit.
        bytes: what it takes now.
        capacity_bytes: the budget; `bytes` never exceeds it.
    """

    entries: int
    bytes: int
    capacity_bytes: int


@runtime_checkable
class Memory(Protocol):
    """A bounded memory. Writing and reading take the arguments that the class documents."""

    name: str

    def write(self, *args: Any, **kwargs: Any) -> Any: ...

    def read(self, *args: Any, **kwargs: Any) -> Any: ...

    def remove(self, object_id: int) -> None:
        """Forget everything that belongs to one object."""

    def reset(self) -> None:
        """Forget everything."""

    def stats(self) -> MemoryStats: ...

    def state_dict(self) -> dict[str, Any]:
        """A snapshot: plain containers, numbers, strings and NumPy arrays, independent of later writes."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a snapshot of the same class and configuration."""

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        """Hand over the decisions since the last call, and forget them."""
