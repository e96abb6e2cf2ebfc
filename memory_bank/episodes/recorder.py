"""From sightings to rows: keeps things, tracks, spans, observations and events equal to the open spans."""

from __future__ import annotations

from collections.abc import Sequence

from memory_bank.episodes import entities, rows
from memory_bank.episodes.moment import Moment, Tell
from memory_bank.episodes.open_spans import OpenSpan, OpenSpans
from memory_bank.episodes.policy import ending_of, region_of, touched_border
from memory_bank.episodes.store import Store
from streamvos.answers import clock, plural

_EVENT_OF = {"left": "leave", "occluded": "occluded", "unknown": "vanish", "removed": "removed"}
_ENDINGS = {
    "left": "it left the picture",
    "occluded": "it was hidden",
    "unknown": "it was lost from view",
    "removed": "the user removed it",
    "cut": "the shot ended",
    "gap": "the frames stopped",
    "end": "the video ended",
}


class SpanRecorder:
    """Writes spans into the store as they are confirmed, go on and end.

    Args:
        store: where rows go.
        spans: those that are open.
        tell: reports a decision.
    """

    def __init__(self, store: Store, spans: OpenSpans, tell: Tell) -> None:
        self._store, self._spans, self._tell = store, spans, tell

    def record(self, moment: Moment, bridge_ms: float) -> None:
        """Take the sightings of a frame: begin, extend and end spans."""
        due = self._spans.sample_due(moment.t_ms)
        for span in self._spans.see(moment):
            self._confirm(span, moment)
        ended = self._spans.overdue(moment.t_ms, bridge_ms)
        if ended:
            self.end(ended, None, moment.t_ms)
        if due:
            self._write_observations()
            self._spans.drop_pictures()

    def end_all(self, ended: str, now_ms: int) -> None:
        """Close all open spans for one reason."""
        self.end(list(self._spans.by_key.values()), ended, now_ms)

    def end(self, spans: Sequence[OpenSpan], ended: str | None, now_ms: int) -> None:
        """Close spans; `ended` None takes the reason from the last thing known of each."""
        for span in spans:
            why = ended or ending_of(span.state, span.last.box)
            if span.span_id is not None:
                self._close(span, why, now_ms)
                continue
            if ended not in ("cut", "removed", "end"):
                self._spans.keep_brief(span, why)
            needed = f"2 frames over {self._spans.config.min_life_s:g} s are needed"
            self._tell("reject", span.name, f"too brief to state: {_seen(span)}, {needed}; {_ENDINGS[why]}")
        if ended == "cut":
            self._spans.brief.clear()
        self._spans.end(spans)

    def take_out(self, object_id: int, now_ms: int) -> None:
        """End what the user no longer wants followed; what was seen of it stays."""
        self._spans.brief.pop(object_id, None)
        if span := self._spans.by_key.get(object_id):
            self.end([span], "removed", now_ms)

    def confirm_brief_stream(self) -> None:
        """At the end of a stream that is itself too brief (one picture): state what it shows."""
        row = self._store.one("SELECT min(from_ms) AS a, max(to_ms) AS b FROM coverage")
        if row is None or row["a"] is None or row["b"] - row["a"] >= 1000 * self._spans.config.min_life_s:
            return
        for span in self._spans.by_key.values():
            if span.span_id is None:
                self._begin(span, span.last_ms, "the whole video is as brief")

    def flush(self) -> None:
        """Bring the rows of the open spans up to date."""
        for span in self._spans.by_key.values():
            if span.span_id is not None:
                rows.update_span(self._store, span)
                entities.update_entity(self._store, span, span.last_ms, span.last_frame)

    def rename(self, object_id: int, label: str, moment: Moment) -> None:
        """Give an object that is known already the user's name, whether it is seen now or not."""
        if span := self._spans.by_key.get(object_id):
            span.label = label
        if entities.rename_entity(self._store, object_id, label, moment):
            self._tell("write", f"object {object_id}", f'the user named it "{label}"')

    def keep_picture(self, frame: int, t_ms: int, shot: int, jpeg: bytes, which: str, of: str) -> None:
        """Keep a key frame: the "first" or "last" picture of something."""
        if self._store.save_picture(frame, t_ms, shot, jpeg, f"{which} of {of}"):
            reason = f"{which} picture of {of}, at {clock(t_ms)}, {len(jpeg) / 1024:.1f} KiB"
            self._tell("write", f"key frame {frame}", reason)

    def _confirm(self, span: OpenSpan, moment: Moment) -> None:
        if earlier := self._spans.take_brief(span):  # its being the same object is known from now on
            self._begin(earlier, moment.t_ms, "confirmed by being seen again in the same shot")
            self._close(earlier, earlier.ended or "unknown", moment.t_ms)
        least = f"at least {self._spans.config.min_life_s:g} s are needed"
        self._begin(span, moment.t_ms, "the user pointed at it" if span.prompted else least)

    def _begin(self, span: OpenSpan, known_ms: int, why: str) -> None:
        entity = entities.find_entity(self._store, span)
        span.entity_id = entity["id"] if entity else entities.add_entity(self._store, span, known_ms)
        if entity:
            entities.take_over(span, entity)
        span.track_id = rows.track_of(self._store, span)
        self._keep_cited(span.first_picture, span.first_ms, span, "first")
        span.span_id = rows.add_span(self._store, span, known_ms)
        kind = "return" if entity else "appear"
        border = touched_border(span.first_box)
        self._event(span, kind, span.first_ms, span.first_frame, known_ms, border or region_of(span.first_box))
        entities.update_entity(self._store, span, known_ms, span.last_frame)
        did = "came back" if entity else "appeared"
        reason = f"{did} at {clock(span.first_ms)} (frame {span.first_frame}): {_seen(span)}, {why}"
        self._tell("write", span.name, reason)
        rows.add_waiting_observations(self._store, span)

    def _close(self, span: OpenSpan, ended: str, now_ms: int) -> None:
        if span.last_observation_ms != span.last_ms:
            span.waiting.append(span.last)
        rows.add_waiting_observations(self._store, span)
        entities.update_entity(self._store, span, span.last_ms, span.last_frame)
        self._keep_cited(span.last_picture, self._time_of(span.last_picture, span), span, "last")
        rows.update_span(self._store, span, closed_ms=now_ms, ended=ended, last_keyframe=span.last_picture)
        if kind := _EVENT_OF.get(ended):
            place = touched_border(span.last.box) or region_of(span.last.box)
            self._event(span, kind, span.last_ms, span.last_frame, now_ms, place)
        seen = f"from {clock(span.first_ms)} to {clock(span.last_ms)} (frames {span.first_frame} to {span.last_frame})"
        self._tell("write", span.name, f"was visible {seen}; then {_ENDINGS[ended]}")

    def _time_of(self, frame: int, span: OpenSpan) -> int:
        row = self._store.one("SELECT t_ms FROM observation WHERE span_id = ? AND frame = ?", span.span_id, frame)
        return row["t_ms"] if row else span.last_ms

    def _write_observations(self) -> None:
        for span in self._spans.by_key.values():
            if span.span_id is None:
                continue
            rows.add_waiting_observations(self._store, span)
            if span.object_id is None and span.last.count != span.count_told:
                if span.count_told:
                    detail = f"{span.count_told} to {span.last.count}"
                    self._event(span, "count", span.last_ms, span.last_frame, span.last_ms, detail)
                span.count_told = span.last.count

    def _event(self, span: OpenSpan, kind: str, t_ms: int, frame: int, known_ms: int, detail: str) -> None:
        rows.add_event(self._store, kind, t_ms, frame, detail, known_ms, span.entity_id, span.span_id)

    def _keep_cited(self, frame: int, t_ms: int, span: OpenSpan, which: str) -> None:
        if frame in self._spans.pictures:
            self.keep_picture(frame, t_ms, span.shot, self._spans.pictures[frame], which, span.name)


def _seen(span: OpenSpan) -> str:
    return f"seen in {plural('frame', span.num_seen)} over {(span.last_ms - span.first_ms) / 1000:.2f} s"
