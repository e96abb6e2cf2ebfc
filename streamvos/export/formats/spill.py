"""Pieces of text that come frame by frame and are needed object by object: on the disk, so that memory stays small."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_MAX_CHARS = 8_000_000  # in memory, before they go to the disk


class Spill:
    """Keeps pieces of text by key, in the order in which they came. To be used in a `with`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="streamvos-export-")
        self._waiting: dict[int, list[str]] = {}
        self._keys: dict[int, None] = {}
        self._num_chars = 0

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def append(self, key: int, text: str) -> None:
        """Add a piece, which holds no line break."""
        self._keys[key] = None
        self._waiting.setdefault(key, []).append(text)
        self._num_chars += len(text)
        if self._num_chars > _MAX_CHARS:
            for key in self._waiting:
                with self._path(key).open("a", encoding="utf-8") as file:
                    file.writelines(f"{piece}\n" for piece in self._waiting[key])
            self._waiting, self._num_chars = {}, 0

    def keys(self) -> list[int]:
        """In the order in which they first came."""
        return list(self._keys)

    def pieces(self, key: int) -> Iterator[str]:
        """All pieces of a key."""
        if self._path(key).is_file():
            with self._path(key).open(encoding="utf-8") as file:
                for line in file:
                    yield line.rstrip("\n")
        yield from self._waiting.get(key, ())

    def _path(self, key: int) -> Path:
        return Path(self._folder.name) / str(key)
