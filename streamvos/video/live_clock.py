"""Times of a live source: its own where they keep step with the wall clock, those of arrival where they do not.

Cameras stamp pictures with zeros, with milliseconds under the name of 90 kHz, or leap by hours; FFmpeg stamps what has
no times at all as 25 a second. What was seen must still be found at the time at which it was seen, so a source whose
clock leaves the wall clock is not believed from there on.
"""

from __future__ import annotations

from fractions import Fraction

TOLERANCE_S = 1.0  # of jitter; what a network delays comes together after it
_CACHED_S = 5.0  # a server may begin with the pictures since the last key frame, which come as fast as they are decoded
_PROBED_S = 1.0  # so much of a stream, at most, comes at once when it is opened, because it was read to know its form
_LEARNING_S = 0.5  # after the first picture: how far behind the clock its times are when all is well
_BEHIND_S = 1.0  # times that stay behind for so long do not catch up: it was no delay
_BURST, _BURST_S = 0.25, 0.05  # of the time between two pictures, and seconds: those that come faster were waiting
_MOST_BURST_S = 20.0  # what runs ahead further was not waiting: it is a wrong clock
_RETURN = 0.5  # of real time: so much slower the stream's time goes until it is where the wall clock is
_STILL = 4  # pictures in a row without a later time


class LiveClock:
    """Turns the times of a live source into times of the stream, which begin at `first_s`.

    Args:
        first_s: time of the first picture.
        rate: nominal pictures per second, for those without a time; None where unknown.

    Attributes:
        fault: what is wrong with the source's own times, once they are not used any more; None before.
    """

    def __init__(self, first_s: float, rate: Fraction | None) -> None:
        self._first_s, self._step_s = first_s, float(1 / rate) if rate else 0.0
        self._zero: float | None = None  # of the wall clock, at time 0 of the stream
        self._last: tuple[float, float] | None = None  # time and arrival of the last picture
        self._shift_s = 0.0  # of times of arrival, which cannot be earlier than times that were given
        self.fault: str | None = None
        self.connect(0.0)

    def connect(self, began_s: float, tolerance_s: float = TOLERANCE_S) -> None:
        """A connection was asked for at `began_s` of the wall clock; its times begin somewhere else."""
        self._began_s, self._tolerance_s = began_s, tolerance_s
        self._anchor: float | None = None  # what to add to the source's times
        self._source_s: float | None = None
        self._first_arrival: float | None = None
        self._num_pictures = 0  # of the connection
        self._lowest = self._highest = 0.0  # difference to the wall clock when all is well
        self._behind_since: float | None = None
        self._num_still = 0

    def time_s(self, source_s: float | None, arrival_s: float) -> float:
        """The time of a picture that the source stamped `source_s` (None: not at all) and that came at `arrival_s`."""
        if self._zero is None:
            self._zero = max(self._began_s, arrival_s - _PROBED_S) - self._first_s
            time_s = self._first_s
            if source_s is not None:
                self._trust(source_s, time_s, arrival_s)
        elif self.fault is not None:
            self._shift_s = max(0.0, self._shift_s - _RETURN * (arrival_s - self._last[1]))
            time_s = self._wall(arrival_s) + self._shift_s
        else:
            time_s = self._by_source(source_s, arrival_s)
        self._last = time_s, arrival_s
        self._num_pictures += 1
        return time_s

    def _by_source(self, source_s: float | None, arrival_s: float) -> float:
        last_s, last_arrival = self._last
        if source_s is None:
            return max(self._wall(arrival_s), last_s) if self._anchor is None else last_s + self._step_s
        if self._anchor is None:
            time_s = last_s + self._step_s if self._num_pictures else max(self._wall(arrival_s), last_s)
            self._trust(source_s, time_s, arrival_s)
            return time_s
        time_s, step_s = source_s + self._anchor, source_s - self._source_s
        if self._leaves(time_s, step_s, arrival_s):
            self._shift_s = max(0.0, last_s + arrival_s - last_arrival - self._wall(arrival_s))
            return self._wall(arrival_s) + self._shift_s
        self._source_s = source_s
        return time_s

    def _trust(self, source_s: float, time_s: float, arrival_s: float) -> None:
        self._anchor, self._source_s = time_s - source_s, source_s
        self._first_arrival = arrival_s
        self._lowest = self._highest = time_s - self._wall(arrival_s)

    def _leaves(self, time_s: float, step_s: float, arrival_s: float) -> bool:
        """Whether the source's times have left the wall clock; notes how."""
        ahead_s = time_s - self._wall(arrival_s)
        waited_s = arrival_s - self._last[1]
        if arrival_s - self._first_arrival < _LEARNING_S:
            self._lowest = min(self._lowest, ahead_s)
        if 0 < step_s < TOLERANCE_S and waited_s < min(_BURST * step_s, _BURST_S):
            self._highest = max(self._highest, min(ahead_s, _MOST_BURST_S))
        self._num_still = self._num_still + 1 if step_s <= 0 else 0
        if ahead_s < self._lowest - self._tolerance_s:
            self._behind_since = arrival_s if self._behind_since is None else self._behind_since
        else:
            self._behind_since = None
        is_leap = step_s - waited_s > self._tolerance_s
        allowed_s = self._tolerance_s if is_leap else max(self._tolerance_s, _CACHED_S)
        if self._num_still >= _STILL:
            self.fault = "stand still"
        elif step_s < -self._tolerance_s:
            self.fault = f"leap back by {-step_s:.1f} s"
        elif ahead_s > self._highest + allowed_s:
            self.fault = f"run {ahead_s - self._highest:.1f} s ahead of the clock"
        elif self._behind_since is not None and arrival_s - self._behind_since > _BEHIND_S:
            self.fault = f"fall {self._lowest - ahead_s:.1f} s behind the clock"
        return self.fault is not None

    def _wall(self, arrival_s: float) -> float:
        return arrival_s - self._zero
