"""Opening a memory for writing: of another hand, of an earlier version, of another program, with links, no space."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from memory_bank.episodes import EpisodeMemory, EpisodeReader, opening, store
from streamvos.errors import InputError, IntegrityError, OutputError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def half(tmp_path, busy):
    """A folder whose memory goes on after its snapshot, and the snapshot."""
    folder = tmp_path / "memory"
    memory = EpisodeMemory(folder, "s", "made up")
    for moment in busy(0, 200):
        memory.write(moment)
        if moment.frame_index == 99:
            state = memory.state_dict()
    memory.close()
    return folder, state


def change(folder, *statements):
    db = sqlite3.connect(folder / "memory.sqlite", isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def go_on(folder, state):
    memory = EpisodeMemory(folder, "s", "made up")
    try:
        memory.load_state_dict(state)
    finally:
        memory._store.let_go()


def as_version_1(folder):
    """Make a memory one of the earlier version, whose journal is SQL."""
    db = sqlite3.connect(folder / "memory.sqlite", isolation_level=None)
    for (name,) in db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'undo_%'"
    ).fetchall():
        db.execute(f"DROP TRIGGER {name}")
    db.execute("DROP TABLE undo")
    db.execute("CREATE TABLE undo(id INTEGER PRIMARY KEY, epoch INTEGER, sql TEXT)")
    db.execute("ALTER TABLE writer DROP COLUMN is_open")
    db.execute("UPDATE meta SET value = '1' WHERE key = 'version'")
    db.execute("INSERT INTO undo(epoch, sql) VALUES (1, 'DELETE FROM span')")
    db.close()


def test_the_journal_of_an_earlier_version_is_never_carried_out(half):
    folder, state = half
    as_version_1(folder)
    before = (folder / "memory.sqlite").read_bytes()
    with pytest.raises(InputError, match="earlier version: it can be asked, but not .* gone on with; run again with"):
        go_on(folder, state)
    assert (folder / "memory.sqlite").read_bytes() == before
    with EpisodeReader(folder) as reader:
        assert reader.spans() and reader.missing_after_ms is None


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER evil AFTER DELETE ON epoch BEGIN DELETE FROM span; END",
        "CREATE TRIGGER evil AFTER UPDATE ON writer BEGIN DELETE FROM span; END",
        "CREATE VIEW evil AS SELECT * FROM span",
        "CREATE TABLE evil(x)",
        "CREATE INDEX evil ON span(abs(from_ms))",
        "DROP TRIGGER undo_span_u",
        "DROP INDEX span_time",
        "ALTER TABLE span ADD COLUMN evil AS (from_ms * 2)",
        "DELETE FROM usage WHERE kind = 'span'",
        "DELETE FROM undo_state",
        "INSERT INTO writer VALUES (0, 0)",
    ],
)
def test_a_schema_of_another_hand_is_refused_untouched(half, statement):
    folder, state = half
    change(folder, statement)
    before = (folder / "memory.sqlite").read_bytes()
    with pytest.raises(IntegrityError, match=f"{folder} is not as this program makes it .*; run again with overwrite"):
        go_on(folder, state)
    assert (folder / "memory.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE VIEW evil AS SELECT * FROM span"],
        ["ALTER TABLE span RENAME TO there", "CREATE VIEW span AS SELECT * FROM there"],
        ["DROP TABLE span", "CREATE TABLE span(id INTEGER PRIMARY KEY, from_ms INTEGER, to_ms AS (from_ms + 1))"],
    ],
    ids=["a view beside", "a view in place", "another table"],
)
def test_a_reader_looks_through_no_view_of_another_hand(half, statements):
    folder, _ = half
    change(folder, *statements)
    with pytest.raises(IntegrityError, match=r"is not as this program makes it \(.*and is not read"):
        EpisodeReader(folder)


@pytest.mark.parametrize(
    "row",
    [
        "'sqlite_master', 'delete', 1",
        "'writer', 'update', 1",
        "'span; DROP TABLE meta', 'insert', 1",
        "'span', 'DROP TABLE meta', 1",
        "'span', 'insert', '1 OR 1'",
        "NULL, NULL, NULL",
    ],
)
def test_a_journal_of_another_hand_is_refused_and_nothing_is_taken_back(half, contents, row):
    folder, state = half
    change(folder, f"INSERT INTO undo(epoch, tbl, action, row_id) VALUES ({state['epoch']}, {row})")
    before = contents(folder)
    with pytest.raises(IntegrityError, match="its journal holds .*run again with overwrite=True"):
        go_on(folder, state)
    assert contents(folder) == before


def test_values_of_another_kind_in_the_journal_are_refused(half, contents):
    folder, state = half
    change(folder, "UPDATE undo SET c0 = x'00', c1 = 'x', c3 = 'y' WHERE tbl = 'span' AND action != 'insert'")
    before = contents(folder)
    with pytest.raises(IntegrityError, match="its journal holds values that its columns never have"):
        go_on(folder, state)
    assert contents(folder) == before


def test_a_row_that_is_there_already_is_told_as_damage(half, contents):
    folder, state = half
    change(folder, f"INSERT INTO undo(epoch, tbl, action, row_id) VALUES ({state['epoch']}, 'span', 'delete', 1)")
    before = contents(folder)
    with pytest.raises(IntegrityError, match="is damaged"):
        go_on(folder, state)
    assert contents(folder) == before


def test_the_journal_keeps_values_as_they_were(tmp_path, busy, contents):
    """Also those that SQL text would change: long fractions, quotes, zero bytes, blobs."""
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for moment in busy(0, 100):
        memory.write(moment)
    memory._store.update("chunk", 1, embedding=bytes(range(256)), text="it's \x00 'x'; --")
    memory._store.update("observation", 1, x1=0.1 + 0.2, y1=1e-300, score=5)
    state = memory.state_dict()
    before = contents(tmp_path)
    memory._store.update("chunk", 1, embedding=None, text="y")
    memory._store.update("observation", 1, x1=0, y1=0, score=0)
    memory._store.delete("observation", [1])
    memory._store.commit()
    memory.load_state_dict(state)
    assert contents(tmp_path) == before
    memory.close()


@pytest.mark.parametrize("name", ["memory.sqlite", "memory.sqlite-wal", "memory.sqlite-shm", "keyframes"])
def test_links_are_refused(tmp_path, name):
    folder, victim = tmp_path / "memory", tmp_path / "victim"
    folder.mkdir()
    if name == "keyframes":
        victim.mkdir()
        (victim / "000001.jpg").write_bytes(b"a picture of someone")
    else:
        victim.write_bytes(b"years of work")
    (folder / name).symlink_to(victim)
    with pytest.raises(InputError, match="is a symbolic link"):
        EpisodeMemory(folder, "s", "made up")
    kept = victim / "000001.jpg" if name == "keyframes" else victim
    assert kept.read_bytes() in (b"a picture of someone", b"years of work")


def test_a_second_name_is_refused(half, tmp_path):
    folder, state = half
    os.link(folder / "memory.sqlite", tmp_path / "other")
    with pytest.raises(InputError, match="has a second name"):
        go_on(folder, state)


def of_another_program(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmarks(url TEXT)")
    db.close()


@pytest.mark.parametrize(
    ("make", "written", "asked"),
    [
        (Path.mkdir, "is a folder; expected the file of a memory", "is a folder; expected the file of a memory"),
        (os.mkfifo, "is no ordinary file", "is no ordinary file"),
        (lambda path: path.write_text("a letter " * 99), "is damaged .file is not a database", "is not a memory, or"),
        (of_another_program, "'bookmarks' is not of this program.*is left alone", "not a memory of this program"),
        (Path.touch, None, "is empty: its run was ended as it began"),
        (lambda path: path.symlink_to("nowhere"), "is a symbolic link", "no memory in"),
    ],
    ids=["folder", "pipe", "text", "another program", "empty", "broken link"],
)
def test_what_lies_there_is_told(tmp_path, make, written, asked):
    path = tmp_path / "memory.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(InputError, match=asked):
        EpisodeReader(tmp_path)
    if written is None:
        EpisodeMemory(tmp_path, "s", "made up").close()
        return
    with pytest.raises(InputError, match=written):
        EpisodeMemory(tmp_path, "s", "made up")
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("opened", [EpisodeReader, lambda folder: EpisodeMemory(folder, "s", "made up")])
def test_a_rollback_journal_is_never_played(half, tmp_path, opened):
    """SQLite would delete the file that its end names."""
    folder, _ = half
    (folder / "memory.sqlite-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))
    with pytest.raises(IntegrityError, match="memory.sqlite-journal is no file of this program"):
        opened(folder)


@pytest.mark.parametrize("pages", [1, 5, 30])
def test_no_space_for_the_tables_is_told_as_no_space(tmp_path, monkeypatch, pages):
    connect = sqlite3.connect

    def small(*args, **options):
        db = connect(*args, **options)
        if options.get("uri") is None and args[0] != ":memory:":
            db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(opening.sqlite3, "connect", small)
    with pytest.raises(OutputError, match=f"no space left for '{tmp_path}/memory'; .*; free some space and go on"):
        EpisodeMemory(tmp_path / "memory", "s", "made up")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("unable to open database file", "Input/output error"),
        ("disk I/O error", "Input/output error"),
        ("attempt to write a readonly database", "Permission denied"),
    ],
)
def test_trouble_with_the_disk_while_opening_is_told_as_such(tmp_path, monkeypatch, said, told):
    def refused(*_, **__):
        raise sqlite3.OperationalError(said)

    monkeypatch.setattr(opening.sqlite3, "connect", refused)
    with pytest.raises(OutputError, match=told):
        EpisodeMemory(tmp_path, "s", "made up")
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(OutputError, match="no space left for"):
        EpisodeMemory(tmp_path, "s", "made up")


CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from memory_bank.episodes import EpisodeMemory, Moment
from streamvos.errors import InputError
memory = EpisodeMemory(Path(sys.argv[1]), "s", "made up")
for index in range(100):
    memory.write(Moment(index, 100 * index, (120, 160), 0, False, (), lambda: b"x"))
if sys.argv[3] == "inside":
    memory.note("a", "b")
print("ready", flush=True)
sys.stdin.readline()
try:
    for index in range(100, 200):
        memory.write(Moment(index, 100 * index, (120, 160), 0, False, (), lambda: b"x"))
except InputError as error:
    print(error, flush=True)
"""


@pytest.mark.parametrize("at", ["inside", "between"])
def test_two_processes_that_write_the_same_memory(tmp_path, monkeypatch, at):
    """The second waits for a transaction and says so, or takes over; then the first says so and stops."""
    monkeypatch.setattr(opening, "_LOCK_WAIT_S", 0.2)
    command = [sys.executable, "-c", CHILD, str(tmp_path), str(ROOT), at]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        if at == "inside":
            with pytest.raises(InputError, match="is being written by another process; stop it first"):
                EpisodeMemory(tmp_path, "s", "made up")
        else:
            EpisodeMemory(tmp_path, "s", "made up")._store.let_go()
        told = child.communicate("\n", timeout=60)[0]
    assert told == "" if at == "inside" else "was taken over by another run; stop this one" in told
