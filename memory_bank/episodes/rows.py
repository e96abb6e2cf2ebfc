"""Rows of facts as the tables take them: events, observations, the extent of a span."""

from __future__ import annotations

from typing import Any

from memory_bank.episodes.open_spans import OpenSpan
from memory_bank.episodes.policy import region_of
from memory_bank.episodes.store import Store


def add_event(
    store: Store,
    kind: str,
    t_ms: int,
    frame: int,
    detail: str,
    known_ms: int | None = None,
    entity_id: int | None = None,
    span_id: int | None = None,
) -> None:
    """Store what happened at `t_ms`, known from `known_ms` on: at once where None."""
    store.insert(
        "event",
        t_ms=t_ms,
        known_ms=t_ms if known_ms is None else known_ms,
        frame=frame,
        kind=kind,
        entity_id=entity_id,
        span_id=span_id,
        detail=detail,
    )


def add_waiting_observations(store: Store, span: OpenSpan) -> None:
    """Store the observations of a confirmed span that wait."""
    for one in span.waiting:
        x1, y1, x2, y2 = (round(float(side), 4) for side in one.box)
        store.insert(
            "observation",
            span_id=span.span_id,
            entity_id=span.entity_id,
            t_ms=one.t_ms,
            frame=one.frame,
            x1=x1,
            y1=y1,
            x2=x2,
            y2=y2,
            area=round(float(one.area), 6),
            region=region_of(one.box),
            score=round(float(one.score), 4),
            colour=one.colour,
            count=one.count,
        )
    span.waiting.clear()


def add_span(store: Store, span: OpenSpan, known_ms: int) -> int:
    """Store a span that is confirmed; returns its id."""
    return store.insert(
        "span",
        entity_id=span.entity_id,
        track_id=span.track_id,
        shot=span.shot,
        from_ms=span.first_ms,
        from_frame=span.first_frame,
        known_ms=known_ms,
        first_keyframe=span.first_picture,
        from_region=region_of(span.first_box),
        **_extent(span),
    )


def update_span(store: Store, span: OpenSpan, **closing: Any) -> None:
    """Bring the row of a span and that of its track up to date; `closing` are the columns that its end fills."""
    store.update("span", span.span_id or 0, **_extent(span), **closing, to_region=region_of(span.last.box))
    store.update("track", span.track_id or 0, to_ms=span.last_ms, to_frame=span.last_frame)


def track_of(store: Store, span: OpenSpan) -> int:
    """The track of a span: one for each thing and shot; added where the shot has none."""
    held = store.one("SELECT track_id FROM span WHERE entity_id = ? AND shot = ? LIMIT 1", span.entity_id, span.shot)
    if held is not None:
        return int(held["track_id"])
    return store.insert(
        "track",
        entity_id=span.entity_id,
        object_id=span.object_id,
        shot=span.shot,
        from_ms=span.first_ms,
        to_ms=span.last_ms,
        from_frame=span.first_frame,
        to_frame=span.last_frame,
    )


def _extent(span: OpenSpan) -> dict[str, Any]:
    return {
        "to_ms": span.last_ms,
        "to_frame": span.last_frame,
        "score": round(span.score, 4),
        "count": span.max_count,
    }
