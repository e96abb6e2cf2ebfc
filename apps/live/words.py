"""Memory decisions and gauges in words that a person can read."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from apps.live.sentences import sentence
from memory_bank.protocol import MemoryStats
from streamvos.answers import clock
from streamvos.records import MemoryEvent, StepResult

# As they are shown, in this order.
MEMORIES = {
    "objects": "Objects being followed",
    "keyframes": "Pictures of objects",
    "appearance": "What objects look like",
    "retired": "Objects that left",
    "features": "Details of things",
    "expected_places": "Expected places",
    "scene": "The place in 3D",
    "episodes": "What happened",
}
_MAX_NAMES = 512


class Feed:
    """The latest decisions, newest last; what is said again in a row counts up.

    Args:
        length: how many are kept.
    """

    def __init__(self, length: int = 60) -> None:
        self._lines: deque[dict[str, Any]] = deque(maxlen=length)
        self._names: dict[int, str] = {}  # of those that left, too: memories speak of them afterwards
        self.version = 0

    def add(self, result: StepResult) -> None:
        """Take in the decisions of one frame."""
        if result.masks is not None:
            self._names |= dict(zip(result.masks.object_ids.tolist(), result.masks.class_names, strict=True))
            while len(self._names) > _MAX_NAMES:
                del self._names[next(iter(self._names))]
        for event in result.events:
            self._add(event, result.time_s)

    def lines(self) -> list[dict[str, Any]]:
        """Each with time, frame, memory, a sentence (`text`), how often, and the memory's own words (`details`)."""
        return [{key: value for key, value in line.items() if key != "same"} for line in self._lines]

    def _add(self, event: MemoryEvent, time_s: float) -> None:
        self.version += 1
        same = event.bank, event.action, event.entry
        told = {
            "text": sentence(event, self._names),
            "frame": event.frame_index,
            "details": {
                "event": f"{event.bank}: {event.action} {event.entry}",
                "reason": event.reason,
                "bytes": event.bytes,
                "numbers": dict(event.numbers),
            },
        }
        for line in list(self._lines)[-4:]:
            if line["same"] == same or line["text"] == told["text"]:
                line.update(told, times=line["times"] + 1)
                return
        self._lines.append(
            {
                "same": same,
                "number": self.version,
                "time_s": round(time_s, 3),
                "clock": clock(round(1000 * time_s)),
                "memory": MEMORIES.get(event.bank, event.bank),
                "times": 1,
                **told,
            }
        )


def gauges(stats: Mapping[str, MemoryStats]) -> list[dict[str, Any]]:
    """Fill of each memory, in the order of the graph."""
    names = [name for name in MEMORIES if name in stats] + [name for name in stats if name not in MEMORIES]
    return [
        {
            "name": MEMORIES.get(name, name),
            "bank": name,
            "entries": stats[name].entries,
            "bytes": stats[name].bytes,
            "capacity_bytes": stats[name].capacity_bytes,
        }
        for name in names
    ]
