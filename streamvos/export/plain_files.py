"""Nothing that a run writes may lead out of its folder: links and devices in it are refused, and never followed.

A folder can come from someone else. A symbolic link in the place of a result would let a run overwrite or delete
what it points to; a file with a second name (a hard link) would be changed under both; a pipe would be waited for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from streamvos.errors import InputError


def expect_plain(paths: Iterable[Path]) -> None:
    """Raise `InputError` where one of the paths, or something below it, is neither a file with one name nor a folder.

    Paths that do not exist are fine.
    """
    for path in paths:
        if _is_folder(path):
            for folder, names, files in os.walk(path):
                for name in [*names, *files]:
                    _is_folder(Path(folder, name))


def expect_single(paths: Iterable[Path]) -> None:
    """Raise `InputError` where one of the files, which are changed in place, has a second name elsewhere."""
    for path in paths:
        if path.is_file() and os.lstat(path).st_nlink > 1:
            raise InputError(
                f"{str(path)!r} has a second name (a hard link), and a run would change both; copy the folder, or "
                "choose another one"
            )


def open_plain(path: Path, flags: int) -> int:
    """`os.open` that makes the file where `flags` say so, and follows no link.

    Raises:
        InputError: there is a link, or something that is not a file.
    """
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
            raise _refusal(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refusal(path)
    return descriptor


def _is_folder(path: Path) -> bool:
    """Refuses what is neither a file nor a folder; what is not there, or gone again, is no folder."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise _refusal(path)
    return stat.S_ISDIR(mode)


def _refusal(path: Path) -> InputError:
    kind = "a symbolic link" if path.is_symlink() else "no ordinary file"
    return InputError(
        f"{str(path)!r} is {kind}; a run writes into plain files and folders of its own: remove it, or choose another "
        "folder"
    )
