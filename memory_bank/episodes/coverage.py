"""Which times of the stream were looked at, so that "not seen" and "not looked" stay apart."""

from __future__ import annotations

from typing import Any

from memory_bank.episodes import policy
from memory_bank.episodes.moment import Moment
from memory_bank.episodes.rows import add_event
from memory_bank.episodes.store import Store


class Coverage:
    """Keeps one row for each stretch that was looked at, and one for each gap between two.

    Args:
        store: where rows go.
        gap_s: frames further apart leave a gap.
    """

    def __init__(self, store: Store, gap_s: float) -> None:
        self._store, self._gap_s = store, gap_s
        self._row_id: int | None = None  # of the stretch that goes on
        self.period_ms: float | None = None  # usual distance of the frames that were looked at

    def extend(self, moment: Moment) -> bool:
        """Extend the covered time to this frame; True where the time since the last one is a gap."""
        row = None
        if self._row_id is not None:
            row = self._store.one("SELECT * FROM coverage WHERE id = ?", self._row_id)
        if row is not None:
            elapsed = moment.t_ms - row["to_ms"]
            if not policy.is_gap(elapsed, self.period_ms, self._gap_s):
                self.period_ms = policy.update_period(self.period_ms, elapsed)
                frames = row["frames"] + 1
                self._store.update("coverage", row["id"], to_ms=moment.t_ms, to_frame=moment.frame_index, frames=frames)
                return False
            why = f"no frame for {elapsed / 1000:.1f} s"
            self._insert(row["to_ms"], moment.t_ms, row["to_frame"], moment.frame_index, 0, "gap", why)
            add_event(self._store, "gap", moment.t_ms, moment.frame_index, why)
        self._row_id = self._insert(
            moment.t_ms, moment.t_ms, moment.frame_index, moment.frame_index, 1, "processed", ""
        )
        return row is not None

    def state_dict(self) -> dict[str, Any]:
        return {"row_id": self._row_id, "period_ms": self.period_ms}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._row_id, self.period_ms = state["row_id"], state["period_ms"]

    def _insert(self, a: int, b: int, first: int, last: int, frames: int, status: str, why: str) -> int:
        return self._store.insert(
            "coverage",
            from_ms=a,
            to_ms=b,
            from_frame=first,
            to_frame=last,
            frames=frames,
            status=status,
            why=why,
        )
