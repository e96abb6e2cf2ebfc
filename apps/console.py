"""The console: what it cannot print, and one that is gone, never end a command that does its work."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_GONE = (errno.EPIPE, errno.EBADF, errno.EINVAL)  # nobody reads; it is closed; the same on Windows


@contextmanager
def forgiving_console() -> Iterator[None]:
    """Print marks that the console does not know as their codes, and go on where nobody reads any more.

    A disk that is full is still an error: what was asked for would be lost.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _forgiving(sys.stdout), _forgiving(sys.stderr)
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        finally:
            sys.stdout, sys.stderr = before


def prints_unicode(stream: TextIO) -> bool:
    """Whether any text can be printed as it is."""
    return (stream.encoding or "").lower().replace("-", "").replace("_", "") in ("utf8", "utf16", "utf32")


def _forgiving(stream: TextIO | None) -> Any:
    if stream is None:  # closed before the program began; no file may take its number, on which libraries print
        return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return _Forgiving(stream)


class _Forgiving:
    """A stream that swallows what is written after its reader has gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fall_silent(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._fall_silent(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _fall_silent(self, error: OSError) -> None:
        """Send what is still in the buffer, and all that follows, nowhere."""
        if error.errno not in _GONE:
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
