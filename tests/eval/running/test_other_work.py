"""Whose work it was, on a machine that may be busy with anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from eval.running.other_work import OtherWork

_WORK = "import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass"
_ORPHAN = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {work!r}], stdout=-3, stderr=-3).pid)"


def test_our_own_work_is_not_that_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three seconds that the machine worked, a child of ours took one."""
    busy = iter((100.0, 103.0))
    monkeypatch.setattr("eval.running.other_work._busy_s", lambda: next(busy))
    began_s = time.monotonic()
    watch = OtherWork()
    subprocess.run([sys.executable, "-c", _WORK.format(seconds=1.0)], check=True)
    watch.look()
    assert watch.cores * (time.monotonic() - began_s) == pytest.approx(2.0, abs=0.4)


def test_work_of_others_is_seen() -> None:
    """A grandchild whose parent is gone is nobody of ours."""
    script = _ORPHAN.format(work=_WORK.format(seconds=100))
    orphan = psutil.Process(int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout))
    try:
        watch, before, began_s = OtherWork(), orphan.cpu_times().user, time.monotonic()
        time.sleep(1.0)
        worked = (orphan.cpu_times().user - before) / (time.monotonic() - began_s)
        watch.look()
    finally:
        os.kill(orphan.pid, signal.SIGKILL)
    assert worked > 0 and watch.cores >= 0.8 * worked - 0.05


def test_nothing_is_known_before_the_first_look() -> None:
    assert OtherWork().cores is None
