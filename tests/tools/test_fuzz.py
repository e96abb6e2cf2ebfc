"""The tool that feeds parsers with damaged input: it finds what is planted, and nothing in our own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamvos.errors import InputError
from tests.tools.fuzz.__main__ import run
from tests.tools.fuzz.damage import damaged
from tests.tools.fuzz.keep import load
from tests.tools.fuzz.target import Target, make_case
from tests.tools.fuzz.watch import Limits, fuzz
from tests.tools.fuzz.worker import read_one

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tool looks into /proc")

QUICK = Limits(seconds=20, num_inputs=60, hang_s=0.5)


def make_corpus(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "numbers.txt").write_text("1 2 3 4 5 6 7 8\n")


def planted(plant) -> Target:
    """A reader of numbers that does something of its own where the input is no longer the valid one."""

    def read(folder: Path) -> None:
        words = (folder / "numbers.txt").read_bytes().split() if (folder / "numbers.txt").is_file() else []
        if len(words) != 8:
            plant()
        elif not all(word.isdigit() for word in words):
            raise InputError("expected numbers")

    return Target("planted", make_corpus, read)


def fail() -> None:
    raise KeyError("planted")


def hang() -> None:
    while True:
        pass


def wait() -> None:
    time.sleep(1000)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def grow() -> None:
    bytearray(8 << 30)


def talk() -> None:
    error = InputError("expected numbers")
    error.args = ("x" * 5000,)
    raise error


@pytest.mark.parametrize(
    ("plant", "kind", "place"),
    [
        (fail, "fault", "KeyError"),
        (hang, "hang", "no end"),
        (wait, "hang", "no end"),
        (crash, "fault", "status -11"),
        (grow, "fault", "MemoryError"),
        (talk, "fault", "5000 characters"),
    ],
    ids=["error", "hang", "wait", "crash", "bomb", "long line"],
)
def test_what_is_planted_is_found(plant, kind, place):
    limits = Limits(seconds=20, num_inputs=12, hang_s=0.3)
    tally = fuzz(planted(plant), 1, limits)
    assert tally.num_inputs == 12 and tally.counts[kind] >= 2 and tally.num_wrong == tally.counts[kind]
    assert all(place in one for one in tally.faults)


def test_what_is_found_is_kept_and_can_be_read_again(tmp_path, capsys):
    target = planted(fail)
    assert run([target], 3, QUICK, tmp_path) == 1
    told = capsys.readouterr().out
    kept = sorted(tmp_path.iterdir())
    assert 1 <= len(kept) <= 3 and str(kept[0]) in told and "KeyError: 'planted'" in told
    name, case = load(kept[0])
    assert name == "planted" and read_one(target, case, 0, False, tmp_path).kind == "fault"
    assert told.splitlines()[-1].split()[:2] == ["planted", "60"]


def test_a_reader_without_faults(capsys):
    assert run([planted(lambda: None)], 3, QUICK) == 0
    assert "planted" in capsys.readouterr().out


def test_valid_inputs_must_be_read():
    def refuse(folder: Path) -> None:
        raise InputError("no")

    tally = fuzz(Target("planted", make_corpus, refuse), 0, Limits(20, 5))
    assert tally.counts == {"fault": 2, "clear": 3}


def test_the_same_seed_gives_the_same_inputs():
    target, corpus = planted(fail), [{"numbers.txt": b"1 2 3"}, {"numbers.txt": b"4 5 6"}]
    one, same, other = ([make_case(target, corpus, seed, index) for index in range(50)] for seed in (1, 1, 2))
    assert one == same and one[:2] == other[:2] == corpus and one != other


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b'{"a": [1, 2.5, {"b": null}], "c": "text"}'),
        ("a.jsonl", b'{"a": 1}\n{"b": [2]}\n'),
        ("a.toml", b'a = 1\n[b]\nc = "x"\n'),
        ("a.xml", b'<a b="1"><c>2</c><c/></a>'),
        ("b.xml", b'<?xml version="1.0" encoding="none"?><a><b/></a>'),
        ("a.txt", b"1 2\n3 4\n"),
        ("a.bin", bytes(range(200))),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82"),
        ("a.npz", b""),
        ("empty.json", b""),
    ],
)
def test_damage_of_every_format(name, data):
    made = {damaged(name, data, [data, b"other"], random.Random(seed)) for seed in range(100)}
    assert len(made) > 30


def test_our_readers_have_no_faults():
    """A second or so of each; the tool itself runs for as long as one likes."""
    command = [sys.executable, "-m", "tests.tools.fuzz", "--seed", "5", "--inputs", "45", "--minutes", "5"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert done.stdout.startswith("target") and len(done.stdout.splitlines()) > 15
