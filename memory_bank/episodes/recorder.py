"""From lives to rows: writes what the book of lives says into the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from memory_bank.episodes import chunks
from memory_bank.episodes.moment import Moment
from memory_bank.episodes.open_spans import Life, LifeBook
from memory_bank.episodes.policies import ending_of, region_of, touched_border
from memory_bank.episodes.store import Store

_EVENT_OF = {"left": "leave", "occluded": "occluded", "unknown": "vanish", "removed": "removed"}


class Recorder:
    """Keeps entities, tracks, spans, observations and events equal to the book of lives.

    Args:
        store: where rows go.
        book: the appearances that go on.
        tell: reports a decision: action, entry, reason, frame.
    """

    def __init__(self, store: Store, book: LifeBook, tell: Callable[..., None]) -> None:
        self._store, self._book, self._tell = store, book, tell
        self._shots: dict[int | str, tuple[int, int]] = {}  # open track of each live thing: shot, track id

    def record(self, moment: Moment, bridge_ms: float) -> None:
        """Take the sightings of a frame: begin, extend and end appearances."""
        due = self._book.sample_due(moment.t_ms)
        for life in self._book.see(moment):
            self._begin(life, moment)
        ended = self._book.overdue(moment.t_ms, bridge_ms)
        if ended:
            self.end_lives(ended, None, moment.t_ms)
        if due:
            self._write_notes(moment)
            self._book.drop_pictures()

    def end_lives(self, lives: list[Life], ended: str | None, now_ms: int) -> None:
        """Close appearances; `ended` None takes the reason from the last thing known of each."""
        for life in lives:
            if life.span_id is None:
                if ended not in ("cut", "removed", "end"):
                    self._book.keep_brief(life, ended or ending_of(life.state, life.last.box))
                what = life.class_name or "object"
                self._tell(
                    "reject",
                    f"{what} {life.key}",
                    f"seen {life.num_seen} times in {life.last_ms - life.first_ms} ms: too brief to state",
                    life.last_frame,
                )
                continue
            self._close(life, ended or ending_of(life.state, life.last.box), now_ms)
        if ended == "cut":
            self._book.brief.clear()
        self._book.end(lives)

    def forget_brief(self, object_id: int) -> None:
        """Let go of an appearance of an object that was not believed yet."""
        self._book.brief.pop(object_id, None)

    def believe_brief_stream(self, book: LifeBook) -> None:
        """At the end of a stream that is itself too brief (one picture): state what it shows."""
        row = self._store.one("SELECT min(from_ms) AS a, max(to_ms) AS b FROM coverage")
        if row is None or row["a"] is None or row["b"] - row["a"] >= 1000 * book.config.min_life_s:
            return
        for life in book.lives.values():
            if life.span_id is None:
                self._begin_rows(life, life.last_ms)

    def flush(self) -> None:
        """Bring the rows of the open appearances up to date."""
        for life in self._book.lives.values():
            if life.span_id is None:
                continue
            self._store.update("span", life.span_id, **_extent(life), to_region=region_of(life.last.box))
            self._store.update("track", life.track_id or 0, to_ms=life.last_ms, to_frame=life.last_frame)
            self._update_entity(life, life.last_ms, life.last_frame)

    def rename(self, object_id: int, label: str, moment: Moment) -> None:
        """Give an object that is known already the user's name, whether it is seen now or not."""
        if life := self._book.lives.get(object_id):
            life.label = label
        entity = self._store.one("SELECT * FROM entity WHERE object_id = ?", object_id)
        if entity is not None and entity["label"] != label:
            self._store.update("entity", entity["id"], label=label)
            self._event(moment.t_ms, moment.t_ms, moment.frame_index, "labelled", entity["id"], None, label)

    def event(self, moment: Moment, kind: str, detail: str = "") -> None:
        """Store an event that is not about one thing."""
        self._event(moment.t_ms, moment.t_ms, moment.frame_index, kind, None, None, detail)

    def keep_picture(self, moment: Moment, why: str) -> None:
        """Keep the frame as a key frame."""
        self._save(moment.frame_index, moment.t_ms, moment.shot, moment.picture(), why)

    def erase(self, object_id: int, encoder: chunks.Encoder | None) -> int:
        """Delete everything about an object and tell the summaries anew; returns the number of rows."""
        self.forget_brief(object_id)
        if life := self._book.lives.get(object_id):
            self._book.end([life])
        self._shots.pop(object_id, None)
        entity = self._store.one("SELECT id FROM entity WHERE object_id = ?", object_id)
        if entity is None:
            return 0
        spans = self._store.rows("SELECT * FROM span WHERE entity_id = ?", entity["id"])
        gone = 0
        for table in ("observation", "event", "track", "span"):
            rows = self._store.rows(f"SELECT id FROM {table} WHERE entity_id = ?", entity["id"])
            gone += self._store.delete(table, [row["id"] for row in rows])
        gone += self._store.delete("entity", [entity["id"]])
        pictures = [row[name] for row in spans for name in ("first_keyframe", "last_keyframe")]
        gone += self._store.delete("keyframe", self._uncited([frame for frame in pictures if frame is not None]))
        if spans:
            begin, end = min(row["from_ms"] for row in spans), max(row["to_ms"] for row in spans)
            chunks.rewrite(self._store, encoder, begin, end)
        return gone

    def state_dict(self) -> dict[str, Any]:
        return {"shots": dict(self._shots)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._shots = {key: tuple(value) for key, value in state["shots"].items()}

    def _uncited(self, frames: list[int]) -> list[int]:
        cited = {
            row[0]
            for row in self._store.rows(
                "SELECT first_keyframe FROM span UNION SELECT last_keyframe FROM span "
                "UNION SELECT keyframe_id FROM chunk"
            )
        }
        return sorted(set(frames) - cited)

    def _begin(self, life: Life, moment: Moment) -> None:
        if earlier := self._book.take_brief(life):  # its being the same object is known from now on
            self._begin_rows(earlier, moment.t_ms)
            self._close(earlier, earlier.ended or "unknown", moment.t_ms)
        self._begin_rows(life, moment.t_ms)

    def _begin_rows(self, life: Life, known_ms: int) -> None:
        earlier = self._find_entity(life)
        life.entity_id = earlier["id"] if earlier else self._add_entity(life, known_ms)
        if earlier:
            _take_over(life, earlier)
        life.track_id = self._track_of(life)
        self._keep(life.first_picture, life.first_ms, life.shot, f"first of {_name(life)}")
        life.span_id = self._store.insert(
            "span",
            entity_id=life.entity_id,
            track_id=life.track_id,
            shot=life.shot,
            from_ms=life.first_ms,
            from_frame=life.first_frame,
            known_ms=known_ms,
            first_keyframe=life.first_picture,
            from_region=region_of(life.first_box),
            **_extent(life),
        )
        kind = "return" if earlier else "appear"
        border = touched_border(life.first_box)
        self._event(
            life.first_ms,
            known_ms,
            life.first_frame,
            kind,
            life.entity_id,
            life.span_id,
            border or region_of(life.first_box),
        )
        self._update_entity(life, known_ms, life.last_frame)
        reason = f"{kind}: seen {life.num_seen} times in {life.last_ms - life.first_ms} ms"
        self._tell("write", _name(life), reason, life.first_frame)
        self._write_waiting(life)

    def _close(self, life: Life, ended: str, now_ms: int) -> None:
        if life.last_note_ms != life.last_ms:
            life.waiting.append(life.last)
        self._write_waiting(life)
        self._update_entity(life, life.last_ms, life.last_frame)
        self._keep(life.last_picture, self._time_of(life.last_picture, life), life.shot, f"last of {_name(life)}")
        region = region_of(life.last.box)
        self._store.update(
            "span",
            life.span_id or 0,
            **_extent(life),
            closed_ms=now_ms,
            ended=ended,
            last_keyframe=life.last_picture,
            to_region=region,
        )
        self._store.update("track", life.track_id or 0, to_ms=life.last_ms, to_frame=life.last_frame)
        if kind := _EVENT_OF.get(ended):
            place = touched_border(life.last.box) or region
            self._event(life.last_ms, now_ms, life.last_frame, kind, life.entity_id, life.span_id, place)
        self._tell("write", _name(life), f"appearance closed: {ended}", life.last_frame)

    def _time_of(self, frame: int, life: Life) -> int:
        row = self._store.one("SELECT t_ms FROM observation WHERE span_id = ? AND frame = ?", life.span_id, frame)
        return row["t_ms"] if row else life.last_ms

    def _find_entity(self, life: Life) -> Any:
        if life.object_id is not None:
            return self._store.one("SELECT * FROM entity WHERE object_id = ?", life.object_id)
        return self._store.one("SELECT * FROM entity WHERE object_id IS NULL AND class_name = ?", life.class_name)

    def _add_entity(self, life: Life, known_ms: int) -> int:
        # class, label and colour come with the first update, which also writes when each became known
        return self._store.insert(
            "entity",
            object_id=life.object_id,
            class_name=life.class_name if life.object_id is None else "",
            votes="{}",
            colours="{}",
            confidence=0.0,
            first_ms=life.first_ms,
            known_ms=known_ms,
        )

    def _track_of(self, life: Life) -> int:
        """The track of this shot: one for each thing and shot."""
        shot, track = self._shots.get(life.key, (-1, 0))
        if shot == life.shot and self._store.one("SELECT 1 FROM track WHERE id = ?", track):
            return track
        track = self._store.insert(
            "track",
            entity_id=life.entity_id,
            object_id=life.object_id,
            shot=life.shot,
            from_ms=life.first_ms,
            to_ms=life.last_ms,
            from_frame=life.first_frame,
            to_frame=life.last_frame,
        )
        self._shots = {key: value for key, value in self._shots.items() if value[0] == life.shot}
        self._shots[life.key] = (life.shot, track)
        return track

    def _update_entity(self, life: Life, known_ms: int, frame: int) -> None:
        entity = self._store.one("SELECT * FROM entity WHERE id = ?", life.entity_id)
        total = sum(life.votes.values())
        class_name = max(life.votes, key=lambda name: (life.votes[name], name)) if life.votes else ""
        class_name = class_name or entity["class_name"] or ""
        colour = max(life.colours, key=lambda name: (life.colours[name], name)) if life.colours else None
        values = {
            "class_name": class_name,
            "label": life.label,
            "colour": colour,
            "votes": json.dumps({name: round(vote, 3) for name, vote in sorted(life.votes.items())}),
            "colours": json.dumps(dict(sorted(life.colours.items()))),
            "confidence": round(life.votes[class_name] / total, 4) if total and class_name in life.votes else 1.0,
        }
        changed = {name: value for name, value in values.items() if entity[name] != value}
        if changed:
            self._store.update("entity", entity["id"], **changed)
        for column, kind in (("class_name", "named"), ("label", "labelled")):
            if changed.get(column):
                self._event(known_ms, known_ms, frame, kind, entity["id"], None, changed[column])

    def _write_notes(self, moment: Moment) -> None:
        for life in self._book.lives.values():
            if life.span_id is None:
                continue
            self._write_waiting(life)
            if life.object_id is None and life.last.count != life.count_told:
                if life.count_told:
                    detail = f"{life.count_told} to {life.last.count}"
                    self._event(
                        life.last_ms,
                        life.last_ms,
                        life.last_frame,
                        "count",
                        life.entity_id,
                        life.span_id,
                        detail,
                    )
                life.count_told = life.last.count

    def _write_waiting(self, life: Life) -> None:
        for note in life.waiting:
            x1, y1, x2, y2 = (round(float(side), 4) for side in note.box)
            self._store.insert(
                "observation",
                span_id=life.span_id,
                entity_id=life.entity_id,
                t_ms=note.t_ms,
                frame=note.frame,
                x1=x1,
                y1=y1,
                x2=x2,
                y2=y2,
                area=round(float(note.area), 6),
                region=region_of(note.box),
                score=round(float(note.score), 4),
                colour=note.colour,
                count=note.count,
            )
        life.waiting.clear()

    def _event(
        self,
        t_ms: int,
        known_ms: int,
        frame: int,
        kind: str,
        entity_id: int | None,
        span_id: int | None,
        detail: str,
    ) -> None:
        self._store.insert(
            "event",
            t_ms=t_ms,
            known_ms=known_ms,
            frame=frame,
            kind=kind,
            entity_id=entity_id,
            span_id=span_id,
            detail=detail,
        )

    def _keep(self, frame: int, t_ms: int, shot: int, why: str) -> None:
        if frame in self._book.pictures:
            self._save(frame, t_ms, shot, self._book.pictures[frame], why)

    def _save(self, frame: int, t_ms: int, shot: int, jpeg: bytes, why: str) -> None:
        if self._store.save_picture(frame, t_ms, shot, jpeg, why):
            self._tell("write", f"key frame {frame}", why, frame)


def _extent(life: Life) -> dict[str, Any]:
    return {
        "to_ms": life.last_ms,
        "to_frame": life.last_frame,
        "score": round(life.score, 4),
        "count": life.max_count,
    }


def _name(life: Life) -> str:
    if life.object_id is None:
        return life.class_name
    return f"object {life.object_id}" + (f" ({life.class_name})" if life.class_name else "")


def _take_over(life: Life, entity: Any) -> None:
    """Let the votes of earlier appearances count on, also for a thing that came back."""
    for votes, column in ((life.votes, "votes"), (life.colours, "colours")):
        for name, vote in json.loads(entity[column]).items():
            votes[name] = votes.get(name, 0.0) + vote
    life.label = life.label or entity["label"]
