"""Taking the store back to a snapshot, also after the process died.

A snapshot starts an epoch. While an epoch is open, triggers (schema.py) write down for each change the row as it
was before; files of deleted key frames stay until the epoch is given up. Rolling back puts those rows back, newest
first, so that a resumed run meets exactly the rows and pictures of the snapshot. They are values and bound as such:
a journal of another hand can change the facts of its own file, and nothing else. The last few epochs are kept,
because a crash may come before the newest snapshot has reached the disk. The journal has a byte limit; when it is
reached, the oldest epochs are given up, and a rollback to them is refused in words.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from memory_bank.episodes.schema import KEYFRAME_FOLDER, TABLES, columns, holds_foreign_values
from streamvos.errors import InputError, IntegrityError

KEEP_EPOCHS = 3


def picture_path(directory: Path, frame: int) -> Path:
    """Where the picture of a key frame lies."""
    return directory / KEYFRAME_FOLDER / f"{frame:06d}.jpg"


def begin_epoch(db: sqlite3.Connection, directory: Path, frame: int) -> int:
    """Open a new epoch at `frame` and give up those that are too old; returns its id."""
    db.execute("BEGIN IMMEDIATE")
    epoch = db.execute("SELECT coalesce(max(id), 0) + 1 FROM epoch").fetchone()[0]
    db.execute("INSERT INTO epoch VALUES (?, ?, 1)", (epoch, frame))
    db.execute("UPDATE undo_state SET epoch = ?", (epoch,))
    doomed = _give_up(db, epoch - KEEP_EPOCHS)
    db.execute("COMMIT")
    _delete_pictures(directory, doomed)
    return epoch


def rollback(db: sqlite3.Connection, directory: Path, epoch: int, frame: int) -> None:
    """Take back everything since the epoch began; the epoch stays open.

    Raises:
        InputError: the store does not know the snapshot, or has given it up.
        IntegrityError: the journal is not one that the triggers wrote; nothing is changed then.
    """
    row = db.execute("SELECT frame, whole FROM epoch WHERE id = ?", (epoch,)).fetchone()
    if row is None or row["frame"] != frame:
        raise InputError(
            f"the memory in {directory} has no snapshot {epoch} of frame {frame}; run again with overwrite=True"
        )
    if not row["whole"]:
        raise InputError(
            f"the memory in {directory} can no longer go back to frame {frame}: too much was changed since; "
            "snapshot more often, or run again with overwrite=True"
        )
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("UPDATE undo_state SET epoch = NULL")
        for entry in db.execute("SELECT * FROM undo WHERE epoch >= ? ORDER BY id DESC", (epoch,)).fetchall():
            _put_back(db, directory, entry)
        if holds_foreign_values(db, and_nulls=False):
            raise _foreign(directory, "values that its columns never have")
        db.execute("DELETE FROM undo WHERE epoch >= ?", (epoch,))
        db.execute("DELETE FROM epoch WHERE id > ?", (epoch,))
        db.execute("DELETE FROM trash WHERE epoch >= ?", (epoch,))
        db.execute("UPDATE undo_state SET epoch = ?", (epoch,))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    sweep_pictures(db, directory)


def discard_picture(db: sqlite3.Connection, frame: int, size_bytes: int) -> bool:
    """Note that a key frame's row is gone; True where its file may be deleted once that is committed."""
    epoch = db.execute("SELECT epoch FROM undo_state").fetchone()[0]
    if epoch is None:
        return True
    db.execute("INSERT INTO trash VALUES (?, ?, ?)", (epoch, frame, size_bytes))
    return False


def journal_bytes(db: sqlite3.Connection) -> int:
    """What the journal takes: rows and pictures that wait."""
    rows = db.execute("SELECT coalesce(sum(bytes), 0) FROM undo").fetchone()[0]
    pictures = db.execute("SELECT coalesce(sum(bytes), 0) FROM trash").fetchone()[0]
    return 5 * rows // 4 + pictures


def limit(db: sqlite3.Connection, directory: Path, limit_bytes: int) -> list[int]:
    """Give up epochs, oldest first, until the journal fits; returns the frames that can no longer be reached.

    Called inside a transaction; the caller commits. Files are deleted right away: their rows are gone for
    good.
    """
    lost = []
    while journal_bytes(db) > limit_bytes:
        row = db.execute("SELECT id, frame FROM epoch WHERE whole ORDER BY id LIMIT 1").fetchone()
        if row is None:
            break
        doomed = _give_up(db, row["id"])
        _delete_pictures(directory, doomed)
        lost.append(row["frame"])
    return lost


def sweep_pictures(db: sqlite3.Connection, directory: Path) -> None:
    """Delete files that no row and no epoch knows: left over by a rollback or by a crash before a commit."""
    known = {row[0] for row in db.execute("SELECT id FROM keyframe UNION SELECT frame FROM trash")}
    for path in sorted((directory / KEYFRAME_FOLDER).glob("*.jpg*")):
        stem = path.name.split(".")[0]
        if path.suffix != ".jpg" or not stem.isdigit() or int(stem) not in known:
            path.unlink(missing_ok=True)


def forget_all(db: sqlite3.Connection) -> None:
    """Close the journal: no epoch is open, nothing can be taken back. Inside the caller's transaction."""
    db.execute("UPDATE undo_state SET epoch = NULL")
    for table in ("undo", "epoch", "trash"):
        db.execute(f"DELETE FROM {table}")


def _put_back(db: sqlite3.Connection, directory: Path, entry: sqlite3.Row) -> None:
    """Take back one change of a row."""
    table, action, row_id = entry["tbl"], entry["action"], entry["row_id"]
    if table not in TABLES or not isinstance(row_id, int):
        raise _foreign(directory, f"a change of row {str(row_id)[:20]!r} of table {str(table)[:60]!r}")
    names = columns(table)
    values = [entry[f"c{index}"] for index in range(len(names))]
    if action == "insert":
        db.execute(f"DELETE FROM {table} WHERE id = ?", (row_id,))
    elif action == "update":
        db.execute(f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?", (*values, row_id))
    elif action == "delete":
        marks = ", ".join("?" * (1 + len(names)))
        db.execute(f"INSERT INTO {table}(id, {', '.join(names)}) VALUES ({marks})", (row_id, *values))
    else:
        raise _foreign(directory, f"the action {str(action)[:60]!r}")


def _foreign(directory: Path, what: str) -> IntegrityError:
    return IntegrityError(
        f"the memory in {directory} cannot be taken back to its snapshot: its journal holds {what}; it is damaged or "
        "was changed by another program: run again with overwrite=True"
    )


def _give_up(db: sqlite3.Connection, up_to: int) -> list[int]:
    doomed = [row[0] for row in db.execute("SELECT frame FROM trash WHERE epoch <= ?", (up_to,))]
    kept = {row[0] for row in db.execute("SELECT id FROM keyframe")} if doomed else set()
    db.execute("DELETE FROM trash WHERE epoch <= ?", (up_to,))
    db.execute("DELETE FROM undo WHERE epoch <= ?", (up_to,))
    newest = db.execute("SELECT max(id) FROM epoch").fetchone()[0]
    if newest is not None and newest <= up_to:  # the open epoch itself: stop writing it
        db.execute("UPDATE undo_state SET epoch = NULL")
    db.execute("UPDATE epoch SET whole = 0 WHERE id <= ?", (up_to,))
    db.execute("DELETE FROM epoch WHERE id <= ?", (up_to - 10,))
    return [frame for frame in doomed if frame not in kept]


def _delete_pictures(directory: Path, frames: list[int]) -> None:
    for frame in frames:
        picture_path(directory, frame).unlink(missing_ok=True)
