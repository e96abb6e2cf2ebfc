"""Files that grow during a run under a temporary name, and the error of a disk that will not take them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from streamvos.errors import IntegrityError, OutputError
from streamvos.export.plain_files import open_plain

PART = ".part"


@contextmanager
def disk_errors(folder: Path, kept: str) -> Iterator[None]:
    """Turn an `OSError` (FFmpeg's errors are such) into one `OutputError` that says what is kept."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(
                f"no space left for {str(folder)!r}; {kept}; free some space and go on with resume=True"
            ) from error
        reason = error.strerror or type(error).__name__
        raise OutputError(f"cannot write into {str(folder)!r} ({reason}); {kept}") from error


class PartFile:
    """A file that is only appended to: `NAME.part` during the run, `NAME` when it is published.

    It is made with the first `append` (or `begin`), so that what a run does not produce leaves no file.
    Writes are
    not buffered: after a kill, everything appended is there.

    Args:
        path: the final path.
        part_name: name during the run where it is not `NAME.part`.
    """

    def __init__(self, path: Path, part_name: str | None = None) -> None:
        self.path = path
        self.part = path.with_name(part_name or path.name + PART)
        self._file = None

    @property
    def is_begun(self) -> bool:
        return self._file is not None

    def begin(self) -> None:
        """Make the file, if it is not there yet."""
        if self._file is None:
            self._file = self._open(os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def append(self, data: bytes) -> None:
        """Write all of `data` at the end."""
        self.begin()
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def sync(self) -> int:
        """Make sure that the disk has everything; returns the length, -1 where the file was never begun."""
        if self._file is None:
            return -1
        os.fsync(self._file.fileno())
        return self._file.tell()

    def resume(self, length: int) -> None:
        """Go on after the first `length` bytes of what an earlier run left; forget the rest.

        A run that was killed while it ended may have published the file already: then it takes its part's name back.
        """
        if length < 0:
            self.part.unlink(missing_ok=True)
            return
        if not self.part.exists() and self.path.is_file() and self.path.stat().st_size >= length:
            self.path.replace(self.part)
        if not self.part.is_file() or self.part.stat().st_size < length:
            raise IntegrityError(
                f"{str(self.part)!r} is shorter than at the last checkpoint; run again with overwrite=True"
            )
        self._file = self._open(os.O_RDWR)
        self._file.truncate(length)
        self._file.seek(length)

    def _open(self, flags: int) -> BinaryIO:
        return os.fdopen(open_plain(self.part, flags), "r+b", buffering=0)

    def close(self) -> None:
        """Close; a last line that was cut off by an error is removed."""
        if self._file is None:
            return
        self._file.close()
        with self.part.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - 65536)
                file.seek(start)
                at = file.read(end - start).rfind(b"\n")
                if at >= 0:
                    end = start + at + 1
                    break
                end = start
            file.truncate(end)

    def publish(self, keep_part: bool) -> None:
        """Give the closed file its final name, or a copy of it where the run may go on."""
        if self._file is None:
            return
        if keep_part:
            with replacing(self.path) as temporary:
                shutil.copyfile(self.part, temporary)
        else:
            self.part.replace(self.path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and is removed otherwise."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # of a run that was killed; what is written now is a new file, never a link
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
