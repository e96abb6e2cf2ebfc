"""The store of the long memory: one SQLite file in WAL mode, its tables, and the triggers that keep its
books.

Times are integer milliseconds of presentation time. Three kinds of triggers work below every table of facts:
`usage_*` keep the size of each table in bytes (an upper bound of what the row takes on disk), `undo_*` write
down the row as it was before a change (journal.py), and `chunk_text_*` keep the full-text index equal to the summaries.

A file can come from someone else, so what it says of itself is compared with what is made here: a trigger, a view or a
table of another hand would run with the first change or question.
"""

from __future__ import annotations

import functools
import re
import sqlite3

FILE_NAME = "memory.sqlite"
KEYFRAME_FOLDER = "keyframes"
VERSION = 2
READABLE_VERSIONS = (1, VERSION)  # version 1 kept statements of SQL in `undo`, which are never carried out
BASE_BYTES = 768 * 1024  # empty tables, indexes, and the write-ahead log, which is truncated to 512 KiB

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
_WIDEST = max(len(definition.split(", ")) for definition in TABLES.values())
# tables beside the facts. undo: `bytes` bounds what the row takes, c0… are the columns of `tbl` in their order, as they
# were. writer: is_open is 1 from the opening to a proper close, so that a file that lost its log can be told
BOOKS: dict[str, str] = {
    "usage": "kind TEXT PRIMARY KEY, entries INTEGER, bytes INTEGER",
    "epoch": "id INTEGER PRIMARY KEY, frame INTEGER, whole INTEGER",
    "undo": "id INTEGER PRIMARY KEY, epoch INTEGER, tbl TEXT, action TEXT, row_id INTEGER, bytes INTEGER, "
    + ", ".join(f"c{index}" for index in range(_WIDEST)),
    "undo_state": "epoch INTEGER",
    "trash": "epoch INTEGER, frame INTEGER, bytes INTEGER",
    "writer": "generation INTEGER, is_open INTEGER",
}
_UNDO_OF_VERSION_1 = "CREATE TABLE undo(id INTEGER PRIMARY KEY, epoch INTEGER, sql TEXT)"
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
_UNDO_BYTES = 70  # of a row of `undo` beside the values that it keeps

# what SQLite raises where a file is damaged; its own message may hold bytes that are no text
UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
_STORED = {"INTEGER": ("integer",), "REAL": ("real", "integer"), "TEXT": ("text",), "BLOB": ("blob",)}
_NEVER_NULL = frozenset(
    {"t_ms", "from_ms", "to_ms", "first_ms", "frame", "from_frame", "to_frame", "known_ms", "region", "score", "count"}
    | {"confidence", "status", "value"}
)


def holds_foreign_values(db: sqlite3.Connection, and_nulls: bool = True) -> bool:
    """Whether a store of another hand, or a damaged one, holds values that its columns never have.

    Args:
        db: an open store.
        and_nulls: NULL counts as such a value, in columns that are always filled.
    """
    for table, definition in TABLES.items():
        tests = []
        for part in definition.split(", "):
            name, kind = part.split()[:2]
            null = () if and_nulls and name in _NEVER_NULL else ("null",)
            allowed = ", ".join(f"'{stored}'" for stored in (*_STORED[kind], *null))
            tests.append(f"typeof({name}) NOT IN ({allowed})")
        try:
            if db.execute(f"SELECT 1 FROM {table} WHERE {' OR '.join(tests)} LIMIT 1").fetchone():
                return True
        except UNREADABLE:
            return True
    return False


def find_foreign_part(db: sqlite3.Connection, reads_only: bool = False) -> str | None:
    """What of a store is not as `create` makes it, in words; None where all is.

    Args:
        db: an open store, of which nothing but its schema is looked at.
        reads_only: look only at what a reader meets: tables of facts and views. What is absent, and the books of
            another version, are no matter then.
    """
    own, found = _own_parts(), _parts(db)
    for kind, name, target, sql in found:
        if reads_only and (kind in ("index", "trigger") or (kind == "table" and name in BOOKS)):
            continue
        if own.get((kind, name)) != (target, sql):
            return f"{kind} {name[:60]!r} is {'another one' if (kind, name) in own else 'not of this program'}"
    missing = sorted(set(own) - {(kind, name) for kind, name, _, _ in found})
    if missing and not reads_only:
        return f"{missing[0][0]} {missing[0][1]!r} is missing"
    return None


def is_of_version_1(db: sqlite3.Connection) -> bool:
    """Whether a store is one of the earlier version, which can be read and not be written."""
    return ("table", "undo", "undo", _UNDO_OF_VERSION_1) in _parts(db)


def create(db: sqlite3.Connection) -> None:
    """Make the tables, indexes and triggers of an empty store, inside the caller's transaction."""
    for table, definition in BOOKS.items():
        db.execute(f"CREATE TABLE {table}({definition})")
    db.execute("INSERT INTO undo_state VALUES (NULL)")
    db.execute("INSERT INTO writer VALUES (0, 0)")
    for table, definition in TABLES.items():
        db.execute(f"CREATE TABLE {table}(id INTEGER PRIMARY KEY, {definition})")
        db.execute("INSERT INTO usage VALUES (?, 0, 0)", (table,))
        for statement in _usage_triggers(table) + _undo_triggers(table):
            db.execute(statement)
    for name, target in _INDEXES.items():
        db.execute(f"CREATE INDEX {name} ON {target}")
    for statement in _text_index():
        db.execute(statement)


def columns(table: str) -> list[str]:
    """Names of a table's columns, without `id`."""
    return [part.split()[0] for part in TABLES[table].split(",")]


def _parts(db: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """Kind, name, table and SQL of all that a store is made of; the indexes that SQLite makes by itself have no SQL."""
    rows = db.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return [(str(kind), str(name), str(target), re.sub(r"\s+", " ", str(sql))) for kind, name, target, sql in rows]


@functools.cache
def _own_parts() -> dict[tuple[str, str], tuple[str, str]]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    create(db)
    parts = {(kind, name): (target, sql) for kind, name, target, sql in _parts(db)}
    db.close()
    return parts


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
    """After the method of sqlite.org/undoredo.html, with rows in place of statements: whoever wrote the file, a row can
    only be put back, never be carried out."""
    names = columns(table)
    slots = ", ".join(f"c{index}" for index in range(len(names)))
    values = ", ".join(f"OLD.{name}" for name in names)
    kinds = dict(part.split()[:2] for part in TABLES[table].split(", "))
    wide = "".join(f" + 2 * coalesce(length(OLD.{name}), 0)" for name in names if kinds[name] in ("TEXT", "BLOB"))
    size = f"{_UNDO_BYTES + 9 * len(names)}{wide}"
    when = "WHEN (SELECT epoch FROM undo_state) IS NOT NULL"
    head = "INSERT INTO undo(epoch, tbl, action, row_id, bytes"
    before = f"{head}, {slots}) SELECT epoch, '{table}', '{{}}', OLD.id, {size}, {values} FROM undo_state"
    return [
        f"CREATE TRIGGER undo_{table}_i AFTER INSERT ON {table} {when} BEGIN "
        f"{head}) SELECT epoch, '{table}', 'insert', NEW.id, {_UNDO_BYTES} FROM undo_state; END",
        f"CREATE TRIGGER undo_{table}_u AFTER UPDATE ON {table} {when} BEGIN {before.format('update')}; END",
        f"CREATE TRIGGER undo_{table}_d AFTER DELETE ON {table} {when} BEGIN {before.format('delete')}; END",
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
