"""Damaged memories and questions made of pieces: an answer or one clear line, never another error."""

import random
import re
import shutil
import sqlite3

import pytest

from memory_bank.episodes.schema import TABLES, columns
from pipelines.answer import ask
from pipelines.answer.parsing.read import read_question
from streamvos.answers import Answer
from streamvos.errors import InputError

QUESTIONS = [
    "what did you see?",
    "how many cars were there at 0:11?",
    "when did the dog leave?",
    "where was the dog?",
    "what happened after the dog left?",
    "how long was the dog gone?",
    "bla bla dog",
]


@pytest.fixture
def copy(film, tmp_path):
    shutil.copytree(film, tmp_path / "copy")
    return tmp_path / "copy"


def ask_all(folder, questions=QUESTIONS):
    """What came of each question: an answer, or the one line of an error; anything else is raised."""
    came = []
    for question in questions:
        try:
            came.append(ask(folder, question))
        except InputError as error:
            came.append(str(error))
    return came


def is_clear(came, folder):
    """Whether all are answers, or lines that name the folder."""
    return all(isinstance(one, Answer) or ("\n" not in one and str(folder) in one) for one in came)


def errors_in(came):
    return [one for one in came if not isinstance(one, Answer)]


@pytest.mark.parametrize("table", [*TABLES, "chunk_text"])
def test_a_table_that_is_not_there_is_told(copy, table):
    with sqlite3.connect(copy / "memory.sqlite") as db:
        db.execute(f"DROP TABLE {table}")
    came = ask_all(copy)
    told = errors_in(came)
    assert is_clear(came, copy)
    if table in ("entity", "span", "coverage"):
        assert told and all("damaged" in line and "overwrite" in line for line in told)


@pytest.mark.parametrize("table", ["entity", "span", "observation", "event", "coverage", "meta"])
def test_values_of_another_kind_are_told(copy, film, table):
    draw = random.Random(0)
    for column in columns(table):
        shutil.copyfile(film / "memory.sqlite", copy / "memory.sqlite")
        with sqlite3.connect(copy / "memory.sqlite") as db:
            value = draw.choice([None, "x", b"\xff\x00", 1e308, 2**62, -5])
            db.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (value,))
        came = ask_all(copy, QUESTIONS[:3])
        assert len(came) == 3 and is_clear(came, copy), (column, value)


@pytest.mark.parametrize("kind", ["bytes", "page", "cut"])
def test_a_damaged_file_is_told(copy, film, kind):
    whole, draw, told = (film / "memory.sqlite").read_bytes(), random.Random(0), []
    for _ in range(6):
        data = bytearray(whole)
        if kind == "bytes":
            for _ in range(draw.choice([1, 10, 100])):
                data[draw.randrange(len(data))] = draw.randrange(256)
        elif kind == "page":
            at = draw.randrange(len(data) // 4096) * 4096
            data[at : at + 4096] = bytes(4096)
        else:
            data = data[: draw.randrange(len(data))]
        for path in copy.glob("memory.sqlite*"):
            path.unlink()
        (copy / "memory.sqlite").write_bytes(data)
        came = ask_all(copy)
        assert is_clear(came, copy)
        told += errors_in(came)
    assert told, "none of these was damaged enough to be told"


@pytest.mark.parametrize("as_of_s", [1e300, -1e300, 1e12, 1e17])
def test_as_of_any_time(film, as_of_s):
    answer = ask(film, "what did you see?", as_of_s=as_of_s)
    assert answer == ask(film, "what did you see?") if as_of_s > 0 else answer.outcome == "not_covered"


PIECES = """
was were is did how many long often when where what which who the a an any dog dogs car person object 3 #2 Rex first
last left right in on at of and or not with before after while until between from to 0:05 5 seconds 2 hs minutes half
second shot 1:99 99999999999999999999 1e9 ² ½ ٣ ١٢ １２ -3 3.5.1 :: ' " ? ! . , ; ( ) % $ & / \\ * { } [ ] ~ 🐶 é
camera moving red colour it there visible appear leave return gone together once video end start now t#5 t#5000_1
object² 3h 2m30s last 10 s the largest username usernamea \ud800 \x00 \x1b[31m h m s hour per
"""


def test_questions_of_any_pieces_are_read():
    pieces = re.split("[ \n]+", PIECES.strip())
    draw = random.Random(0)
    labels = ["Rex", "Dr. Who", "left", "2", "C++", "²", "", " "]
    for _ in range(600):
        question = draw.choice(["", " "]).join(draw.choice(pieces) + " " for _ in range(draw.randint(1, 14)))
        try:
            read_question(question[:500], labels)
        except InputError as error:
            assert "expected" in str(error)


@pytest.mark.parametrize(
    "question",
    ["was there a dog after 2 hs?", "was object ² visible?", "what happened after 2 hs?", "were there ² dogs?"],
)
def test_what_is_no_time_and_no_number_is_not_understood(film, question):
    assert ask(film, question).outcome == "not_understood"


@pytest.mark.parametrize("digits", [20, 400])
@pytest.mark.parametrize("unit", ["seconds", "hours", ":00:00"])
def test_times_beyond_all_measure_are_not_covered(film, digits, unit):
    assert ask(film, f"was there a dog at {'9' * digits}{unit}?").outcome in ("not_covered", "not_understood")
    assert ask(film, f"was there a dog before {'9' * digits} {unit}?").outcome in ("answered", "not_understood")


def test_bytes_that_are_no_text_in_a_question(film):
    assert ask(film, "was the caf\udce9 there? zzz").outcome in ("not_detectable", "not_understood")


def test_a_copy_without_its_log_is_never_sure(copy):
    with sqlite3.connect(copy / "memory.sqlite") as db:
        db.execute("UPDATE writer SET is_open = 1")
    db.close()
    answer = ask(copy, "how long is the video?")
    assert "what was seen after 0:59.9 is missing" in answer.text and answer.confidence <= 0.5


def test_hundreds_of_damaged_files_are_answered_or_told(copy, film):
    whole, draw = (film / "memory.sqlite").read_bytes(), random.Random(1)
    for _ in range(150):
        data, at = bytearray(whole), draw.randrange(len(whole))
        kind = draw.choice(["flip", "zero", "cut"])
        if kind == "flip":
            for _ in range(draw.choice([1, 5, 50])):
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        elif kind == "zero":
            data[at : at + 512] = bytes(len(data[at : at + 512]))
        else:
            del data[at:]
        (copy / "memory.sqlite").write_bytes(data)
        assert is_clear(ask_all(copy, draw.sample(QUESTIONS, 2)), copy), kind
