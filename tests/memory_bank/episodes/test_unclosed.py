"""Memories that were not closed: copied without their log, or read where nothing can be written."""

import shutil
import sqlite3

from memory_bank.episodes import EpisodeMemory, EpisodeReader, opening


def write(folder, busy):
    """A memory that is open, of which the first part only lies in the main file."""
    memory = EpisodeMemory(folder, "s", "made up")
    for moment in busy(0, 250):
        memory.write(moment)
        if moment.frame_index == 100:
            memory._store.commit()
            memory._store.db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return memory


def test_a_copy_without_its_log_says_what_is_missing(tmp_path, busy):
    memory = write(tmp_path / "a", busy)
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a/memory.sqlite", tmp_path / "b")
    memory.close()
    with EpisodeReader(tmp_path / "b") as reader:
        assert reader.missing_after_ms is not None and reader.missing_after_ms < 24_000
    with EpisodeReader(tmp_path / "a") as reader:
        assert reader.missing_after_ms is None


def test_a_log_is_read_where_nothing_can_be_written(tmp_path, busy, monkeypatch):
    memory = write(tmp_path / "a", busy)
    connect = sqlite3.connect

    def readonly(place, *args, **options):
        if str(place).endswith("/a/memory.sqlite?mode=ro"):
            raise sqlite3.OperationalError("unable to open database file")
        return connect(place, *args, **options)

    monkeypatch.setattr(opening.sqlite3, "connect", readonly)
    with EpisodeReader(tmp_path / "a") as reader:
        assert reader.coverage()[-1].to_ms > 23_000 and reader.missing_after_ms is None
    memory.close()
