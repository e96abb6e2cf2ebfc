"""How rows and pictures are written: one connection, one transaction at a time, pictures beside it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from memory_bank.episodes import journal, schema
from memory_bank.episodes.opening import open_writer
from streamvos.errors import InputError, IntegrityError
from streamvos.export.parts import disk_errors

_DISK_TROUBLE = ("full", "disk I/O", "unable to open", "readonly")
_DAMAGE = ("malformed", "not a database", "unsupported file format", "decode to UTF-8", "constraint failed")
_LITTLE_BYTES = 1 << 20  # less free space than this explains a failed write


class Store:
    """The one writer of a directory's memory.

    A transaction begins with the first change and ends with `commit`. A store that another process opened for
    writing later refuses to go on, so that a process left behind cannot spoil a resumed run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with clear_errors(directory):
            self.db = open_writer(directory)
            try:
                self._was_open = self.db.execute("SELECT is_open FROM writer").fetchone()[0]
                self.db.execute("UPDATE writer SET generation = generation + 1, is_open = 1")
                self._generation = self.db.execute("SELECT generation FROM writer").fetchone()[0]
                # so that a copy of the file alone says that it was open; it waits for no reader
                self.db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            except BaseException:
                self.db.close()
                raise
        self._doomed: list[int] = []  # frames whose picture goes with the next commit
        self._in_transaction = False
        self.thinned = False  # rows were deleted in number: give their pages back with the next commit

    def begin(self) -> None:
        """Start a transaction where none is open."""
        if self._in_transaction:
            return
        self.db.execute("BEGIN IMMEDIATE")
        if self.db.execute("SELECT generation FROM writer").fetchone()[0] != self._generation:
            self.db.execute("ROLLBACK")
            raise InputError(f"the memory in {self.directory} was taken over by another run; stop this one")
        self._in_transaction = True

    def commit(self) -> None:
        """Make the changes last; readers see them from now on."""
        if self._in_transaction:
            self.db.execute("COMMIT")
            self._in_transaction = False
        for frame in self._doomed:
            journal.picture_path(self.directory, frame).unlink(missing_ok=True)
        self._doomed.clear()
        if self.thinned:
            self._give_pages_back()
            self.thinned = False

    def abandon(self) -> None:
        """Drop the changes since the last commit."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
        self._in_transaction = False
        self._doomed.clear()

    def insert(self, table: str, **values: Any) -> int:
        """Add a row; returns its id."""
        self.begin()
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        cursor = self.db.execute(f"INSERT INTO {table}({names}) VALUES ({marks})", tuple(values.values()))
        return int(cursor.lastrowid or 0)

    def update(self, table: str, row_id: int, **values: Any) -> None:
        """Change columns of a row."""
        self.begin()
        parts = ", ".join(f"{name} = ?" for name in values)
        self.db.execute(f"UPDATE {table} SET {parts} WHERE id = ?", (*values.values(), row_id))

    def delete(self, table: str, row_ids: Iterable[int]) -> int:
        """Delete rows by id, pictures with them; returns how many were there."""
        self.begin()
        row_ids = list(row_ids)
        if table == "keyframe":
            self._discard_pictures(row_ids)
        count = 0
        for start in range(0, len(row_ids), 500):
            part = row_ids[start : start + 500]
            marks = ",".join("?" * len(part))
            count += self.db.execute(f"DELETE FROM {table} WHERE id IN ({marks})", part).rowcount
        return count

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self.db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row of a query."""
        return self.db.execute(sql, values).fetchone()

    def set_meta(self, key: str, value: str) -> None:
        """Store a note about the whole memory, where it is not there already."""
        row = self.one("SELECT id, value FROM meta WHERE key = ?", key)
        if row is None:
            self.insert("meta", key=key, value=value)
        elif row["value"] != value:
            self.update("meta", row["id"], value=value)

    def save_picture(self, frame: int, t_ms: int, shot: int, jpeg: bytes, why: str) -> bool:
        """Keep a key frame; False where it is kept already."""
        if self.one("SELECT 1 FROM keyframe WHERE id = ?", frame):
            return False
        path = journal.picture_path(self.directory, frame)
        part = path.with_suffix(".jpg.part")
        part.write_bytes(jpeg)
        part.replace(path)
        self._doomed = [doomed for doomed in self._doomed if doomed != frame]
        self.insert("keyframe", id=frame, t_ms=t_ms, shot=shot, bytes=len(jpeg), why=why)
        return True

    def usage(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes by table; bytes are an upper bound of what lies on disk."""
        return {row["kind"]: (row["entries"], row["bytes"]) for row in self.rows("SELECT * FROM usage")}

    def total_bytes(self) -> int:
        """Upper bound of what store and pictures take on disk, the journal aside."""
        return schema.BASE_BYTES + self.db.execute("SELECT sum(bytes) FROM usage").fetchone()[0]

    def clear(self) -> None:
        """Delete all rows and pictures."""
        self.begin()
        journal.forget_all(self.db)
        for table in schema.TABLES:
            self.db.execute(f"DELETE FROM {table}")
        self.commit()
        journal.sweep_pictures(self.db, self.directory)
        self._give_pages_back()

    def let_go(self) -> None:
        """Close without another write: what is not committed is lost, the rest can be gone on from."""
        self._in_transaction = False
        self._doomed.clear()
        self.db.close()

    def close(self, is_complete: bool) -> None:
        """Commit, give free pages back, and fold the log into the file.

        Args:
            is_complete: the rows are those of this writer's stream, to its end; one that only looked at what an earlier
                run had left open leaves it so.
        """
        self.commit()
        self._give_pages_back()
        is_open = 0 if is_complete else self._was_open
        self.db.execute("UPDATE writer SET is_open = ? WHERE generation = ?", (is_open, self._generation))
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.db.close()

    def _give_pages_back(self) -> None:
        # not execute(): it stops after the first step, and each step frees one page only
        self.db.executescript("PRAGMA incremental_vacuum")

    def _discard_pictures(self, frames: list[int]) -> None:
        for frame in frames:
            row = self.one("SELECT bytes FROM keyframe WHERE id = ?", frame)
            if row is not None and journal.discard_picture(self.db, frame, row["bytes"]):
                self._doomed.append(frame)


@contextlib.contextmanager
def clear_errors(directory: Path) -> Iterator[None]:
    """Turn what disk and SQLite say of no space, a lock or a damaged file into the error that a user can act on.

    Raises:
        OutputError: no space, no permission, a broken disk.
        InputError: a lock, or a damaged file.
    """
    with disk_errors(directory, "its last commit and the results so far are kept"):
        try:
            yield
        except sqlite3.DatabaseError as error:
            said = str(error)
            if any(words in said for words in _DISK_TROUBLE):
                number = errno.EACCES if "readonly" in said else errno.EIO
                # SQLite tells no space and a broken disk apart only in part
                if "full" in said or shutil.disk_usage(directory).free < _LITTLE_BYTES:
                    number = errno.ENOSPC
                raise OSError(number, os.strerror(number), str(directory)) from error
            if "locked" in said:
                raise InputError(
                    f"the memory in {directory} is being written by another process; stop it first"
                ) from error
            if any(words in said for words in _DAMAGE):
                raise IntegrityError(
                    f"the memory in {directory} is damaged ({said}); run again with overwrite=True"
                ) from error
            raise
