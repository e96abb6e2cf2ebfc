"""Folders that come from someone else, or that were damaged: nothing outside is touched, and what is wrong is said."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from streamvos.errors import InputError, IntegrityError
from streamvos.export.lock import FILE
from streamvos.export.run_dir import RunDirectory
from streamvos.snapshot import load_snapshot, save_snapshot
from tests.streamvos.export.runs import FAST


@pytest.fixture
def half(tmp_path: Path, info, step) -> Path:
    """A run that can go on from its sixth frame."""
    folder = tmp_path / "run"
    run = RunDirectory(folder, info, {"seed": 1}, config=FAST)
    for index in range(6):
        run.write(*step(index))
    run.checkpoint({})
    run.close("interrupted")
    return folder


def go_on(folder: Path, info, option: str = "resume") -> RunDirectory:
    return RunDirectory(folder, info, {"seed": 1}, config=FAST, **{option: True})


LINKS = [FILE, "boxes.txt.part", "tracks.jsonl.part", "run.json", ".run.json.tmp", "state.npz.part", ".scene.ply.tmp"]


@pytest.mark.parametrize("option", ["resume", "overwrite"])
@pytest.mark.parametrize("name", [*LINKS, "masks/00003.png", "masks/.00007.png.tmp", "memory/memory.sqlite"])
def test_a_link_in_the_place_of_a_file_is_refused(half: Path, info, tmp_path: Path, name: str, option: str) -> None:
    victim = tmp_path / "victim.txt"
    place = half / name
    place.parent.mkdir(exist_ok=True)
    victim.write_bytes(place.read_bytes() if place.exists() else b"years of work")
    before = victim.read_bytes()
    place.unlink(missing_ok=True)
    place.symlink_to(victim)
    with pytest.raises(InputError, match=r"is a symbolic link; .* remove it, or choose another folder"):
        go_on(half, info, option)
    assert victim.read_bytes() == before and place.is_symlink()


@pytest.mark.parametrize("option", ["resume", "overwrite"])
@pytest.mark.parametrize("name", ["masks", "memory", "overlay.parts"])
def test_a_link_in_the_place_of_a_folder_is_refused(half: Path, info, tmp_path: Path, name: str, option: str) -> None:
    album = tmp_path / "album"
    if (half / name).exists():
        (half / name).rename(album)
    album.mkdir(exist_ok=True)
    (album / "00009.png").write_bytes(b"a picture of someone")
    (album / "000000000000099.mp4").write_bytes(b"a film of someone")
    before = sorted(album.iterdir())
    (half / name).symlink_to(album)
    with pytest.raises(InputError, match="is a symbolic link"):
        go_on(half, info, option)
    assert sorted(album.iterdir()) == before


def test_the_lock_of_an_empty_folder_follows_no_link(tmp_path: Path, info) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("years of work")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / FILE).symlink_to(victim)
    with pytest.raises(InputError, match="is a symbolic link"):
        RunDirectory(folder, info, {}, config=FAST)
    assert victim.read_text() == "years of work"


def test_a_file_with_a_second_name_is_not_changed_in_place(half: Path, info, tmp_path: Path) -> None:
    os.link(half / "boxes.txt.part", tmp_path / "backup.txt")
    before = (tmp_path / "backup.txt").read_bytes()
    with pytest.raises(InputError, match="has a second name"):
        go_on(half, info)
    assert (tmp_path / "backup.txt").read_bytes() == before


def test_a_pipe_is_not_waited_for(half: Path, info) -> None:
    (half / "run.json").unlink()
    os.mkfifo(half / "run.json")
    with pytest.raises(InputError, match="is no ordinary file"):
        go_on(half, info)


def change_report(folder: Path, **fields) -> None:
    report = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**report, **fields}))


@pytest.mark.parametrize(
    "fields",
    [
        {"status": 3},
        {"source": []},
        {"config": None},
        {"counts": {}},
        {"counts": {"next_index": "7"}},
        {"counts": {"next_index": -1}},
        {"started": None},
    ],
    ids=str,
)
def test_a_report_that_lacks_something_is_damaged(half: Path, info, fields: dict) -> None:
    change_report(half, **fields)
    with pytest.raises(IntegrityError, match=r"run\.json' is damaged"):
        go_on(half, info)


def test_a_report_nested_without_end_is_damaged(half: Path, info) -> None:
    (half / "run.json").write_text("[" * 100_000)
    with pytest.raises(IntegrityError, match=r"run\.json' is damaged"):
        go_on(half, info)


@pytest.mark.parametrize(
    "change",
    [
        {"files": None},
        {"files": {}},
        {"next_index": "three"},
        {"timings": {"detect": 3}},
        {"warnings": None},
    ],
    ids=str,
)
def test_a_snapshot_of_another_form_is_damaged(half: Path, info, change: dict) -> None:
    save_snapshot(half / "state.npz", {**load_snapshot(half / "state.npz"), **change})
    with pytest.raises(IntegrityError, match=r"state\.npz is damaged .*overwrite"):
        run = go_on(half, info)
        run.close("complete")  # what it says of warnings is read there


def test_a_snapshot_cannot_name_files_elsewhere(half: Path, info, tmp_path: Path) -> None:
    (tmp_path / "000.mp4").write_bytes(b"a film of someone")
    state = load_snapshot(half / "state.npz")
    state["files"]["segments"] = [("../../000.mp4", 6, 17)]
    save_snapshot(half / "state.npz", state)
    with pytest.raises(IntegrityError, match="overlay segment .* is gone or damaged"):
        go_on(half, info)


def test_snapshots_with_turned_bytes_are_damaged_or_read(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    save_snapshot(path, {"a": np.arange(50), "b": [1, (2, b"x"), {"k": np.zeros(3, np.float32)}], "t": np.array(["c"])})
    data, rng, seen = path.read_bytes(), random.Random(0), Counter()
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        if rng.random() < 0.1:
            del damaged[rng.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            assert isinstance(load_snapshot(path), dict)
            seen["read"] += 1
        except IntegrityError:
            seen["damaged"] += 1
    assert seen["read"] > 20 and seen["damaged"] > 1000


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"frame":0}', b'{"frame":0,"objects":[{"id":[]}]}'])
def test_damaged_lines_of_tracks_are_told_at_the_end(half: Path, info, step, line: bytes) -> None:
    path = half / "tracks.jsonl.part"
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(line.ljust(len(first)) + b"\n" + rest)
    run = go_on(half, info)
    with pytest.raises(IntegrityError, match="tracks.jsonl.part.* is damaged after [01] frames"):
        run.close("complete")
