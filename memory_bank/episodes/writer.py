"""Long memory of a stream: who was there, from when to when, what happened, and which times were looked at.

After the long-term memory of InternLM-XComposer2.5-OmniLive (2412.09596, section 3.2): perception writes,
questions read, neither waits for the other. Ours stores facts about tracks in place of latent tokens, on
disk, within a byte budget; coverage is a record of its own, so that "not seen" and "not looked" stay apart. A
change of the rows can be taken back to the last snapshots (journal.py), also by another process.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory_bank.episodes import budget, chunks, journal, policies
from memory_bank.episodes.chunks import Encoder
from memory_bank.episodes.moment import Moment
from memory_bank.episodes.open_spans import LifeBook
from memory_bank.episodes.policies import LEVEL_MS, EpisodeConfig
from memory_bank.episodes.reader import EpisodeReader
from memory_bank.episodes.recorder import Recorder
from memory_bank.episodes.store import Store, clear_errors
from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError, OutputError
from streamvos.records import MemoryAction, MemoryEvent

_FRESH: dict[str, Any] = {
    "last_ms": None,  # the newest frame
    "last_frame": -1,
    "period_ms": None,  # usual distance of the frames that were looked at
    "commit_ms": None,
    "coverage_id": None,
    "chunk": None,  # the open summary: from_ms, from_frame, to_ms, to_frame, shot
    "windows": None,  # start of the open window of each level above
    "camera": None,
}


class EpisodeMemory:
    """Writes the long memory of one stream into a directory.

    Args:
        directory: where `memory.sqlite` and `keyframes/` lie; made where absent.
        stream_id: name of the stream.
        source: where it comes from, without secrets.
        config: budget and times.
        encoder: sentence embeddings for the summaries; None stores none, and the store says so.
        encoder_absent: why there is no encoder, for the store's notes.
    """

    name = "episodes"

    def __init__(
        self,
        directory: Path,
        stream_id: str,
        source: str,
        config: EpisodeConfig | None = None,
        encoder: Encoder | None = None,
        encoder_absent: str = "switched off",
    ) -> None:
        self.config = config or EpisodeConfig()
        self.directory = directory
        self._stream = (stream_id, source)
        self._encoder = encoder
        self._text_note = encoder.name if encoder is not None else f"absent: {encoder_absent}"
        self._events: list[MemoryEvent] = []
        self._final_stats: MemoryStats | None = None  # set once closed
        self._failed: str | None = None  # why the rows no longer follow the stream: a write broke off
        self._store = Store(directory)
        self._begin_empty()
        held = self._store.one("SELECT to_frame FROM coverage ORDER BY id DESC LIMIT 1")
        self._unclaimed = None if held is None else int(held["to_frame"])

    def write(self, moment: Moment) -> None:
        """Remember one frame; frames come in order, one that was remembered already is passed over.

        Raises:
            InputError: the directory holds an earlier run that was neither resumed nor reset.
            OutputError: no space left, or another trouble with the disk; what is committed is kept.
        """
        self._refuse_failed()
        if self._unclaimed is not None:
            raise InputError(
                f"{self.directory} already holds a memory up to frame {self._unclaimed}; go on from its snapshot, "
                "reset it, or choose an empty directory"
            )
        if moment.frame_index <= self._state["last_frame"]:
            self._tell("skip", f"frame {moment.frame_index}", "it is remembered already", moment.frame_index)
            return
        with self._all_or_failed():
            self._write(moment)

    def read(self, as_of_ms: int | None = None) -> EpisodeReader:
        """A reader of what is committed, as it was known at `as_of_ms`."""
        return EpisodeReader(self.directory, as_of_ms)

    def remove(self, object_id: int) -> None:
        """Forget everything about an object: its rows, the pictures only it cites, its part in summaries."""
        self._refuse_failed()
        with self._all_or_failed():
            gone = self._recorder.erase(object_id, self._encoder)
            self._store.commit()
        self._tell("remove", f"object {object_id}", f"removal asked for; {gone} rows of it are gone")

    def reset(self) -> None:
        """Forget everything, also what an earlier run left in the directory."""
        with clear_errors(self.directory):
            self._store.abandon()
            self._store.clear()
            self._begin_empty()
        self._unclaimed = self._failed = None
        self._tell("reset", "all", "reset asked for")

    def stats(self) -> MemoryStats:
        """Rows, and an upper bound of the bytes on disk, journal and pictures included."""
        if self._final_stats is not None:
            return self._final_stats
        usage = self._store.usage()
        taken = self._store.total_bytes() + journal.journal_bytes(self._store.db)
        return MemoryStats(sum(rows for rows, _ in usage.values()), taken, self.config.budget_bytes)

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        """A snapshot: the open appearances, and the mark that takes the store back to now.

        Raises:
            OutputError: as `write`.
        """
        self._refuse_failed()
        with self._all_or_failed():
            self._store.commit()
            epoch = journal.begin_epoch(self._store.db, self.directory, self._state["last_frame"])
        copied = {
            name: dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else value
            for name, value in self._state.items()
        }
        return {
            "epoch": epoch,
            "stream_id": self._stream[0],
            "own": copied,
            "book": self._book.state_dict(),
            "recorder": self._recorder.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a snapshot: rows and pictures since then are taken back, in whichever process they came.

        Raises:
            InputError: the snapshot belongs to another memory, or is too old.
        """
        if state["stream_id"] != self._stream[0]:
            raise InputError(
                f"the snapshot belongs to stream {state['stream_id']!r}, this memory to {self._stream[0]!r}"
            )
        with clear_errors(self.directory):
            self._store.abandon()
            journal.rollback(self._store.db, self.directory, state["epoch"], state["own"]["last_frame"])
        self._unclaimed = self._failed = None
        self._begin_empty()
        own = state["own"]
        self._state = {
            **_FRESH,
            **own,
            "chunk": own["chunk"] and dict(own["chunk"]),
            "windows": own["windows"] and list(own["windows"]),
        }
        self._book.load_state_dict(state["book"])
        self._recorder.load_state_dict(state["recorder"])
        self._events = []

    def close(self) -> None:
        """End what is open, commit, and close the store, once. A snapshot can still be gone back to.

        Raises:
            OutputError: as `write`; the store is closed by the next call. After a failed write it is only let go.
        """
        if self._final_stats is not None:
            return
        if self._failed is not None:
            with clear_errors(self.directory):
                self._final_stats = self.stats()
            self._store.let_go()
            return
        with self._all_or_failed():
            if self._state["last_ms"] is not None:
                self._recorder.believe_brief_stream(self._book)
                self._recorder.end_lives(list(self._book.lives.values()), "end", self._state["last_ms"])
                self._close_chunk("end")
                self._commit(self._state["last_ms"])
            self._final_stats = self.stats()
            self._store.close()

    def note(self, key: str, value: str) -> None:
        """Store a note about the whole memory, such as whether a detector ran."""
        self._refuse_failed()
        with self._all_or_failed():
            self._store.set_meta(key, value)

    def sample_due(self, t_ms: int) -> bool:
        """Whether the frame at `t_ms` will be looked at more closely."""
        return self._book.sample_due(t_ms)

    def wants_pixels(self, key: int | str, t_ms: int) -> bool:
        """Whether the colour of a thing is wanted in the frame at `t_ms`."""
        return self._book.wants_pixels(key, t_ms)

    @contextlib.contextmanager
    def _all_or_failed(self) -> Iterator[None]:
        """A change that broke off half-way must neither be committed later nor be snapshotted."""
        try:
            with clear_errors(self.directory):
                yield
        except OutputError as error:
            self._failed = str(error)
            with contextlib.suppress(sqlite3.Error):
                self._store.abandon()
            raise

    def _refuse_failed(self) -> None:
        if self._failed is not None:
            raise OutputError(self._failed)

    def _begin_empty(self) -> None:
        self._state = dict(_FRESH)
        self._book = LifeBook(self.config)
        self._recorder = Recorder(self._store, self._book, self._tell)

    def _write(self, moment: Moment) -> None:
        state = self._state
        if state["last_ms"] is None:
            self._first(moment)
        gap = False
        if moment.sightings is not None:
            gap = self._cover(moment)
        if gap:
            self._recorder.end_lives(list(self._book.lives.values()), "gap", moment.t_ms)
        if moment.is_cut:
            self._recorder.end_lives(list(self._book.lives.values()), "cut", moment.t_ms)
            self._recorder.event(moment, "cut", detail=f"shot {moment.shot + 1}")
        self._turn_chunk(moment, gap)
        for object_id, label in moment.names.items():
            self._recorder.rename(object_id, label, moment)
        for object_id in moment.removed:
            self._recorder.forget_brief(object_id)
            if life := self._book.lives.get(object_id):
                self._recorder.end_lives([life], "removed", moment.t_ms)
        if moment.sightings is not None:
            self._recorder.record(moment, policies.bridge_ms(state["period_ms"], self.config.bridge_s))
        self._note_camera(moment)
        state["last_ms"], state["last_frame"] = moment.t_ms, moment.frame_index
        state["chunk"]["to_ms"], state["chunk"]["to_frame"] = moment.t_ms, moment.frame_index
        if moment.t_ms - state["commit_ms"] >= round(1000 * self.config.commit_s):
            self._commit(moment.t_ms)

    def _first(self, moment: Moment) -> None:
        height, width = moment.size
        self._store.insert("stream", name=self._stream[0], source=self._stream[1], width=width, height=height)
        self._store.set_meta("version", "1")
        self._store.set_meta("text_embeddings", self._text_note)
        self._state["commit_ms"] = moment.t_ms
        self._state["windows"] = [moment.t_ms // size * size if size else 0 for size in LEVEL_MS]

    def _cover(self, moment: Moment) -> bool:
        """Extend the covered time to this frame; True where the time since the last one is a gap."""
        state = self._state
        row = None
        if state["coverage_id"] is not None:
            row = self._store.one("SELECT * FROM coverage WHERE id = ?", state["coverage_id"])
        if row is not None:
            elapsed = moment.t_ms - row["to_ms"]
            if not policies.is_gap(elapsed, state["period_ms"], self.config.gap_s):
                state["period_ms"] = policies.update_period(state["period_ms"], elapsed)
                frames = row["frames"] + 1
                self._store.update("coverage", row["id"], to_ms=moment.t_ms, to_frame=moment.frame_index, frames=frames)
                return False
            why = f"no frame for {elapsed / 1000:.1f} s"
            self._insert_coverage(row["to_ms"], moment.t_ms, row["to_frame"], moment.frame_index, 0, "gap", why)
            self._recorder.event(moment, "gap", detail=why)
        first = self._insert_coverage(
            moment.t_ms, moment.t_ms, moment.frame_index, moment.frame_index, 1, "processed", ""
        )
        state["coverage_id"] = first
        return row is not None

    def _insert_coverage(self, a: int, b: int, first: int, last: int, frames: int, status: str, why: str) -> int:
        return self._store.insert(
            "coverage",
            from_ms=a,
            to_ms=b,
            from_frame=first,
            to_frame=last,
            frames=frames,
            status=status,
            why=why,
        )

    def _turn_chunk(self, moment: Moment, gap: bool) -> None:
        chunk = self._state["chunk"]
        if chunk is not None:
            length = moment.t_ms - chunk["from_ms"]
            if gap:
                self._close_chunk("gap")
            elif length >= round(1000 * self.config.chunk_s):
                self._close_chunk(f"{self.config.chunk_s:g} s are full")
            elif moment.is_cut and length >= round(1000 * self.config.min_chunk_s):
                self._close_chunk("cut")
        if self._state["chunk"] is None:
            self._state["chunk"] = {
                "from_ms": moment.t_ms,
                "from_frame": moment.frame_index,
                "to_ms": moment.t_ms,
                "to_frame": moment.frame_index,
                "shot": moment.shot,
            }
            self._recorder.keep_picture(moment, "first of a shot" if moment.is_cut else "first of a summary")
        self._roll_up(moment.t_ms)

    def _close_chunk(self, why: str) -> None:
        chunk = self._state["chunk"]
        if chunk is None:
            return
        self._recorder.flush()
        span, frames = (chunk["from_ms"], chunk["to_ms"]), (chunk["from_frame"], chunk["to_frame"])
        row = chunks.add_chunk(self._store, self._encoder, span, frames, chunk["shot"], why)
        self._tell("write", f"summary {row}", f"closed: {why}")
        self._state["chunk"] = None

    def _roll_up(self, now_ms: int) -> None:
        windows = self._state["windows"]
        for level in range(1, len(LEVEL_MS)):
            if now_ms < windows[level] + LEVEL_MS[level]:
                break
            row = chunks.roll_up(self._store, self._encoder, level, windows[level])
            if row is not None:
                self._tell("merge", f"summary {row}", f"level {level} from the level below")
            windows[level] = now_ms // LEVEL_MS[level] * LEVEL_MS[level]

    def _note_camera(self, moment: Moment) -> None:
        if moment.camera is None or moment.camera == self._state["camera"]:
            return
        if self._book.last_sample_ms != moment.t_ms:
            return  # at the pace of the notes, so that a flickering pose does not flood the events
        if self._state["camera"] is not None:
            self._recorder.event(moment, "camera", detail=moment.camera)
        self._state["camera"] = moment.camera

    def _commit(self, now_ms: int) -> None:
        self._recorder.flush()
        reserve = int(self.config.budget_bytes * policies.JOURNAL_SHARE)
        budget.enforce(
            self._store,
            self.config.budget_bytes - reserve,
            now_ms,
            lambda entry, reason: self._tell("evict", entry, reason),
        )
        for frame in journal.limit(self._store.db, self.directory, reserve):
            self._tell("evict", f"snapshot of frame {frame}", "the journal of changes reached its limit")
        self._store.commit()
        self._state["commit_ms"] = now_ms

    def _tell(self, action: MemoryAction, entry: str, reason: str, frame: int | None = None) -> None:
        index = self._state["last_frame"] if frame is None else frame
        self._events.append(MemoryEvent(self.name, action, index, entry, reason, self._store.total_bytes()))
