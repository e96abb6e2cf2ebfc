"""The moments at which things did something within the times asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from memory_bank.episodes.facts import Thing, VisibleSpan
from pipelines.answer.abstain import ambiguous
from pipelines.answer.phrase import MAX_LISTED, of_span
from pipelines.answer.query import Verb
from pipelines.answer.scope import Scope
from pipelines.answer.selection import times_of
from streamvos.answers import Answer, Evidence


class Moment(NamedTuple):
    """A time at which a thing did something, and the span that shows it."""

    t_ms: int
    frame: int
    span: VisibleSpan
    thing: Thing


def moments_of(scope: Scope, verb: Verb, things: Sequence[Thing] | None = None) -> list[Moment]:
    """Each time that one of the things did something, within the window, in order."""
    chosen = scope.things if things is None else things
    spans = scope.spans
    if not scope.whole:  # all spans count for what is a return, those outside the window too
        spans = all_spans(scope, chosen)
    found = [moment for thing in chosen for moment in in_window(scope, thing, verb, spans.get(thing.entity_id, []))]
    return sorted(found, key=lambda moment: (moment.t_ms, moment.frame, moment.thing.entity_id))


def in_window(scope: Scope, thing: Thing, verb: Verb, spans: Sequence[VisibleSpan]) -> list[Moment]:
    """Each time within the window that a thing did something, from all its spans."""
    return [
        Moment(time, frame, span, thing)
        for time, frame, span in times_of(verb, spans)
        if any(a <= time <= b or (verb == "visible" and span.from_ms <= b and span.to_ms >= a) for a, b in scope.window)
    ]


def last_seen(moments: Sequence[Moment]) -> list[Moment]:
    """The same spans, told by their ends."""
    return sorted((Moment(s.to_ms, s.to_frame, s, thing) for _, _, s, thing in moments), key=lambda m: m[:2])


def all_spans(scope: Scope, things: Sequence[Thing]) -> dict[int, list[VisibleSpan]]:
    """All spans of things by entity, those outside the window too."""
    found: dict[int, list[VisibleSpan]] = {}
    for span in scope.reader.spans([thing.entity_id for thing in things]):
        found.setdefault(span.entity_id, []).append(span)
    return found


def things_of(moments: Sequence[Moment]) -> list[Thing]:
    """The things that did something, each once."""
    return list({moment.thing.entity_id: moment.thing for moment in moments}.values())


def proofs_of(scope: Scope, moments: Sequence[Moment], at: str) -> tuple[Evidence, ...]:
    """The spans of moments as evidence, by their start ("from") or end ("to"), of a few."""
    return tuple(of_span(scope.reader, moment.thing, moment.span, at) for moment in moments[:MAX_LISTED])


def pick(moments: list[Moment], which: str | None) -> list[Moment]:
    """The first or the last; all where neither is asked for."""
    return moments[-1:] if which == "last" else moments[:1] if which == "first" else moments


def refuse_several(scope: Scope) -> Answer | None:
    """The answer that several things fit, where the question means one."""
    query = scope.query
    subject = query.subject
    if subject is None or not subject.definite or subject.ordinal is not None or query.which is not None:
        return None
    seen = scope.seen
    return ambiguous(scope.reader, subject, seen, scope.spans) if len(seen) > 1 else None
