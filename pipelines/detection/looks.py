"""Where the detector looks once more: a budget of quarters in each run, which memory spends.

Two things speak for a quarter: that it was not looked at for long, and that something is expected there. Expected is
what the last look there added to the whole frame; what the whole frame shows small or doubtfully just now; what was
known and is not found (an expected place without a box); and what the user points at, which comes before all else.
Where a look found something new, a second one in the next run confirms it: an object starts when it was seen twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memory_bank.protocol import MemoryStats
from pipelines.detection.views import NAMES, View
from streamvos.answers import plural
from streamvos.records import MemoryEvent

NUM_QUARTERS = len(NAMES)
_CONFIRMS = 1e6  # worth of a second look, beyond all but what the user points at
_NEVER = 8  # runs that a quarter counts as not looked at when a shot begins: all get their turn soon


def score_quarters(waited: np.ndarray, expected: np.ndarray, new: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """How much a look at each quarter is worth; only the order counts.

    A quarter is looked at as many times more often as there is more expected in it; none is ever given up. Chosen on
    pans over pictures of COCO's training part: better than turns and than chance; always where most is expected found a
    little more in each frame, and gives the others up.

    Args:
        waited: (4,) runs of the detector since it was looked at, 1 where that was the last run.
        expected: (4,) number of things that are expected there, beyond what the whole frame shows well.
        new: (4,) bool, whether the last run found more there than the look before: a second look confirms it.
        asked: (4,) bool, whether the user points there.
    """
    return np.select([asked, new], [np.inf, _CONFIRMS], waited * (1.0 + expected))


class Looks:
    """What is remembered of each quarter: when it was looked at, and what that added.

    Args:
        budget: quarters that may be looked at in one run, 0 to 4.
    """

    name = "looks"

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._waited, self._added = np.zeros(NUM_QUARTERS, np.int64), np.zeros(NUM_QUARTERS, np.int64)
        self._new = np.zeros(NUM_QUARTERS, bool)
        self.reset()

    def choose(
        self, views: Sequence[View], size: tuple[int, int], hints_xyxy: np.ndarray, asked_xyxy: np.ndarray
    ) -> list[int]:
        """The quarters to look at now, ascending.

        Args:
            views: the four quarters of a frame of `size` (H, W).
            hints_xyxy: (N, 4) boxes of what is small, doubtful or lost.
            asked_xyxy: (K, 4) boxes around what the user points at.
        """
        hinted = np.array([view.takes(hints_xyxy, size).sum() for view in views])
        asked = np.array([view.takes(asked_xyxy, size).any() for view in views])
        worth = score_quarters(self._waited, self._added + hinted, self._new & (self._waited == 1), asked)
        return sorted(np.argsort(-worth, kind="stable")[: self.budget].tolist())

    def note(self, frame_index: int, added: Mapping[int, int]) -> None:
        """A run of the detector: how many things each quarter that was looked at added to the whole frame."""
        waited = self._waited.copy()
        self._waited += 1
        for row, number in added.items():
            since = (
                f"not looked at for {plural('run', int(waited[row]))}" if waited[row] < _NEVER else "new in the shot"
            )
            reason = f"{since}; it adds {plural('detection', number)} to those of the whole frame"
            self._events.append(
                MemoryEvent(self.name, "write", frame_index, f"{NAMES[row]} quarter", reason, self._bytes)
            )
            self._new[row] = number > self._added[row]
            self._waited[row], self._added[row] = 1, number

    def reset(self) -> None:
        """A new shot: nothing was looked at, and nothing is expected."""
        self._waited[:], self._added[:], self._new[:] = _NEVER, 0, False
        self._events: list[MemoryEvent] = []

    def stats(self) -> MemoryStats:
        """Entries are quarters; none where there is no budget."""
        entries, size = (NUM_QUARTERS, self._bytes) if self.budget else (0, 0)
        return MemoryStats(entries, size, self._bytes)

    def state_dict(self) -> dict[str, Any]:
        return {"waited": self._waited.copy(), "added": self._added.copy(), "new": self._new.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self._waited[:], self._added[:], self._new[:] = state["waited"], state["added"], state["new"]

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    @property
    def _bytes(self) -> int:
        return self._waited.nbytes + self._added.nbytes + self._new.nbytes
