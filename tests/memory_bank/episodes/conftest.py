"""A small stream of made-up moments, and what is in a store afterwards."""

import sqlite3

import pytest

from memory_bank.episodes import Moment, Sighting
from memory_bank.episodes.schema import TABLES

SIZE = (120, 160)


def sighting(object_id, class_name="dog", state="tracked", box=(0.4, 0.4, 0.6, 0.6), **more):
    return Sighting(object_id, class_name, state, 0.9, box, 0.04, more.pop("colour", "brown"), **more)


def moment(index, t_ms, *sightings, cut=False, shot=0, **more):
    picture = bytes([index % 251]) * more.pop("picture_bytes", 100)
    return Moment(index, t_ms, SIZE, shot, cut, sightings, lambda: picture, **more)


@pytest.fixture
def scene():
    """(sighting, moment) builders."""
    return sighting, moment


def rows_of(directory):
    """All rows of all tables of facts, and all pictures, of a store."""
    db = sqlite3.connect(directory / "memory.sqlite")
    content = {table: db.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in TABLES}
    content["usage"] = db.execute("SELECT * FROM usage ORDER BY kind").fetchall()
    content["text"] = db.execute("SELECT rowid FROM chunk_text WHERE chunk_text MATCH 'dog' ORDER BY rowid").fetchall()
    db.close()
    content["pictures"] = {path.name: path.read_bytes() for path in sorted((directory / "keyframes").iterdir())}
    return content


@pytest.fixture
def contents():
    """Reads everything that a store holds."""
    return rows_of


@pytest.fixture
def busy(scene):
    """A stream with comings, goings, flicker, a cut and a gap: moments of a range of frames at 10 per second."""

    def make(first, last):
        for index in range(first, last):
            t_ms = 100 * index + (5000 if index >= 300 else 0)
            here = []
            if 10 <= index % 100 < 60 and index % 13:
                here.append(sighting(1, "dog", box=(0.004 * (index % 100), 0.4, 0.2 + 0.004 * (index % 100), 0.6)))
            if index % 50 >= 20:
                here.append(sighting(2 + index // 100, "person" if index % 3 else "dog", colour="red"))
            if index == 77:
                here.append(sighting(50, "cat"))
            cut = index % 120 == 0 and index > 0
            yield moment(index, t_ms, *here, cut=cut, shot=index // 120)

    return make
