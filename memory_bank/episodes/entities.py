"""Rows of things: which one a span is of, and its class, name and colour by the votes of all its spans."""

from __future__ import annotations

import json
import sqlite3

from memory_bank.episodes.moment import Moment
from memory_bank.episodes.open_spans import OpenSpan
from memory_bank.episodes.rows import add_event
from memory_bank.episodes.store import Store


def find_entity(store: Store, span: OpenSpan) -> sqlite3.Row | None:
    """The thing that a span is of, where it is known already."""
    if span.object_id is not None:
        return store.one("SELECT * FROM entity WHERE object_id = ?", span.object_id)
    return store.one("SELECT * FROM entity WHERE object_id IS NULL AND class_name = ?", span.class_name)


def add_entity(store: Store, span: OpenSpan, known_ms: int) -> int:
    """Store a thing that was never seen before; returns its id."""
    # class, label and colour come with the first update, which also writes when each became known
    return store.insert(
        "entity",
        object_id=span.object_id,
        class_name=span.class_name if span.object_id is None else "",
        votes="{}",
        colours="{}",
        confidence=0.0,
        first_ms=span.first_ms,
        known_ms=known_ms,
    )


def take_over(span: OpenSpan, entity: sqlite3.Row) -> None:
    """Let the votes of earlier spans count on, also for a thing that came back."""
    for votes, column in ((span.votes, "votes"), (span.colours, "colours")):
        for name, vote in json.loads(entity[column]).items():
            votes[name] = votes.get(name, 0.0) + vote
    span.label = span.label or entity["label"]


def update_entity(store: Store, span: OpenSpan, known_ms: int, frame: int) -> None:
    """Bring class, name and colour of the thing up to date; a new class or name leaves an event."""
    entity = store.one("SELECT * FROM entity WHERE id = ?", span.entity_id)
    assert entity is not None
    total = sum(span.votes.values())
    class_name = _most(span.votes) or entity["class_name"] or ""
    values = {
        "class_name": class_name,
        "label": span.label,
        "colour": _most(span.colours),
        "votes": json.dumps({name: round(vote, 3) for name, vote in sorted(span.votes.items())}),
        "colours": json.dumps(dict(sorted(span.colours.items()))),
        "confidence": round(span.votes[class_name] / total, 4) if total and class_name in span.votes else 1.0,
    }
    changed = {name: value for name, value in values.items() if entity[name] != value}
    if changed:
        store.update("entity", entity["id"], **changed)
    for column, kind in (("class_name", "named"), ("label", "labelled")):
        if changed.get(column):
            add_event(store, kind, known_ms, frame, changed[column], entity_id=entity["id"])


def rename_entity(store: Store, object_id: int, label: str, moment: Moment) -> bool:
    """Give an object that is known already the user's name; False where that changes nothing."""
    entity = store.one("SELECT * FROM entity WHERE object_id = ?", object_id)
    if entity is None or entity["label"] == label:
        return False
    store.update("entity", entity["id"], label=label)
    add_event(store, "labelled", moment.t_ms, moment.frame_index, label, entity_id=entity["id"])
    return True


def _most(votes: dict[str, float]) -> str | None:
    return max(votes, key=lambda name: (votes[name], name)) if votes else None
