"""One writer in a folder: a lock that the system lets go of when the process dies, however it dies."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from streamvos.errors import InputError
from streamvos.export.plain_files import open_plain

try:
    import fcntl
except ImportError:  # Windows: there a second run in the folder is not noticed
    fcntl = None

FILE = ".streamvos.lock"
_log = logging.getLogger(__name__)


class FolderLock:
    """Held from its construction until `release`, or until the process ends. A file left by a kill is harmless.

    Args:
        folder: exists.

    Raises:
        InputError: another run holds it, or something else lies in its place.
        OSError: the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file: int | None = None
        while fcntl is not None and self._file is None:
            self._file = self._take()

    def release(self) -> None:
        """Let others in; may be called more than once."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                self._path.unlink(missing_ok=True)  # while it is held: nobody else's is removed
            except OSError as error:
                _log.warning("%s stays: %s", self._path, error)
            finally:
                os.close(file)

    def _take(self) -> int | None:
        """The open and locked file; None where its holder removed it meanwhile."""
        file = open_plain(self._path, os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.read(file, 20).decode(errors="replace").strip()
                who = f" (process {pid})" if pid.isdigit() else ""
                raise InputError(
                    f"another run{who} is writing into {str(self._path.parent)!r}; "
                    "wait until it has ended, or choose another folder"
                ) from None
            except OSError as error:  # a file system without locks
                _log.warning("%s cannot be locked: %s", self._path, error)
                return file
            if not self._is_still_there(file):
                os.close(file)
                return None
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
            return file
        except BaseException:
            os.close(file)
            raise

    def _is_still_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.lstat(self._path))
        except FileNotFoundError:
            return False
