"""Progress on stderr: frames done, rate, time left, objects followed."""

from __future__ import annotations

import sys

from tqdm import tqdm

from streamvos.records import StepResult
from streamvos.video.info import Source

_NOT_A_SCREEN_S = 10.0  # seconds between two lines of a log file


class Progress:
    """A bar that appears with the first result, so that bad input is answered by one line alone.

    Args:
        source: tells the number of frames, and the drops of a live source.
        start_index: frames that an earlier run has done.
        quiet: show nothing.
    """

    def __init__(
        self, source: Source, start_index: int = 0, max_frames: int | None = None, quiet: bool = False
    ) -> None:
        self._source, self._start, self._quiet = source, start_index, quiet
        counts = [count for count in (source.info.num_frames, max_frames) if count is not None]
        self._total = min(counts) if counts else None
        self._bar: tqdm | None = None

    def update(self, result: StepResult) -> None:
        """Count one frame."""
        if self._quiet:
            return
        if self._bar is None:
            self._bar = self._make_bar()
        facts = {} if result.masks is None else {"objects": len(result.masks)}
        if self._source.info.is_live:
            facts["dropped"] = self._source.num_dropped
        self._bar.set_postfix(facts, refresh=False)
        self._bar.update()

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _make_bar(self) -> tqdm:
        return tqdm(
            total=self._total,
            initial=self._start,
            desc=self._source.info.name,
            unit="frame",
            file=sys.stderr,
            mininterval=0.2 if sys.stderr.isatty() else _NOT_A_SCREEN_S,
            dynamic_ncols=True,
        )
