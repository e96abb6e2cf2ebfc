"""Presentation times of files, also where their time stamps are missing, wrong, or begin again."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

DEFAULT_RATE = Fraction(25)
_AHEAD = 8  # frames that are looked at where times do not go on: so many bad ones in a row are told from a new start
_LEAP_STEPS = 3  # nominal frames: at a longer step all of these are asked whether it is real, not the next alone
_PAUSE_S = 600  # a pause that is told; shorter ones are common where a recorder waits for something to move
_PAUSE_STEPS = 20  # and of so many frames at the nominal rate: one picture an hour has no pauses


class Stamped(Protocol):
    """A decoded frame: of both time stamps it may have none."""

    pts: int | None
    dts: int | None


T = TypeVar("T", bound=Stamped)


class Clock:
    """Times in seconds, from 0 at the first frame, strictly increasing.

    A frame without a time stamp is placed one nominal frame after the last. So is one whose stamp does not fit between
    those around it. Where all that follow are earlier, the recording begins again (two were joined, or the recorder
    was started anew): times go on from where they were. A gap forward that lasts is real, and stays.

    Args:
        time_base: unit of the time stamps, seconds.
        rate: nominal frames per second.
        by_dts: whether the order of decoding tells the times, because the container holds no others (AVI).
        wrap_ticks: after so many ticks the stamps begin again at 0 (MPEG-TS); a step longer than half of it goes back.

    Attributes:
        num_missing: frames without a time stamp.
        num_mended: frames whose time stamp made no sense.
        num_restarts: how often the recording begins again.
        pauses: the frame before each long gap, and its seconds.
    """

    def __init__(
        self, time_base: Fraction, rate: Fraction | None, by_dts: bool = False, wrap_ticks: int | None = None
    ) -> None:
        self._time_base, self._by_dts, self._wrap = time_base, by_dts, wrap_ticks
        self._near: int | None = None  # a stamp near which the next ones are, for those that begin again at 0
        self._step = max(1, round(1 / (rate or DEFAULT_RATE) / time_base))
        self._origin: int | None = None  # the stamp that is time 0
        self._last = -1
        self._num_frames = 0
        self.num_missing = self.num_mended = self.num_restarts = 0
        self.pauses: list[tuple[int, float]] = []

    def timed(self, frames: Iterable[T]) -> Iterator[tuple[T, float]]:
        """Each frame with its time."""
        ahead = _Ahead(frames)
        for frame in ahead:
            ticks = self._place(self._stamp(frame), lambda count: self._stamps(ahead.peek(count)))
            self._note_pause(ticks)
            self._last = ticks
            if self._origin is not None:
                self._near = ticks + self._origin
            self._num_frames += 1
            yield frame, float(ticks * self._time_base)

    def _stamp(self, frame: Stamped) -> int | None:
        stamp = frame.dts if self._by_dts else frame.pts
        if stamp is None or self._wrap is None:
            return stamp
        if self._near is None:
            self._near = stamp
        stamp -= round(Fraction(stamp - self._near, self._wrap)) * self._wrap
        return stamp

    def _stamps(self, frames: Iterable[Stamped]) -> list[int]:
        return [stamp for stamp in map(self._stamp, frames) if stamp is not None]

    def _place(self, stamp: int | None, look: Callable[[int], list[int]]) -> int:
        """Ticks of the next frame."""
        if self._last < 0:
            return self._begin(stamp, look)
        if stamp is None:
            self.num_missing += 1
            return self._last + self._step
        if self._origin is None:  # the frames before it had no stamps
            self._origin = stamp - (self._last + self._step)
        ticks = stamp - self._origin
        if ticks > self._last:
            is_leap = ticks - self._last > _LEAP_STEPS * self._step
            following = [later - self._origin for later in look(_AHEAD if is_leap else 1)]
            return self._between(following) if self._returns(following, ticks) else ticks
        following = [later - self._origin for later in look(1)]
        if following and following[0] <= self._last:
            following = [later - self._origin for later in look(_AHEAD)]
        if not self._goes_on(ticks, following):
            return self._between(following)
        self.num_restarts += 1
        self._origin = stamp - (self._last + self._step)
        return self._last + self._step

    def _begin(self, stamp: int | None, look: Callable[[int], list[int]]) -> int:
        if stamp is None:
            self.num_missing += 1
            return 0
        following = look(2)
        is_wrong = len(following) == 2 and following[0] < min(stamp, following[1])
        self.num_mended += is_wrong
        self._origin = following[0] - self._step if is_wrong else stamp
        return 0

    def _returns(self, following: list[int], ticks: int) -> bool:
        """Whether a later frame stands before this one: then this one is wrong."""
        return any(self._last < later < ticks for later in following)

    def _goes_on(self, ticks: int, following: list[int]) -> bool:
        """Whether an earlier stamp and those that follow are a film of their own, and not wrong alone."""
        if not following or following[0] > self._last:
            return False
        for earlier, later in itertools.pairwise([ticks, *following]):
            if earlier <= self._last < later and later - earlier > _LEAP_STEPS * self._step:
                return False  # back to where it was
        return True

    def _between(self, following: list[int]) -> int:
        """A place between the last frame and the next that makes sense."""
        self.num_mended += 1
        limit = next((later for later in following if later > self._last), None)
        if limit is None or limit > self._last + self._step:
            return self._last + self._step
        return self._last + max(1, (limit - self._last) // 2)

    def _note_pause(self, ticks: int) -> None:
        gap_s = float((ticks - self._last) * self._time_base)
        if self._last >= 0 and gap_s > _PAUSE_S and ticks - self._last > _PAUSE_STEPS * self._step:
            self.pauses.append((self._num_frames - 1, gap_s))


class _Ahead(Iterator[T], Generic[T]):
    """An iterator that can be looked into. What it raises while one looks is raised in its place."""

    def __init__(self, values: Iterable[T]) -> None:
        self._values = iter(values)
        self._waiting: deque[T] = deque()
        self._error: Exception | None = None

    def peek(self, count: int) -> list[T]:
        """Up to so many of the next values."""
        while len(self._waiting) < count and self._error is None:
            try:
                self._waiting.append(next(self._values))
            except Exception as error:
                self._error = error
        return list(itertools.islice(self._waiting, count))

    def __next__(self) -> T:
        if not self.peek(1):
            raise self._error
        return self._waiting.popleft()
