"""Sources by the list: a text file, or what comes on stdin."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from streamvos.errors import InputError
from streamvos.foreign_files import exists, is_file, read_text

STDIN = "-"


def expand_sources(specs: Sequence[str]) -> list[str]:
    """The sources with those of lists in the place of the lists.

    Args:
        specs: as typed. `-` is a list on stdin, a file that ends in .txt one on the disk: a source on each line; blank
            lines and those that begin with # are passed over. A relative path that is not found from here is looked for
            beside the list.

    Raises:
        InputError: a list that cannot be read, or is empty, or an empty source.
    """
    sources: list[str] = []
    for spec in specs:
        if not spec.strip():
            raise InputError("SOURCE: expected a video, folder, pattern, URL or camera, got an empty text")
        if spec == STDIN:
            sources += _listed(sys.stdin.read(), "stdin", Path())
        elif spec.lower().endswith(".txt") and is_file(Path(spec)):
            sources += _listed(_read(Path(spec)), repr(spec), Path(spec).parent)
        else:
            sources.append(spec)
    return sources


def _read(path: Path) -> str:
    return read_text(path, f"list of sources {str(path)!r}")


def _listed(text: str, where: str, folder: Path) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError(f"list of sources {where}: expected a source on each line, got none")
    beside = [folder / line for line in found]
    return [
        str(path) if not exists(Path(line)) and exists(path) else line for line, path in zip(found, beside, strict=True)
    ]
