"""The store of the long memory: one SQLite file in WAL mode, its tables, and the triggers that keep its
books.

Times are integer milliseconds of presentation time. Three kinds of triggers work below every table of facts:
`usage_*` keep the size of each table in bytes (an upper bound of what the row takes on disk), `undo_*` write
down how to take a change back (journal.py), and `chunk_text_*` keep the full-text index equal to the summaries.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from streamvos.errors import InputError

FILE_NAME = "memory.sqlite"
KEYFRAME_FOLDER = "keyframes"
VERSION = 1
BASE_BYTES = 768 * 1024  # empty tables, indexes, and the write-ahead log, which is truncated to 512 KiB
_WAL_PAGES = 96

# table: columns with their types; `id` INTEGER PRIMARY KEY comes with each
TABLES: dict[str, str] = {
    "meta": "key TEXT UNIQUE, value TEXT",
    "stream": "name TEXT, source TEXT, width INTEGER, height INTEGER",
    # id is the index of the frame that the picture shows
    "keyframe": "t_ms INTEGER, shot INTEGER, bytes INTEGER, why TEXT",
    # object_id is NULL for a class that is present but whose things are not told apart
    "entity": "object_id INTEGER UNIQUE, class_name TEXT, label TEXT, colour TEXT, votes TEXT, colours TEXT, "
    "confidence REAL, first_ms INTEGER, known_ms INTEGER",
    "track": "entity_id INTEGER, object_id INTEGER, shot INTEGER, from_ms INTEGER, to_ms INTEGER, "
    "from_frame INTEGER, to_frame INTEGER",
    # known_ms: when the span was confirmed; closed_ms: when its end was known; ended NULL while it goes on
    "span": "entity_id INTEGER, track_id INTEGER, shot INTEGER, from_ms INTEGER, to_ms INTEGER, "
    "from_frame INTEGER, to_frame INTEGER, known_ms INTEGER, closed_ms INTEGER, ended TEXT, score REAL, "
    "count INTEGER, first_keyframe INTEGER, last_keyframe INTEGER, from_region TEXT, to_region TEXT",
    "observation": "span_id INTEGER, entity_id INTEGER, t_ms INTEGER, frame INTEGER, x1 REAL, y1 REAL, x2 REAL, "
    "y2 REAL, area REAL, region TEXT, score REAL, colour TEXT, count INTEGER",
    "event": "t_ms INTEGER, known_ms INTEGER, frame INTEGER, kind TEXT, entity_id INTEGER, span_id INTEGER, "
    "detail TEXT",
    "chunk": "level INTEGER, from_ms INTEGER, to_ms INTEGER, from_frame INTEGER, to_frame INTEGER, shot INTEGER, "
    "why TEXT, text TEXT, counts TEXT, embedding BLOB, keyframe_id INTEGER",
    "coverage": "from_ms INTEGER, to_ms INTEGER, from_frame INTEGER, to_frame INTEGER, frames INTEGER, "
    "status TEXT, why TEXT",
}
_INDEXES = {
    "span_entity": "span(entity_id, from_ms)",
    "span_time": "span(from_ms, to_ms)",
    "observation_span": "observation(span_id, t_ms)",
    "event_time": "event(t_ms)",
    "chunk_level": "chunk(level, from_ms)",
    "coverage_time": "coverage(from_ms)",
}
# bytes of a row beside its texts and blobs: values, row header, its index entries, and pages that are partly empty
_ROW_BYTES = {
    "meta": 100,
    "stream": 200,
    "keyframe": 60,
    "entity": 200,
    "track": 90,
    "span": 240,
    "observation": 190,
    "event": 130,
    "chunk": 250,
    "coverage": 110,
}
_WIDE = {  # columns whose length is counted, with the factor that covers indexes and partly empty pages
    "meta": (("key", 3), ("value", 2)),
    "stream": (("name", 2), ("source", 2)),
    "keyframe": (("why", 2),),
    "entity": (("class_name", 2), ("label", 2), ("votes", 2), ("colours", 2)),
    "event": (("detail", 2),),
    "chunk": (("text", 4), ("counts", 2), ("embedding", 2), ("why", 2)),
    "coverage": (("why", 2),),
}


# what SQLite raises where a file is damaged; its own message may hold bytes that are no text
UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
_STORED = {"INTEGER": ("integer",), "REAL": ("real", "integer"), "TEXT": ("text",), "BLOB": ("blob",)}
_NEVER_NULL = frozenset(
    {"t_ms", "from_ms", "to_ms", "first_ms", "frame", "from_frame", "to_frame", "known_ms", "region", "score", "count"}
    | {"confidence", "status", "value"}
)


def holds_foreign_values(db: sqlite3.Connection) -> bool:
    """Whether a store of another hand, or a damaged one, holds values that its columns never have."""
    for table, definition in TABLES.items():
        for part in definition.split(", "):
            name, kind = part.split()[:2]
            null = () if name in _NEVER_NULL else ("null",)
            allowed = ", ".join(f"'{stored}'" for stored in (*_STORED[kind], *null))
            try:
                if db.execute(f"SELECT 1 FROM {table} WHERE typeof({name}) NOT IN ({allowed}) LIMIT 1").fetchone():
                    return True
            except UNREADABLE:
                return True
    return False


def columns(table: str) -> list[str]:
    """Names of a table's columns, without `id`."""
    return [part.split()[0] for part in TABLES[table].split(",")]


def open_writer(directory: Path) -> sqlite3.Connection:
    """Open the store of a directory for the one writer; creates both where they are not there."""
    (directory / KEYFRAME_FOLDER).mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(directory / FILE_NAME, timeout=10, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    try:
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {512 * 1024}")
        db.execute("PRAGMA cache_size = -8000")
        _create(db)
    except sqlite3.DatabaseError as error:
        db.close()
        raise InputError(f"{directory / FILE_NAME} cannot be opened as a memory: {error}") from None
    _check_version(db, directory)
    return db


def open_reader(directory: Path) -> sqlite3.Connection:
    """Open the store of a directory for reading only; a writer may be at work meanwhile.

    Raises:
        InputError: there is no memory in the directory, or it cannot be read.
    """
    path = directory / FILE_NAME
    if not path.is_file():
        raise InputError(f"no memory in {directory}: expected {FILE_NAME}; run with the stage remember first")
    uri = path.resolve().as_uri()
    try:
        db = _connect_readonly(f"{uri}?mode=ro")
    except sqlite3.OperationalError:
        # a medium that cannot be written to lets nobody create the shared-memory file, and nobody writes there
        try:
            db = _connect_readonly(f"{uri}?mode=ro&immutable=1")
        except UNREADABLE as error:
            raise InputError(f"{path} cannot be read: {error}") from None
    except UNREADABLE as error:
        raise InputError(f"{path} is not a memory: {error}") from None
    try:
        _check_version(db, directory)
    except sqlite3.OperationalError:
        db.close()
        raise InputError(f"{path} is not a memory of this program: it lacks the expected tables") from None
    except UNREADABLE as error:
        db.close()
        raise InputError(f"{path} cannot be read: {error}") from None
    return db


def _connect_readonly(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UNREADABLE:
        db.close()
        raise
    return db


def _check_version(db: sqlite3.Connection, directory: Path) -> None:
    row = db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if row is not None and row[0] != str(VERSION):
        db.close()
        raise InputError(
            f"the memory in {directory} has version {row[0]}, expected {VERSION}; run again with overwrite=True"
        )


def _create(db: sqlite3.Connection) -> None:
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'usage'").fetchone():
        return
    db.execute("BEGIN IMMEDIATE")
    db.execute("CREATE TABLE usage(kind TEXT PRIMARY KEY, entries INTEGER, bytes INTEGER)")
    db.execute("CREATE TABLE epoch(id INTEGER PRIMARY KEY, frame INTEGER, whole INTEGER)")
    db.execute("CREATE TABLE undo(id INTEGER PRIMARY KEY, epoch INTEGER, sql TEXT)")
    db.execute("CREATE TABLE undo_state(epoch INTEGER)")
    db.execute("CREATE TABLE trash(epoch INTEGER, frame INTEGER, bytes INTEGER)")
    db.execute("CREATE TABLE writer(generation INTEGER)")
    db.execute("INSERT INTO undo_state VALUES (NULL)")
    db.execute("INSERT INTO writer VALUES (0)")
    for table, definition in TABLES.items():
        db.execute(f"CREATE TABLE {table}(id INTEGER PRIMARY KEY, {definition})")
        db.execute("INSERT INTO usage VALUES (?, 0, 0)", (table,))
        for statement in _usage_triggers(table) + _undo_triggers(table):
            db.execute(statement)
    for name, target in _INDEXES.items():
        db.execute(f"CREATE INDEX {name} ON {target}")
    for statement in _text_index():
        db.execute(statement)
    db.execute("COMMIT")


def _usage_triggers(table: str) -> list[str]:
    def cost(row: str) -> str:
        wide = "".join(f" + {factor} * coalesce(length({row}.{name}), 0)" for name, factor in _WIDE.get(table, ()))
        picture = f" + {row}.bytes" if table == "keyframe" else ""
        return f"{_ROW_BYTES[table]}{wide}{picture}"

    where = f"WHERE kind = '{table}'"
    statements = [
        f"CREATE TRIGGER usage_{table}_i AFTER INSERT ON {table} BEGIN "
        f"UPDATE usage SET entries = entries + 1, bytes = bytes + {cost('NEW')} {where}; END",
        f"CREATE TRIGGER usage_{table}_d AFTER DELETE ON {table} BEGIN "
        f"UPDATE usage SET entries = entries - 1, bytes = bytes - ({cost('OLD')}) {where}; END",
    ]
    if table in _WIDE:
        statements.append(
            f"CREATE TRIGGER usage_{table}_u AFTER UPDATE ON {table} BEGIN "
            f"UPDATE usage SET bytes = bytes + ({cost('NEW')}) - ({cost('OLD')}) {where}; END"
        )
    return statements


def _undo_triggers(table: str) -> list[str]:
    """After the method of sqlite.org/undoredo.html: each change writes the statement that takes it back."""
    names = columns(table)
    old_values = " || ',' || ".join(f"quote(OLD.{name})" for name in ["id", *names])
    assignments = " || ',' || ".join(f"'{name}=' || quote(OLD.{name})" for name in names)
    when = "WHEN (SELECT epoch FROM undo_state) IS NOT NULL"
    note = "INSERT INTO undo(epoch, sql) SELECT epoch,"
    return [
        f"CREATE TRIGGER undo_{table}_i AFTER INSERT ON {table} {when} BEGIN {note} "
        f"'DELETE FROM {table} WHERE id=' || NEW.id FROM undo_state; END",
        f"CREATE TRIGGER undo_{table}_u AFTER UPDATE ON {table} {when} BEGIN {note} "
        f"'UPDATE {table} SET ' || {assignments} || ' WHERE id=' || OLD.id FROM undo_state; END",
        f"CREATE TRIGGER undo_{table}_d AFTER DELETE ON {table} {when} BEGIN {note} "
        f"'INSERT INTO {table}(id,{','.join(names)}) VALUES(' || {old_values} || ')' FROM undo_state; END",
    ]


def _text_index() -> list[str]:
    forget = "INSERT INTO chunk_text(chunk_text, rowid, text) VALUES ('delete', OLD.id, OLD.text)"
    learn = "INSERT INTO chunk_text(rowid, text) VALUES (NEW.id, NEW.text)"
    return [
        "CREATE VIRTUAL TABLE chunk_text USING fts5(text, content='chunk', content_rowid='id', "
        "tokenize='porter unicode61')",
        f"CREATE TRIGGER chunk_text_i AFTER INSERT ON chunk BEGIN {learn}; END",
        f"CREATE TRIGGER chunk_text_d AFTER DELETE ON chunk BEGIN {forget}; END",
        f"CREATE TRIGGER chunk_text_u AFTER UPDATE OF text ON chunk BEGIN {forget}; {learn}; END",
    ]
