"""Opening the long memory's file, for the one writer and for readers, whoever it comes from and wherever it lies.

SQLite carries out what a file's schema says, and follows links and journals beside the file. So before anything is
written, the file must be made as schema.py makes it, and nothing beside it may lead elsewhere. (After "Defense against
the dark arts", sqlite.org/security.html.)
"""

from __future__ import annotations

import errno
import functools
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory_bank.episodes import schema
from memory_bank.episodes.schema import FILE_NAME, KEYFRAME_FOLDER, READABLE_VERSIONS, UNREADABLE
from streamvos.errors import InputError, IntegrityError, OutputError
from streamvos.export.plain_files import expect_plain, expect_single

_LOCK_WAIT_S = 10  # for another process to end its transaction
_WAL_PAGES = 96
_WAL_MAGIC = 0x377F0682  # the lowest bit says in which byte order the sums are taken
_MOST_COPIES = 3


def open_writer(directory: Path) -> sqlite3.Connection:
    """Open the store of a directory for the one writer; creates both where they are not there.

    Raises:
        InputError: what lies there is not a memory that this program may write.
        sqlite3.DatabaseError, OSError: no space, a lock, a damaged file (store.py says it in words).
    """
    path = directory / FILE_NAME
    beside = [path.with_name(FILE_NAME + end) for end in ("", "-wal", "-shm", "-journal")]
    expect_plain([*beside, directory / KEYFRAME_FOLDER])
    expect_single(beside)
    _expect_file(path)
    (directory / KEYFRAME_FOLDER).mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    try:
        _distrust(db)
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            _expect_ours(db, directory)
        else:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {512 * 1024}")
        db.execute("PRAGMA cache_size = -8000")
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            schema.create(db)
        db.execute("COMMIT")
        # from here on the schema is our own; its triggers keep the full-text index, which SQLite calls unsafe otherwise
        db.execute("PRAGMA trusted_schema = ON")
    except BaseException:
        db.close()
        raise
    return db


def open_reader(directory: Path) -> sqlite3.Connection:
    """Open the store of a directory for reading only; a writer may be at work meanwhile.

    Raises:
        InputError: there is no memory in the directory, or it cannot be read.
        OutputError: it can only be read from a copy, for which there is no space.
    """
    path = directory / FILE_NAME
    _expect_file(path)
    if not path.is_file():
        raise InputError(f"no memory in {directory}: expected {FILE_NAME}; run with the stage remember first")
    try:
        db = _open_where_it_lies(path.resolve())
    except UNREADABLE as error:
        raise InputError(f"{path} is not a memory, or cannot be read: {' '.join(str(error).split())}") from None
    try:
        _expect_readable(db, directory)
    except UNREADABLE as error:
        db.close()
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    except InputError:
        db.close()
        raise
    return db


def has_log(directory: Path) -> bool:
    """Whether the log of a writer (`memory.sqlite-wal`) lies beside the store, as it does until it is closed.

    SQLite passes over a log whose head is damaged, as if there were none. (The format: sqlite.org/fileformat2.html,
    section 4.1.)
    """
    path = (directory / FILE_NAME).resolve()
    try:
        with path.with_name(path.name + "-wal").open("rb") as file:
            head = file.read(33)
    except OSError:
        return False
    if len(head) < 33:
        return False
    magic, *_ = struct.unpack(">I", head[:4])
    first = second = 0
    words = struct.unpack(f"{'>' if magic & 1 else '<'}6I", head[:24])
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return magic & ~1 == _WAL_MAGIC and (first, second) == struct.unpack(">2I", head[24:32])


def _expect_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise InputError(f"{path} is {kind}; expected the file of a memory: remove it, or choose another folder")
    journal = path.with_name(path.name + "-journal")
    if journal.is_file() and journal.stat().st_size:
        # SQLite would roll it back, and may delete the file that it names
        raise IntegrityError(
            f"{journal} is no file of this program, or its run was killed as it began: run again with overwrite=True"
        )


def _distrust(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")


def _expect_ours(db: sqlite3.Connection, directory: Path) -> None:
    """Raise `InputError` where a store holds anything but what this version makes."""
    part = schema.find_foreign_part(db)
    if part is None:
        kinds = {row[0] for row in db.execute("SELECT kind FROM usage")}
        states = db.execute("SELECT (SELECT count(*) FROM writer), (SELECT count(*) FROM undo_state)").fetchone()
        if kinds == set(schema.TABLES) and tuple(states) == (1, 1):
            return
        part = "its books lack rows"
    elif schema.is_of_version_1(db):
        raise InputError(
            f"the memory in {directory} was made by an earlier version: it can be asked, but not be written or gone on "
            "with; run again with overwrite=True, or choose another folder"
        )
    raise IntegrityError(
        f"the memory in {directory} is not as this program makes it ({part}): it is damaged, or was made or changed by "
        "another program, and is left alone; run again with overwrite=True, or choose another folder"
    )


def _expect_readable(db: sqlite3.Connection, directory: Path) -> None:
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        raise InputError(f"{directory / FILE_NAME} is empty: its run was ended as it began, or it was copied in part")
    if "meta" not in tables:
        raise InputError(
            f"{directory / FILE_NAME} is not a memory of this program, or was copied without {FILE_NAME}-wal: it lacks "
            "the expected tables"
        )
    if (part := schema.find_foreign_part(db, reads_only=True)) is not None:
        raise IntegrityError(
            f"the memory in {directory} is not as this program makes it ({part}): it is damaged, or was made or "
            "changed by another program, and is not read; run again with overwrite=True"
        )
    row = db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if row is not None and row[0] not in map(str, READABLE_VERSIONS):
        raise InputError(
            f"the memory in {directory} has version {str(row[0])[:20]}, expected {READABLE_VERSIONS[-1]}; run again "
            "with overwrite=True"
        )


def _open_where_it_lies(path: Path) -> sqlite3.Connection:
    try:
        return _connect_readonly(path, "mode=ro")
    except sqlite3.OperationalError:
        # a medium that cannot be written to lets nobody create the shared-memory file that a log is read through
        log = path.with_name(path.name + "-wal")
        if not log.exists() or not log.stat().st_size:
            return _connect_readonly(path, "mode=ro&immutable=1")
    return _open_copy(path, log)


class _Copy(sqlite3.Connection):
    """A connection to a copy, which goes when it is closed."""

    def __init__(self, folder: tempfile.TemporaryDirectory[str], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._folder = folder

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


def _open_copy(path: Path, log: Path) -> sqlite3.Connection:
    """Open a copy of the file and its log, both as of one time."""
    folder = tempfile.TemporaryDirectory(prefix="streamvos-memory-")
    try:
        for _ in range(_MOST_COPIES):
            before = _stamps(path, log)
            copies = [Path(shutil.copyfile(one, Path(folder.name) / one.name)) for one in (path, log)]
            if _stamps(path, log) == before:
                return _connect_readonly(copies[0], "mode=rw", functools.partial(_Copy, folder))
        raise InputError(f"{path} is being written, and cannot be read from here meanwhile; ask again later")
    except OSError as error:
        folder.cleanup()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(
                f"no space left in {tempfile.gettempdir()!r} for a copy of {path}, which lies where nothing can be "
                "written; free some space, or set TMPDIR"
            ) from None
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except BaseException:
        folder.cleanup()
        raise


def _stamps(*paths: Path) -> list[tuple[int, int]]:
    return [(found.st_size, found.st_mtime_ns) for found in (path.stat() for path in paths)]


def _connect_readonly(
    path: Path, options: str, kind: Callable[..., sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    uri = f"{path.as_uri()}?{options}"
    db = sqlite3.connect(
        uri, uri=True, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False, factory=kind
    )
    db.row_factory = sqlite3.Row
    try:
        _distrust(db)
        db.execute("PRAGMA query_only = ON")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UNREADABLE:
        db.close()
        raise
    return db
