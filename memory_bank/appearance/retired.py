"""Retired objects: what objects that are no longer followed looked like, so that they can be recognised again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from memory_bank.protocol import MemoryStats
from streamvos.records import MemoryAction, MemoryEvent

_MAX_OBJECTS = 64  # each more is one more that a new object may be taken for
_MAX_VIEWS = 8  # of each: as many as a tracker's key frames


class RetiredObject(NamedTuple):
    """What is kept of an object: its class, (n, C) unit vectors of its views, whether it was seen in this shot."""

    class_name: str
    views: np.ndarray
    of_this_shot: bool


class RetiredObjects:
    """The oldest is forgotten when there is no room.

    Args:
        budget_bytes: of the views of all objects together.
    """

    name = "retired"

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self.reset()

    def reset(self) -> None:
        self._objects: OrderedDict[int, RetiredObject] = OrderedDict()
        self._events: list[MemoryEvent] = []

    def write(self, frame_index: int, object_id: int, class_name: str, views: np.ndarray) -> None:
        """Keep an object that is no longer followed; `views` are (n, C) float32 unit vectors, the latest last."""
        self._objects[object_id] = RetiredObject(class_name, views[-_MAX_VIEWS:].copy(), True)
        while len(self._objects) > _MAX_OBJECTS or self._bytes() > self._budget_bytes:
            oldest, _ = self._objects.popitem(last=False)
            self._tell("evict", frame_index, oldest, "forgotten for good: no room, and it left longest ago")
        if object_id in self._objects:
            self._tell("write", frame_index, object_id, "no longer followed; will be recognised should it return")

    def read(self) -> dict[int, RetiredObject]:
        """All that is kept, by object, in the order in which they left."""
        return dict(self._objects)

    def remove(self, object_id: int) -> None:
        """Forget an object; an unknown id is fine."""
        self._objects.pop(object_id, None)

    def start_shot(self) -> None:
        """Those that are kept were seen in an earlier shot."""
        for object_id, one in self._objects.items():
            self._objects[object_id] = one._replace(of_this_shot=False)

    def stats(self) -> MemoryStats:
        return MemoryStats(len(self._objects), self._bytes(), self._budget_bytes)

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        return {object_id: (one[0], one[1].copy(), one[2]) for object_id, one in self._objects.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self._objects = OrderedDict((object_id, RetiredObject(*one)) for object_id, one in state.items())

    def _bytes(self) -> int:
        return sum(one.views.nbytes for one in self._objects.values())

    def _tell(self, action: MemoryAction, frame_index: int, object_id: int, reason: str) -> None:
        self._events.append(MemoryEvent(self.name, action, frame_index, f"object {object_id}", reason, self._bytes()))
