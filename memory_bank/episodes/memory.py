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

from memory_bank.episodes import journal, policy
from memory_bank.episodes.erase import erase_object
from memory_bank.episodes.moment import Moment
from memory_bank.episodes.policy import EpisodeConfig
from memory_bank.episodes.reader import EpisodeReader
from memory_bank.episodes.schema import VERSION
from memory_bank.episodes.store import Store, clear_errors
from memory_bank.episodes.summaries import Encoder
from memory_bank.episodes.writer import EpisodeWriter
from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError, OutputError
from streamvos.records import MemoryAction, MemoryEvent


class EpisodeMemory:
    """Writes the long memory of one stream into a directory.

    Args:
        directory: where `memory.sqlite` and `keyframes/` lie; made where absent.
        stream_id: name of the stream.
        source: where it comes from, without secrets.
        config: times.
        budget_bytes: most that tables and pictures take on disk; a larger one keeps detail for longer.
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
        budget_bytes: int = policy.BUDGET_BYTES,
        encoder: Encoder | None = None,
        encoder_absent: str = "switched off",
    ) -> None:
        if budget_bytes < policy.MIN_BUDGET_BYTES:
            raise InputError(
                f"budget_bytes: expected at least {policy.MIN_BUDGET_BYTES} (empty tables take 1 MiB), "
                f"got {budget_bytes}"
            )
        self.config, self.budget_bytes = config or EpisodeConfig(), budget_bytes
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
        self._frame = moment.frame_index
        last = self._writer.last_frame
        if moment.frame_index <= last:
            self._tell("skip", f"frame {moment.frame_index}", f"the frames up to {last} are remembered already")
            return
        with self._all_or_failed():
            if not self._writer.has_begun:
                self._describe_stream(moment)
            self._writer.write(moment)

    def read(self, as_of_ms: int | None = None) -> EpisodeReader:
        """A reader of what is committed, as it was known at `as_of_ms`."""
        return EpisodeReader(self.directory, as_of_ms)

    def remove(self, object_id: int) -> None:
        """Forget everything about an object: its rows, the pictures only it cites, its part in summaries."""
        self._refuse_failed()
        with self._all_or_failed():
            self._writer.forget(object_id)
            num_rows, num_pictures, num_summaries = erase_object(self._store, object_id, self._encoder)
            self._store.commit()
        gone = f"{num_rows} rows and {num_pictures} pictures deleted, {num_summaries} summaries written again"
        self._tell("remove", f"object {object_id}", f"asked to forget it: {gone}")

    def reset(self) -> None:
        """Forget everything, also what an earlier run left in the directory."""
        with clear_errors(self.directory):
            self._store.abandon()
            self._store.clear()
            self._begin_empty()
        self._unclaimed = self._failed = None
        self._tell("reset", "all", "asked to forget everything")

    def stats(self) -> MemoryStats:
        """Rows, and an upper bound of the bytes on disk, journal and pictures included."""
        if self._final_stats is not None:
            return self._final_stats
        usage = self._store.usage()
        taken = self._store.total_bytes() + journal.journal_bytes(self._store.db)
        return MemoryStats(sum(entries for entries, _ in usage.values()), taken, self.budget_bytes)

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        """A snapshot: the open spans, and the mark that takes the store back to now.

        Raises:
            OutputError: as `write`.
        """
        self._refuse_failed()
        with self._all_or_failed():
            self._store.commit()
            epoch = journal.begin_epoch(self._store.db, self.directory, self._writer.last_frame)
        return {
            "epoch": epoch,
            "frame": self._writer.last_frame,
            "stream_id": self._stream[0],
            "writer": self._writer.state_dict(),
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
            journal.rollback(self._store.db, self.directory, state["epoch"], state["frame"])
        self._unclaimed = self._failed = None
        self._begin_empty()
        self._writer.load_state_dict(state["writer"])
        self._frame, self._events = state["frame"], []

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
            self._writer.finish()
            self._final_stats = self.stats()
            self._store.close(is_complete=self._unclaimed is None)

    def note(self, key: str, value: str) -> None:
        """Store a note about the whole memory, such as whether a detector ran."""
        self._refuse_failed()
        with self._all_or_failed():
            self._store.set_meta(key, value)

    def wants_pixels(self, key: int | str, t_ms: int) -> bool:
        """Whether the colour of a thing is wanted in the frame at `t_ms`."""
        return self._writer.wants_pixels(key, t_ms)

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
        self._frame = -1  # at which decisions are made
        self._writer = EpisodeWriter(self._store, self._encoder, self.config, self.budget_bytes, self._tell)

    def _describe_stream(self, moment: Moment) -> None:
        height, width = moment.size
        self._store.insert("stream", name=self._stream[0], source=self._stream[1], width=width, height=height)
        self._store.set_meta("version", str(VERSION))
        self._store.set_meta("text_embeddings", self._text_note)

    def _tell(self, action: MemoryAction, entry: str, reason: str) -> None:
        self._events.append(MemoryEvent(self.name, action, self._frame, entry, reason, self._store.total_bytes()))
