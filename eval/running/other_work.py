"""How much other processes computed beside a measurement: with more than a little, its speed says nothing.

The machine's load average cannot tell that, because it counts our own processes. Here the CPU time of this process, of
all that it started and of those that they started is taken off what all processors did in the same time.
"""

from __future__ import annotations

import time

import psutil


class OtherWork:
    """Watches from its making to the last look.

    It must look while what this process started is still alive: what ends unseen counts as others' work.
    """

    def __init__(self) -> None:
        self._start = self._last = self._now()

    def look(self) -> None:
        """Take what has happened until now into account."""
        self._last = self._now()

    @property
    def cores(self) -> float | None:
        """Processors that others kept busy, on average; None before the first look."""
        wall_s, busy_s, own_s = (last - first for last, first in zip(self._last, self._start, strict=True))
        return max(0.0, (busy_s - own_s) / wall_s) if wall_s > 0 else None

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.monotonic(), _busy_s(), _own_s()


def _busy_s() -> float:
    """CPU seconds of all processes since the machine was started."""
    times = psutil.cpu_times()._asdict()
    idle = ("idle", "iowait", "guest", "guest_nice")  # a guest's time is in the user's already
    return sum(seconds for name, seconds in times.items() if name not in idle)


def _own_s() -> float:
    """CPU seconds of this process and its descendants, those that have ended and were waited for included."""
    total, me = 0.0, psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:  # ended in this moment
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
