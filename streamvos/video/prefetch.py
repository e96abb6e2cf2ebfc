"""Hand values from a thread to the caller: all of them in order (files), or only the newest (cameras)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_POLL_S = 0.1  # how soon a blocked thread notices that it should stop


class Prefetch(Iterator[T], Generic[T]):
    """Run an iterator in a thread, at most `depth` values ahead. Its error is raised where it belongs, in
    order.

    Args:
        make: builds the iterator; called, used and closed in the thread.
        depth: how many values wait at most.
    """

    def __init__(self, make: Callable[[], Iterator[T]], depth: int) -> None:
        self._queue: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(max(1, depth))
        self._stop = threading.Event()
        self._done = False
        self._thread = threading.Thread(target=self._work, args=(make,), name="prefetch", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._done:
            raise StopIteration
        while True:
            try:
                kind, value = self._queue.get(timeout=_POLL_S)
                break
            except queue.Empty:
                if self._stop.is_set():
                    raise StopIteration from None
        if kind == "value":
            return value
        self._done = True
        if kind == "error":
            raise value
        raise StopIteration

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        self._done = True
        self._thread.join()

    def _work(self, make: Callable[[], Iterator[T]]) -> None:
        values = make()
        try:
            for value in values:
                if not self._put("value", value):
                    return
            self._put("end", None)
        except BaseException as error:
            self._put("error", error)
        finally:
            if hasattr(values, "close"):
                values.close()

    def _put(self, kind: str, value: T | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put((kind, value), timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False


class LatestSlot(Generic[T]):
    """One place for the newest value: `put` never waits and counts what it replaces, `take` waits."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._value: T | None = None
        self._error: BaseException | None = None
        self._full = self._closed = False
        self.num_dropped = 0

    def put(self, value: T) -> None:
        """Make `value` the newest."""
        with self._condition:
            self.num_dropped += self._full
            self._value, self._full = value, True
            self._condition.notify()

    def take(self, timeout_s: float | None = None) -> T:
        """Wait for a value newer than the last taken; after `close` raises StopIteration, or the error.

        Raises:
            TimeoutError: none came in this time.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: self._full or self._closed, timeout_s):
                raise TimeoutError
            if self._full:
                value, self._value, self._full = self._value, None, False
                return value
            if self._error is not None:
                raise self._error
            raise StopIteration

    def close(self, error: BaseException | None = None) -> None:
        """No value will come any more; one that waits can still be taken."""
        with self._condition:
            self._closed, self._error = True, self._error or error
            self._condition.notify_all()
