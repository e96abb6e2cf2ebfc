"""The process that reads damaged inputs one after another, and says of each what came of it."""

from __future__ import annotations

import faulthandler
import gc
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from streamvos.errors import InputError
from tests.tools.fuzz.target import Case, Target, make_case, write_case

Kind = Literal["result", "clear", "fault", "hang"]
_OURS = ("streamvos", "pipelines", "memory_bank", "apps", "eval")
_COLLECT = 10  # inputs
_LONGEST_LINE = 2000  # characters of a clear error; more is no line that a person reads


@dataclass(frozen=True)
class Outcome:
    """What came of one input.

    Args:
        index: its number.
        kind: of outcome.
        place: error and place in the project's code; faults of one place are the same.
        text: all there is to know of it.
    """

    index: int
    kind: Kind
    place: str = ""
    text: str = ""


def read_one(target: Target, case: Case, index: int, is_valid: bool, scratch: Path) -> Outcome:
    """Read one input in this process.

    Args:
        is_valid: whether it must give a result.
        scratch: folder for its files.
    """
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        write_case(case, Path(folder))
        try:
            target.read(Path(folder))
        except InputError as error:
            if is_valid:
                return Outcome(index, "fault", f"a valid input is refused: {error}", traceback.format_exc())
            if not str(error).strip() or len(str(error)) > _LONGEST_LINE:
                where = _place(error)
                return Outcome(index, "fault", f"a line of {len(str(error))} characters, {where}", str(error)[:500])
            return Outcome(index, "clear")
        except Exception as error:
            return Outcome(index, "fault", f"{type(error).__name__}, {_place(error)}", traceback.format_exc())
    return Outcome(index, "result")


def work(
    target: Target,
    corpus: Sequence[Case],
    seed: int,
    indices: range,
    memory_bytes: int,
    scratch: Path,
    log: Path,
    pipe: Connection,
) -> None:
    """Read inputs until the process is ended; outcomes go into `pipe`, what libraries print into `log`."""
    _write_output_to(log)
    _limit_memory(memory_bytes)
    gc.freeze()  # what is imported stays; to look through it takes long
    for index in indices:
        outcome = read_one(target, make_case(target, corpus, seed, index), index, index < len(corpus), scratch)
        pipe.send(outcome)
        if index % _COLLECT == 0:
            gc.collect()  # or decoders in reference cycles keep their threads for long
        if outcome.place.startswith("MemoryError"):
            return  # what it left behind is not known; the watch starts another
        if log.stat().st_size > 1_000_000:
            os.truncate(log, 0)


def _place(error: BaseException) -> str:
    """The last line of the project's own code that an error came through."""
    places = [
        f"{path}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if (path := _in_project(frame.filename))
    ]
    return places[-1] if places else "outside the project"


def _in_project(filename: str) -> str | None:
    root = Path(__file__).resolve().parents[3]
    path = Path(filename).resolve()
    if path.is_relative_to(root) and path.relative_to(root).parts[0] in _OURS:
        return path.relative_to(root).as_posix()
    return None


def _write_output_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    faulthandler.enable(sys.stderr)


def _limit_memory(memory_bytes: int) -> None:
    """Beyond what the process has mapped already, libraries among it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
