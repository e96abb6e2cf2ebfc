"""A console that cannot print a mark, or is gone, never fails a command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.cli import main
from memory_bank.episodes import EpisodeMemory, Moment, Sighting

PROGRAM = [sys.executable, "-m", "streamvos"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A run whose memory holds an object called 日本, in a folder whose name is no text."""
    folder = tmp_path_factory.mktemp("console") / os.fsdecode(b"caf\xe9")
    memory = EpisodeMemory(folder / "memory", "film", "made up")
    for index in range(20):
        seen = (Sighting(1, "", "tracked", 0.9, (0.1, 0.1, 0.4, 0.4), 0.04, None, "日本"),)
        memory.write(Moment(index, 100 * index, (120, 160), 0, False, seen, lambda: b"x"))
    memory.close()
    (folder / "run.json").write_text('{"status": "complete"}')
    return folder


def ask(folder, *words, encoding="utf-8", **streams):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run([*PROGRAM, "ask", folder, "when did 日本 appear?", *words], env=environment, **streams)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_what_cannot_be_printed_is_printed_as_its_code(run_folder, encoding):
    done = ask(run_folder, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    wanted = "日本".encode() if encoding == "utf-8" else b"\\u65e5\\u672c"
    assert wanted in done.stdout and b"caf\\udce9" in done.stdout  # the picture's path


@pytest.mark.parametrize("encoding", ["cp1252"])
def test_json_stays_json(run_folder, encoding):
    answer = json.loads(ask(run_folder, "--json", encoding=encoding).stdout.decode(encoding))
    assert "日本 (object 1)" in answer["text"]


@pytest.mark.skipif(os.name == "nt", reason="closes descriptors as a shell does")
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_is_no_error(run_folder, closed):
    number = {"stdout": 1, "stderr": 2}[closed]
    done = ask(run_folder, preexec_fn=lambda: os.close(number))
    assert done.returncode == 0
    assert closed == "stdout" or "日本".encode() in done.stdout


def test_a_reader_that_is_gone_is_no_error(run_folder):
    reading, writing = os.pipe()
    os.close(reading)
    done = ask(run_folder, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error(run_folder):
    with open("/dev/full", "wb") as full:
        done = ask(run_folder, stdout=full)
    assert done.returncode == 1 and b"No space left" in done.stderr and b"Traceback" not in done.stderr


def test_the_home_folder_is_meant_by_its_mark(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["ask", "~/none", "what was seen?"]) == 2
    assert repr(str(tmp_path / "none")) in capsys.readouterr().err
    assert main(["run", "none.mp4", "--out=~/results"]) == 2
    assert not (tmp_path / "~").exists()
