"""A thread that runs jobs in order, a bounded number of them behind."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Worker:
    """Runs jobs in order in a thread. After the first error no further job is run."""

    def __init__(self, depth: int) -> None:
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(max(1, depth))
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="run-output", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        self._raise()
        self._jobs.put(job)

    def drain(self) -> None:
        """Wait until all jobs are done."""
        self._jobs.join()
        self._raise()

    def stop(self) -> BaseException | None:
        """Finish all jobs and the thread; returns the error, if there was one."""
        self._jobs.put(None)
        self._thread.join()
        return self._error

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                if job is None:
                    return
                if self._error is None:
                    job()
            except BaseException as error:
                self._error = error
            finally:
                self._jobs.task_done()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
