"""What is fuzzed: a reader of the project, with valid inputs from which damaged ones are made."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.tools.fuzz.damage import damaged

# The files of one input by their names, as "frames/0.png"; what is no file (a question, options) stands in one.
Case = dict[str, bytes]


@dataclass(frozen=True)
class Target:
    """One reader.

    Args:
        name: of the reader.
        make_corpus: writes valid inputs, each into a folder of its own below the one given.
        read: reads the input in a folder, wholly; `InputError` is a clear answer, and anything else raised a fault.
        fixed: names of files that are left alone, by their beginning.
        together: files that may be damaged at once.
    """

    name: str
    make_corpus: Callable[[Path], None]
    read: Callable[[Path], object]
    fixed: tuple[str, ...] = ()
    together: int = 2


def read_corpus(target: Target, scratch: Path) -> list[Case]:
    """The valid inputs of a target, in order of their names."""
    folder = scratch / target.name
    folder.mkdir()
    target.make_corpus(folder)
    return [read_case(one) for one in sorted(folder.iterdir())]


def read_case(folder: Path) -> Case:
    """The files below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_case(case: Case, folder: Path) -> None:
    """Write the files of an input below a folder."""
    for name, data in case.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def make_case(target: Target, corpus: Sequence[Case], seed: int, index: int) -> Case:
    """An input by its number: the valid ones as they are first, then damaged ones; the same for the same seed."""
    if index < len(corpus):
        return corpus[index]
    draw = random.Random(f"{seed} {target.name} {index}")
    case = dict(draw.choice(corpus))
    names = [name for name in case if not name.startswith(target.fixed)] if target.fixed else list(case)
    for name in draw.sample(names, min(len(names), draw.choice([1] * 3 + [target.together]))):
        alike = [one[name] for one in corpus if name in one]
        case[name] = damaged(name, case[name], alike, draw)
        if draw.random() < 0.02:
            del case[name]
    return case
