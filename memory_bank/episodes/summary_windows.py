"""When summaries open and close: at a cut, at a gap, or when their window is full; and the levels above."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from memory_bank.episodes import policy, summaries
from memory_bank.episodes.moment import Moment, Tell
from memory_bank.episodes.policy import LEVEL_MS, EpisodeConfig
from memory_bank.episodes.store import Store
from memory_bank.episodes.summaries import Encoder
from streamvos.answers import clock

_CLOSED = {"gap": "the frames stopped", "cut": "a new shot began", "end": "the video ended"}


@dataclass(frozen=True)
class Window:
    """The stretch of time that the open summary covers so far, both ends inclusive."""

    from_ms: int
    from_frame: int
    to_ms: int
    to_frame: int
    shot: int


class SummaryWindows:
    """Opens, extends and closes the windows of the summaries, and writes a summary at each end.

    Args:
        store: where rows go.
        encoder: sentence embeddings; None stores none.
        config: lengths of the windows.
        tell: reports a decision.
    """

    def __init__(self, store: Store, encoder: Encoder | None, config: EpisodeConfig, tell: Tell) -> None:
        self._store, self._encoder, self._config, self._tell = store, encoder, config, tell
        self._open: Window | None = None
        self._level_starts: list[int] = []  # in ms, of the open window of each level; level 0 has none

    def begin_stream(self, t_ms: int) -> None:
        """Open the windows of the levels at the first frame."""
        self._level_starts = [t_ms // size * size if size else 0 for size in LEVEL_MS]

    def must_close(self, moment: Moment, gap: bool) -> str | None:
        """Why the open summary ends before this frame; None where it goes on."""
        if self._open is None:
            return None
        length_ms = moment.t_ms - self._open.from_ms
        if gap:
            return "gap"
        if length_ms >= round(1000 * self._config.chunk_s):
            return f"{self._config.chunk_s:g} s are full"
        if moment.is_cut and length_ms >= round(1000 * policy.MIN_CHUNK_S):
            return "cut"
        return None

    def close(self, why: str) -> None:
        """Write the summary of the open window, where there is one; the rows below must be up to date."""
        window = self._open
        if window is None:
            return
        span, frames = (window.from_ms, window.to_ms), (window.from_frame, window.to_frame)
        row = summaries.add_summary(self._store, self._encoder, span, frames, window.shot, why)
        covers = f"covers {clock(span[0])} to {clock(span[1])} (frames {frames[0]} to {frames[1]})"
        self._tell("write", f"summary {row}", f"{covers}; closed: {_CLOSED.get(why, why)}")
        self._open = None

    def open(self, moment: Moment) -> bool:
        """Open a window at this frame, where none is; True where it was opened."""
        if self._open is not None:
            return False
        self._open = Window(moment.t_ms, moment.frame_index, moment.t_ms, moment.frame_index, moment.shot)
        return True

    def extend(self, moment: Moment) -> None:
        """Let the open window end with this frame."""
        assert self._open is not None, "a frame is written into an open window"
        self._open = replace(self._open, to_ms=moment.t_ms, to_frame=moment.frame_index)

    def roll_up(self, now_ms: int) -> None:
        """Write the summaries of the levels whose windows have passed."""
        for level in range(1, len(LEVEL_MS)):
            if now_ms < self._level_starts[level] + LEVEL_MS[level]:
                break
            made = summaries.roll_up(self._store, self._encoder, level, self._level_starts[level])
            if made is not None:
                row, num_below = made
                covers = f"covers {LEVEL_MS[level] // 60_000} minutes from {clock(self._level_starts[level])}"
                self._tell(
                    "merge", f"summary {row} of level {level}", f"{covers}; made of {num_below} of level {level - 1}"
                )
            self._level_starts[level] = now_ms // LEVEL_MS[level] * LEVEL_MS[level]

    def state_dict(self) -> dict[str, Any]:
        return {"open": None if self._open is None else asdict(self._open), "level_starts": list(self._level_starts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._open = None if state["open"] is None else Window(**state["open"])
        self._level_starts = list(state["level_starts"])
