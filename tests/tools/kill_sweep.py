"""Kill a run at each of its file operations in turn, go on with it, and see that nothing is lost and nothing differs.

    python -m tests.tools.kill_sweep FOLDER --last 60 -- sample:bikes --max-frames 8 --size 96 --checkpoint-every 5 \
        --stages segment,remember --box 1:300,100,420,200

runs `streamvos run … --runner local` once to its end, then once for each of its last 60 file operations: a process of
its own ends without another word right before the operation, `--resume` goes on, and the results are compared byte by
byte. Exit status 1 where one differs. All operations take part without `--last`; operations are those that Python makes
(opened for writing, renamed, removed, made), as its audit events tell them.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.tools.compare_results import compare

KILLED = 9  # exit status of a process that ended at its operation
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def count_operations(folder: Path, action: Callable[[], None]) -> int:
    """Do something in a process of its own; returns how many file operations it made below a folder."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as told:
        status = _in_child(folder, action, None, writing)
        os.close(writing)
        if status:
            raise RuntimeError(f"the run that is not killed ended with status {status}")
        return int(told.read())


def is_killed_at(operation: int, folder: Path, action: Callable[[], None]) -> bool:
    """Do something in a process of its own that ends right before its `operation`-th file operation (from 1) below a
    folder; False where it was done before."""
    status = _in_child(folder, action, operation, None)
    if status not in (0, KILLED):
        raise RuntimeError(f"killed at operation {operation}: the run ended with status {status}")
    return status == KILLED


def _in_child(folder: Path, action: Callable[[], None], operation: int | None, writing: int | None) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        hook = _Hook(folder, operation)
        sys.addaudithook(hook)
        action()
        if writing is not None:
            os.write(writing, str(hook.count).encode())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class _Hook:
    """Counts file operations below a folder, and ends the process at one of them."""

    def __init__(self, folder: Path, operation: int | None) -> None:
        self.count = 0
        self._place, self._operation = str(folder), operation

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            if not isinstance(given[2], int) or not given[2] & _WRITING or not self._is_here(given[0]):
                return
        elif event not in _CHANGES or not (self._is_here(given[0]) or _is_relative(given)):
            return
        self.count += 1
        if self.count == self._operation:
            os._exit(KILLED)

    def _is_here(self, path: Any) -> bool:
        return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(self._place)


def _is_relative(given: tuple[Any, ...]) -> bool:
    """Whether a name is told within an open folder, as where a whole folder is removed."""
    return isinstance(given[-1], int) and given[-1] >= 0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new; holds all runs")
    parser.add_argument("--last", type=int, help="only so many operations, at the end")
    parser.add_argument("words", nargs="+", help="of `streamvos run`")
    args = parser.parse_args(argv)
    import apps.run_command  # noqa: F401  before the processes part, which would import it one by one
    from apps.cli import main as streamvos

    def run(out: Path, *more: str) -> None:
        status = streamvos(["run", *args.words, "--runner", "local", "--quiet", "--out", str(out), *more])
        if status:
            raise RuntimeError(f"streamvos run ended with status {status}")

    args.folder.mkdir(parents=True)
    whole = args.folder.resolve() / "whole"
    total = count_operations(whole, lambda: run(whole))
    failed = 0
    for operation in range(1 if args.last is None else max(1, total - args.last + 1), total + 1):
        out = args.folder.resolve() / f"killed{operation:05d}"
        try:
            is_killed_at(operation, out, lambda out=out: run(out))
            count_operations(out, lambda out=out: run(out, "--resume"))
            told = compare(whole, out)
        except RuntimeError as error:
            told = [str(error)]
        failed += bool(told)
        sys.stdout.write(f"operation {operation} of {total}: {'; '.join(told) or 'the same'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
