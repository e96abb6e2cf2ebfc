"""Memory decisions, gauges and states in words that a person can read."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from memory_bank.protocol import MemoryStats
from streamvos.answers import clock
from streamvos.records import MemoryEvent, StepResult

# As they are shown, in this order.
MEMORIES = {
    "objects": "Objects",
    "keyframes": "Key frames",
    "appearance": "Appearance",
    "retired": "Objects that left",
    "features": "Features",
    "expected_places": "Expected places",
    "scene": "Scene",
    "episodes": "Long memory",
}
_DONE = {
    "write": "kept",
    "skip": "passed over",
    "merge": "merged",
    "evict": "dropped",
    "refine": "refined",
    "reject": "refused",
    "remove": "forgot",
    "reset": "began anew with",
}


class Feed:
    """The latest decisions, newest last; the same decision about the same entry in a row counts up.

    Args:
        length: how many are kept.
    """

    def __init__(self, length: int = 80) -> None:
        self._lines: deque[dict[str, Any]] = deque(maxlen=length)
        self.version = 0

    def add(self, result: StepResult) -> None:
        """Take in the decisions of one frame."""
        for event in result.events:
            self._add(event, result.time_s)

    def lines(self) -> list[dict[str, Any]]:
        """Each with time, memory, text, reason and how often."""
        return [{key: value for key, value in line.items() if key != "same"} for line in self._lines]

    def _add(self, event: MemoryEvent, time_s: float) -> None:
        self.version += 1
        same = event.bank, event.action, event.entry
        for line in list(self._lines)[-4:]:
            if line["same"] == same:
                line.update(reason=event.reason, times=line["times"] + 1)
                return
        self._lines.append(
            {
                "same": same,
                "number": self.version,
                "time_s": round(time_s, 3),
                "clock": clock(round(1000 * time_s)),
                "memory": MEMORIES.get(event.bank, event.bank),
                "text": f"{_DONE.get(event.action, event.action)} {event.entry}",
                "reason": event.reason,
                "times": 1,
            }
        )


def gauges(stats: Mapping[str, MemoryStats]) -> list[dict[str, Any]]:
    """Fill of each memory, in the order of the graph."""
    names = [name for name in MEMORIES if name in stats] + [name for name in stats if name not in MEMORIES]
    return [
        {
            "name": MEMORIES.get(name, name),
            "entries": stats[name].entries,
            "bytes": stats[name].bytes,
            "capacity_bytes": stats[name].capacity_bytes,
        }
        for name in names
    ]
