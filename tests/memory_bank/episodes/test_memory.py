"""The store under hard conditions: rollback, crash, a reader beside the writer, a small budget, removal."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from memory_bank.episodes import EpisodeConfig, EpisodeMemory
from memory_bank.episodes.policy import MIN_BUDGET_BYTES
from memory_bank.protocol import Memory
from streamvos.errors import InputError, OutputError
from streamvos.snapshot import load_snapshot, save_snapshot

ROOT = Path(__file__).parents[3]


def disk_bytes(directory):
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_is_a_memory(tmp_path):
    memory = EpisodeMemory(tmp_path, "s", "made up")
    assert isinstance(memory, Memory) and memory.name == "episodes"
    assert memory.stats().bytes <= memory.stats().capacity_bytes
    before = memory.stats()
    memory.close()
    memory.close()
    assert memory.stats() == before


@pytest.mark.parametrize("snapshot_at", [0, 55, 121, 290])
@pytest.mark.parametrize("lost", [1, 70, 200])
def test_rollback_gives_the_memory_of_an_uninterrupted_run(tmp_path, busy, contents, snapshot_at, lost):
    straight = EpisodeMemory(tmp_path / "a", "s", "made up")
    for moment in busy(0, 500):
        straight.write(moment)
    straight.close()

    first = EpisodeMemory(tmp_path / "b", "s", "made up")
    for moment in busy(0, snapshot_at):
        first.write(moment)
    save_snapshot(tmp_path / "snap.npz", first.state_dict())
    at_snapshot = contents(tmp_path / "b")
    for moment in busy(snapshot_at, snapshot_at + lost):
        first.write(moment)
    first._store.db.close()  # the process dies here, in the middle of a transaction
    second = EpisodeMemory(tmp_path / "b", "s", "made up")
    second.load_state_dict(load_snapshot(tmp_path / "snap.npz"))
    assert contents(tmp_path / "b") == at_snapshot
    for moment in busy(snapshot_at, 500):
        second.write(moment)
    second.close()
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


def test_writer_left_behind_is_stopped(tmp_path, busy):
    first = EpisodeMemory(tmp_path, "s", "made up")
    for moment in busy(0, 50):
        first.write(moment)
    state = first.state_dict()
    EpisodeMemory(tmp_path, "s", "made up").load_state_dict(state)
    with pytest.raises(InputError, match="taken over"):
        for moment in busy(50, 100):
            first.write(moment)


def test_rollback_after_close_and_to_the_snapshot_before_the_last(tmp_path, busy, contents):
    memory = EpisodeMemory(tmp_path / "a", "s", "made up")
    states = []
    for moment in busy(0, 400):
        memory.write(moment)
        if moment.frame_index in (150, 250):
            states.append(memory.state_dict())
    memory.close()
    finished = contents(tmp_path / "a")
    for state in reversed(states):
        again = EpisodeMemory(tmp_path / "a", "s", "made up")
        again.load_state_dict(state)
        for moment in busy(state["frame"] + 1, 400):
            again.write(moment)
        again.close()
        assert contents(tmp_path / "a") == finished


def test_snapshot_of_another_memory_is_refused(tmp_path, busy):
    memory = EpisodeMemory(tmp_path / "a", "s", "made up")
    for moment in busy(0, 30):
        memory.write(moment)
    state = memory.state_dict()
    memory.close()
    with pytest.raises(InputError, match="stream"):
        EpisodeMemory(tmp_path / "b", "other", "made up").load_state_dict(state)
    with pytest.raises(InputError, match="no snapshot"):
        EpisodeMemory(tmp_path / "c", "s", "made up").load_state_dict(state)


def test_rollback_brings_back_what_the_budget_took(tmp_path, scene, contents):
    sighting, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up", budget_bytes=MIN_BUDGET_BYTES)

    def many(first, last):
        for index in range(first, last):
            here = [sighting(k) for k in range(1, 6) if (index // 40 + k) % 3]
            yield moment(index, 250 * index, *here, picture_bytes=3000)

    for one in many(0, 2000):
        memory.write(one)
    state = memory.state_dict()
    before = contents(tmp_path)
    evicted = 0
    for one in many(2000, 2200):
        memory.write(one)
        evicted += sum(event.action == "evict" for event in memory.drain_events())
    assert evicted and not set(before["observation"]) <= set(contents(tmp_path)["observation"])
    memory._store.db.close()
    again = EpisodeMemory(tmp_path, "s", "made up", budget_bytes=MIN_BUDGET_BYTES)
    again.load_state_dict(state)
    assert contents(tmp_path) == before
    again.close()


def test_budget_holds_over_ten_hours(tmp_path, scene):
    """Ten hours at one frame in 8 s; every tenth of them the disk is weighed."""
    sighting, moment = scene
    budget = 2_300_000
    memory = EpisodeMemory(tmp_path, "s", "made up", budget_bytes=budget, encoder=RandomEncoder())
    actions = set()
    for index in range(4500):
        here = [sighting(1 + (index // 30 + k) % 400, "car") for k in range(4)]
        memory.write(moment(index, 8000 * index, *here, picture_bytes=2000, cut=index % 500 == 499, shot=index // 500))
        for event in memory.drain_events():
            actions.add(event.action)
            assert event.bytes <= budget * 1.02 and event.reason
        if index % 450 == 449:
            assert disk_bytes(tmp_path) <= memory.stats().bytes <= budget
    free, pages = (memory._store.db.execute(f"PRAGMA {name}_count").fetchone()[0] for name in ("freelist", "page"))
    assert free < pages / 10, "pages of thinned rows are given back"
    memory.close()
    assert disk_bytes(tmp_path) <= memory_upper_bound(tmp_path) <= budget
    assert "evict" in actions and "merge" in actions
    with memory.read() as reader:
        assert reader.summaries(2), "hours are summed up"
        spans = reader.spans()
        assert spans[-1].to_ms >= 8000 * 4490
        coverage = reader.coverage()
        if coverage[0].status == "gap":  # what was forgotten is said
            assert "forgotten" in coverage[0].why and coverage[0].to_ms <= spans[0].to_ms


def test_budget_holds_between_commits_that_are_far_apart(tmp_path, scene):
    sighting, moment = scene
    config = EpisodeConfig(commit_s=3600.0, chunk_s=0.5)
    memory = EpisodeMemory(tmp_path, "s", "made up", config, MIN_BUDGET_BYTES)
    evicted = False
    for index in range(200):  # each summary keeps a picture, so the budget is full after 70 frames
        memory.write(moment(index, 500 * index, sighting(1), picture_bytes=20_000))
        assert memory.stats().bytes <= MIN_BUDGET_BYTES
        evicted |= any(event.action == "evict" for event in memory.drain_events())
    memory.close()
    assert evicted


def memory_upper_bound(directory):
    memory = EpisodeMemory(directory, "s", "made up", budget_bytes=2_300_000)
    size = memory.stats().bytes
    memory.close()
    return size


class RandomEncoder:
    name = "random"

    def encode(self, sentences):
        return np.random.default_rng(len(sentences[0])).normal(size=(len(sentences), 384)).astype(np.float32)


def test_cited_key_frames_outlive_the_others(tmp_path, scene):
    sighting, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up", budget_bytes=MIN_BUDGET_BYTES)
    for index in range(1500):  # one thing all the time: its first key frame is cited, the summaries' are not
        memory.write(moment(index, 4000 * index, sighting(1), picture_bytes=20_000))
    memory.close()
    kept = sorted(int(path.stem) for path in (tmp_path / "keyframes").iterdir())
    assert 0 in kept and len(kept) < 60
    assert max(kept) > 1490, "the newest are the densest"


def test_reader_while_writing(tmp_path, busy):
    memory = EpisodeMemory(tmp_path, "s", "made up")
    sizes = []
    for moment in busy(0, 300):
        memory.write(moment)
        if moment.frame_index % 20 == 19:
            with memory.read() as reader:
                begun = len(reader.spans())
                memory.write(next(busy(moment.frame_index, moment.frame_index + 1)))  # passed over
                sizes.append((begun, reader.coverage()[-1].to_ms))
                assert len(reader.spans()) == begun  # one consistent view
    assert sizes == sorted(sizes) and sizes[-1][0] > sizes[0][0]
    assert sizes[-1][1] >= 28_000  # at most about a second behind
    memory.close()


def test_kill_loses_nothing_acknowledged(tmp_path):
    child = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from memory_bank.episodes import EpisodeConfig, EpisodeMemory, Moment, Sighting
memory = EpisodeMemory(Path(sys.argv[1]), "s", "made up")
for index in range(10**6):
    here = Sighting(1 + index // 100, "dog", "tracked", 0.9, (0.4, 0.4, 0.6, 0.6), 0.04, "brown")
    memory.write(Moment(index, 100 * index, (120, 160), 0, False, (here,), lambda: b"x" * 100))
    if memory._writer._progress.commit_ms == 100 * index:
        print(index, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", child, str(tmp_path), str(ROOT)], stdout=subprocess.PIPE, text=True
    )
    acknowledged = 0
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged >= 500:
            break
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    acknowledged = int(rest[-1]) if rest and len(rest[-1]) >= len(str(acknowledged)) else acknowledged
    memory = EpisodeMemory(tmp_path, "s", "made up")
    with memory.read() as reader:
        assert reader.coverage()[-1].to_frame >= acknowledged
        assert reader.spans()[-1].to_frame >= acknowledged - 10
    with pytest.raises(InputError, match="already holds"):
        memory.write(None)
    memory.reset()
    assert memory.stats().entries == 0 and not list((tmp_path / "keyframes").iterdir())
    memory.close()


def test_removing_an_object_clears_every_trace(tmp_path, scene, contents):
    sighting, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(400):
        here = [sighting(1, "dog")] + ([sighting(7, "cat", label="Felix")] if index % 60 > 20 else [])
        memory.write(moment(index, 100 * index, *here))
    before = len(list((tmp_path / "keyframes").iterdir()))
    memory.remove(7)
    memory.close()
    left = contents(tmp_path)
    assert [row[1] for row in left["entity"]] == [1]
    assert "cat" not in str(left) and "Felix" not in str(left)
    assert len(left["pictures"]) < before
    assert len(left["pictures"]) == len(left["keyframe"])
    assert any(event.action == "remove" for event in memory.drain_events())


def test_no_growth_in_ram_and_time_to_write(tmp_path, scene):
    sighting, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up")
    begin = time.perf_counter()
    held = []
    for index in range(3000):
        here = [sighting(1 + index // 50 + k) for k in range(3)]
        memory.write(moment(index, 33 * index, *here))
        memory.drain_events()
        if index % 1000 == 999:
            held.append(len(repr(memory._writer.state_dict())))
    each_ms = 1000 * (time.perf_counter() - begin) / 3000
    assert len(memory._writer._spans.by_key) <= 8 and len(memory._writer._spans.pictures) <= 16
    assert max(held) < 1.1 * held[0], "20 objects or 60 in the same shot: no more is held of those that are gone"
    assert each_ms < 10, f"{each_ms:.2f} ms a frame"
    memory.close()


class FullDatabase:
    """A connection to a database whose disk has no room: reads work, a chosen statement does not."""

    def __init__(self, db, refused):
        self._db, self._refused = db, refused

    def execute(self, sql, *values):
        if sql.startswith(self._refused):
            raise sqlite3.OperationalError("database or disk is full")
        return self._db.execute(sql, *values)

    def __getattr__(self, name):
        return getattr(self._db, name)


@pytest.mark.parametrize("entry", ["write", "picture", "state_dict", "close", "note"])
def test_no_space_is_told_in_one_line_and_the_memory_can_be_gone_on_with(tmp_path, busy, contents, monkeypatch, entry):
    straight = EpisodeMemory(tmp_path / "a", "s", "made up")
    for moment in busy(0, 300):
        straight.write(moment)
    straight.close()

    memory = EpisodeMemory(tmp_path / "b", "s", "made up")
    for moment in busy(0, 100):
        memory.write(moment)
    state = memory.state_dict()
    with monkeypatch.context() as patched:
        if entry == "picture":

            def no_room(*_):
                raise OSError(errno.ENOSPC, "No space left on device")

            patched.setattr(Path, "write_bytes", no_room)
        else:
            refused = "INSERT INTO meta" if entry == "note" else "COMMIT" if entry == "close" else "INSERT"
            memory._store.db = FullDatabase(memory._store.db, refused)
        with pytest.raises(OutputError, match="no space left for .*kept; free some space and go on with resume=True"):
            if entry in ("write", "picture"):
                for moment in busy(100, 200):
                    memory.write(moment)
            elif entry == "note":
                memory.note("detector", "ran")
            else:
                getattr(memory, entry)()
        if entry != "close":
            with pytest.raises(OutputError, match="no space left"):
                memory.state_dict()  # what broke off half-way is not snapshotted
        memory.close()

    second = EpisodeMemory(tmp_path / "b", "s", "made up")
    second.load_state_dict(state)
    for moment in busy(100, 300):
        second.write(moment)
    second.close()
    assert contents(tmp_path / "b") == contents(tmp_path / "a")
