"""Reading the long memory: typed facts, as they were known at a time, while the writer goes on.

Nothing that happened or became known after `as_of_ms` is seen: spans are cut there, endings, names and
summaries that came later are hidden.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from memory_bank.episodes import journal, schema
from memory_bank.episodes.facts import CoverageSpan, Observation, StreamEvent, Summary, Thing, VisibleSpan
from memory_bank.episodes.opening import has_log, open_reader
from memory_bank.episodes.search import rank_summaries
from streamvos.errors import IntegrityError

FOREVER_MS = 2**62


class EpisodeReader:
    """One consistent view of a directory's memory; close it soon, or use it in a `with`.

    Args:
        directory: where `memory.sqlite` lies.
        as_of_ms: the time of the stream to know things as of; None for all that is known.

    Attributes:
        missing_after_ms: the end of what is known, where the memory was never closed and its writer's log is not there:
            what was seen later is missing. None where nothing is, or nothing that was known at `as_of_ms`.

    Raises:
        InputError: there is no memory there. IntegrityError: the file is damaged, also at the end of a `with` in which
            a read failed.
    """

    def __init__(self, directory: Path, as_of_ms: int | None = None) -> None:
        self.directory = directory
        self.as_of_ms = FOREVER_MS if as_of_ms is None else as_of_ms
        self._dated = as_of_ms is not None
        self._db = open_reader(directory)
        try:
            self._db.execute("BEGIN")  # all reads see the same commit
            self.missing_after_ms = self._end_of_unclosed()
        except schema.UNREADABLE as error:
            self.close()
            raise _damaged(directory, error) from None

    def __enter__(self) -> EpisodeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None and (isinstance(error, schema.UNREADABLE) or schema.holds_foreign_values(self._db)):
                raise _damaged(self.directory, error) from error
        finally:
            self.close()

    def close(self) -> None:
        self._db.close()

    def meta(self, key: str) -> str | None:
        """A note about the whole memory, such as "text_embeddings"; None where there is none."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row["value"])

    def things(self) -> list[Thing]:
        """All things known, in the order in which they first appeared."""
        rows = self._rows("SELECT * FROM entity WHERE known_ms <= ? ORDER BY first_ms, id", self.as_of_ms)
        named = self._as_named("named") if self._dated else {}
        labelled = self._as_named("labelled") if self._dated else {}
        colours = self._as_coloured() if self._dated else {}
        found = []
        for row in rows:
            class_name, label, colour = row["class_name"] or "", row["label"], row["colour"]
            if self._dated:
                label, colour = labelled.get(row["id"]), colours.get(row["id"])
                class_name = class_name if row["object_id"] is None else named.get(row["id"], "")
            found.append(
                Thing(row["id"], row["object_id"], class_name, label, colour, row["confidence"], row["first_ms"])
            )
        return found

    def spans(
        self, entity_ids: Sequence[int] | None = None, from_ms: int = -FOREVER_MS, to_ms: int = FOREVER_MS
    ) -> list[VisibleSpan]:
        """Spans that touch [from_ms, to_ms], in order of their start; of all things where ids are None."""
        wanted = "" if entity_ids is None else "AND entity_id IN (SELECT value FROM json_each(?)) "
        rows = self._rows(
            f"SELECT * FROM span WHERE known_ms <= ? AND from_ms <= ? AND to_ms >= ? {wanted}ORDER BY from_ms, id",
            self.as_of_ms,
            min(to_ms, self.as_of_ms),
            from_ms,
            *([] if entity_ids is None else [json.dumps([int(entity_id) for entity_id in entity_ids])]),
        )
        return [self._dated_span(row) for row in rows]

    def observations(self, entity_ids: Sequence[int], from_ms: int, to_ms: int) -> list[Observation]:
        """Where things were in [from_ms, to_ms], in order of time."""
        rows = self._rows(
            "SELECT o.*, s.from_ms AS span_from, s.to_ms AS span_to FROM observation o JOIN span s ON s.id = o.span_id "
            "WHERE s.entity_id IN (SELECT value FROM json_each(?)) AND s.known_ms <= ? AND o.t_ms BETWEEN ? AND ? "
            "ORDER BY o.t_ms, o.id",
            json.dumps([int(entity_id) for entity_id in entity_ids]),
            self.as_of_ms,
            from_ms,
            min(to_ms, self.as_of_ms),
        )
        return [
            Observation(
                row["span_from"],
                row["span_to"],
                row["entity_id"],
                row["t_ms"],
                row["frame"],
                (row["x1"], row["y1"], row["x2"], row["y2"]),
                row["region"],
                row["score"],
                row["colour"],
                row["count"],
            )
            for row in rows
        ]

    def events(
        self, kinds: Sequence[str] | None = None, from_ms: int = -FOREVER_MS, to_ms: int = FOREVER_MS
    ) -> list[StreamEvent]:
        """Events in [from_ms, to_ms], in order of time; of all kinds where `kinds` is None."""
        rows = self._rows(
            "SELECT * FROM event WHERE t_ms BETWEEN ? AND ? AND known_ms <= ? ORDER BY t_ms, id",
            from_ms,
            min(to_ms, self.as_of_ms),
            self.as_of_ms,
        )
        return [
            StreamEvent(row["t_ms"], row["frame"], row["kind"], row["entity_id"], row["detail"] or "")
            for row in rows
            if kinds is None or row["kind"] in kinds
        ]

    def coverage(self) -> list[CoverageSpan]:
        """Which times were looked at and which were not, in order."""
        rows = self._rows("SELECT * FROM coverage WHERE from_ms <= ? ORDER BY from_ms, id", self.as_of_ms)
        names = ("from_ms", "to_ms", "from_frame", "to_frame", "status", "why")
        found = [
            CoverageSpan(*(row[name] for name in names))
            for row in rows
            # that it became a gap was known at its end only
            if row["status"] != "gap" or row["to_ms"] <= self.as_of_ms
        ]
        found = [replace(span, to_ms=min(span.to_ms, self.as_of_ms)) for span in found]
        forgotten = self.meta("forgotten_until_ms")
        if forgotten is None:
            return found
        until = int(forgotten)
        kept = [replace(span, from_ms=max(span.from_ms, until)) for span in found if span.to_ms > until]
        return [CoverageSpan(0, until, 0, 0, "gap", "forgotten, the budget of bytes was reached"), *kept]

    def search(self, words: str, vector: np.ndarray | None, limit: int = 5) -> list[Summary]:
        """Rank the finest summaries by words (FTS5) and, where a vector is given, by meaning.

        Args:
            words: the user's text; only its words count, operators have no meaning.
            vector: (D,) float32 unit vector of the text, or None.
            limit: most that are returned.
        """
        scores = rank_summaries(self._db, words, vector, self.as_of_ms)
        found = []
        for row_id in sorted(scores, key=lambda row_id: (-scores[row_id], row_id)):
            row = self._db.execute("SELECT * FROM chunk WHERE id = ?", (row_id,)).fetchone()
            if row is not None and row["to_ms"] <= self.as_of_ms:  # the index of a damaged store knows more rows
                found.append(_summary(row, scores[row_id]))
        return sorted(found, key=lambda summary: summary.level)[:limit]

    def summaries(self, level: int = 0) -> list[Summary]:
        """The summaries of a level that were closed, in order of time."""
        rows = self._rows("SELECT * FROM chunk WHERE level = ? AND to_ms <= ? ORDER BY from_ms", level, self.as_of_ms)
        return [_summary(row) for row in rows]

    def picture(self, t_ms: int, from_ms: int, to_ms: int) -> Path | None:
        """The key frame nearest to a time within [from_ms, to_ms]; None where none is kept."""
        row = self._db.execute(
            "SELECT id FROM keyframe WHERE t_ms BETWEEN ? AND ? ORDER BY abs(t_ms - ?), id LIMIT 1",
            (from_ms, min(to_ms, self.as_of_ms), t_ms),
        ).fetchone()
        if row is None:
            return None
        path = journal.picture_path(self.directory, row["id"])
        return path if path.is_file() else None

    def _end_of_unclosed(self) -> int | None:
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'writer' AND sql LIKE '%is_open%'"):
            return None  # of version 1, which does not tell
        if not self._rows("SELECT 1 FROM writer WHERE is_open = 1") or has_log(self.directory):
            return None
        end_ms = self._rows("SELECT coalesce(max(to_ms), 0) FROM coverage WHERE typeof(to_ms) = 'integer'")[0][0]
        return end_ms if end_ms < self.as_of_ms else None

    def _rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def _dated_span(self, row: sqlite3.Row) -> VisibleSpan:
        to_ms, to_frame, score, count = row["to_ms"], row["to_frame"], row["score"], row["count"]
        region = row["to_region"]
        ended = row["ended"]
        if row["closed_ms"] is not None and row["closed_ms"] > self.as_of_ms:
            ended = None
        if to_ms > self.as_of_ms:
            to_ms, last = self.as_of_ms, self._known_notes(row["id"])
            to_frame = last["frame"] if last["frame"] is not None else row["from_frame"]
            region = last["region"] or row["from_region"]
            score, count = last["score"] or score, last["count"] or 1
        return VisibleSpan(
            row["id"],
            row["entity_id"],
            row["shot"],
            row["from_ms"],
            to_ms,
            row["from_frame"],
            to_frame,
            ended,
            score,
            count,
            row["from_region"],
            region,
        )

    def _known_notes(self, span_id: int) -> sqlite3.Row:
        # SQLite takes `region` and `frame` from the row that has the largest t_ms
        return self._db.execute(
            "SELECT max(t_ms), frame, region, (SELECT avg(score) FROM observation WHERE span_id = :span AND "
            "t_ms <= :at) AS score, (SELECT max(count) FROM observation WHERE span_id = :span AND t_ms <= :at) "
            "AS count FROM observation WHERE span_id = :span AND t_ms <= :at",
            {"span": span_id, "at": self.as_of_ms},
        ).fetchone()

    def _as_named(self, kind: str) -> dict[int, str]:
        rows = self._rows(
            "SELECT entity_id, detail FROM event WHERE kind = ? AND known_ms <= ? ORDER BY known_ms, id",
            kind,
            self.as_of_ms,
        )
        return {row["entity_id"]: row["detail"] for row in rows}  # the latest wins

    def _as_coloured(self) -> dict[int, str]:
        rows = self._rows(
            "SELECT entity_id, colour, count(*) AS votes FROM observation WHERE colour IS NOT NULL AND t_ms <= ? "
            "GROUP BY entity_id, colour ORDER BY entity_id, votes, colour",
            self.as_of_ms,
        )
        return {row["entity_id"]: row["colour"] for row in rows}


def _summary(row: sqlite3.Row, score: float = 0.0) -> Summary:
    return Summary(row["level"], row["from_ms"], row["to_ms"], row["from_frame"], row["shot"], row["text"] or "", score)


def _damaged(directory: Path, error: BaseException) -> IntegrityError:
    reason = " ".join(str(error).split())[:200]
    return IntegrityError(f"the memory in {directory} is damaged ({reason}); run again with overwrite=True")
