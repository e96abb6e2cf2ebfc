"""Operations about time: when, how long, how often, which first, how long the video is."""

from __future__ import annotations

from memory_bank.episodes.facts import Thing, VisibleSpan
from pipelines.answer.intervals import total, union
from pipelines.answer.operations.absence import answer_how_long_away
from pipelines.answer.operations.moments import (
    Moment,
    all_spans,
    in_window,
    last_seen,
    moments_of,
    pick,
    proofs_of,
    refuse_several,
    things_of,
)
from pipelines.answer.phrase import PAST, called, cited, ending, listed, of_span, seconds, stretch, unseen
from pipelines.answer.query import Verb
from pipelines.answer.scope import Scope
from streamvos.answers import Answer, Evidence, clock


def answer_when(scope: Scope) -> Answer:
    """When did things appear, leave, come back; when were they there."""
    query = scope.query
    if answer := refuse_several(scope):
        return answer
    moments = moments_of(scope, query.verb)
    if not moments:
        return _never(scope, query.verb)
    if query.verb == "visible" and query.which is None:
        return _visible(scope)
    if query.which == "last" and query.verb == "visible":  # the last time seen is an end, not a start
        moments = last_seen(moments)
    picked = pick(moments, query.which)
    at = "to" if query.verb == "leave" or query.which == "last" else "from"
    told = listed(_told(query.verb, query.which, moment) for moment in picked)
    return Answer(f"{told}.", scope.confidence(things_of(picked)), "answered", proofs_of(scope, picked, at))


def answer_how_long(scope: Scope) -> Answer:
    """For how long were things there, the union of their spans; or away, what lies between them."""
    if answer := refuse_several(scope):
        return answer
    if scope.query.verb == "leave":
        return answer_how_long_away(scope)
    seen = scope.seen
    if not seen:
        return _never(scope, "visible")
    joined = union(interval for thing in seen for interval in scope.clipped(thing))
    spans = _in_order(scope)
    who = called(seen[0]) if len(seen) == 1 else f"at least one of {len(seen)} things"
    times = listed(f"{called(thing)} {stretch(span)}" for thing, span in spans)
    text = f"{who} was there for {seconds(total(joined))}{scope.when()}: {times}."
    return Answer(text, scope.confidence(seen), "answered", scope.evidence(spans))


def answer_how_often(scope: Scope) -> Answer:
    """How often did things appear, leave or come back."""
    if answer := refuse_several(scope):
        return answer
    verb: Verb = scope.query.verb
    spans = all_spans(scope, scope.seen)
    moments = []
    for thing in scope.seen:
        mine = spans[thing.entity_id]
        if verb in ("appear", "visible"):  # what goes on after a gap was perhaps never away: it counts once
            moments += in_window(scope, thing, "appear", mine) + in_window(scope, thing, "return", mine)
        else:
            moments += in_window(scope, thing, verb, mine)
    moments.sort(key=lambda moment: moment[:2])
    if not moments:
        return _never(scope, verb)
    did = PAST["appear" if verb == "visible" else verb]
    times = "once" if len(moments) == 1 else "twice" if len(moments) == 2 else f"{len(moments)} times"
    who = called(moments[0].thing) if len(things_of(moments)) == 1 else scope.query.subject.text  # type: ignore[union-attr]
    told = listed(f"{called(one.thing)} at {cited(one.t_ms, one.frame)}" for one in moments)
    proofs = proofs_of(scope, moments, "to" if verb == "leave" else "from")
    return Answer(f"{who} {did} {times}{scope.when()}: {told}.", scope.confidence(scope.seen), "answered", proofs)


def answer_first_of(scope: Scope) -> Answer:
    """Which of two came first, or what came first of all."""
    query = scope.query
    verb: Verb = query.verb
    which = "last" if verb == "visible" else None
    at = "to" if verb in ("leave", "visible") else "from"
    moments = _told_by(scope, verb, scope.things)
    index = -1 if query.which == "last" else 0
    if not query.other:
        if not moments:
            return _never(scope, verb)
        equal = [moment for moment in moments if moment.t_ms == moments[index].t_ms]
        told = listed(_told(verb, which, moment) for moment in equal)
        text = f"{told}: the {query.which or 'first'} of {len(moments)}."
        confidence = scope.confidence([moment.thing for moment in equal])
        return Answer(text, confidence, "answered", proofs_of(scope, equal, at))
    theirs = _told_by(scope, verb, scope.others)
    if not moments or not theirs:
        missing = query.subject if not moments else query.other
        assert missing is not None
        return scope.not_observed(f"{unseen(f'the {missing.text}', verb)}.", trust=0.7)
    pair = [moments[index], theirs[index]]
    if pair[0].t_ms == pair[1].t_ms:
        text = f"At the same time: {_told(verb, which, pair[0])}; {_told(verb, which, pair[1])}."
    else:
        pair.sort(key=lambda moment: moment.t_ms, reverse=query.which == "last")
        order = "after" if query.which == "last" else "before"
        text = f"{_told(verb, which, pair[0])}, {order} {_told(verb, which, pair[1])}."
    return Answer(text, scope.confidence([m.thing for m in pair]), "answered", proofs_of(scope, pair, at))


def answer_video_length(scope: Scope) -> Answer:
    """How long the video is, as far as it was looked at."""
    (begin, _), (_, end) = scope.window[0], scope.window[-1]
    gaps = [s for s in scope.reader.coverage() if s.status == "gap"]
    missing = f" Not looked at: {listed(f'{clock(s.from_ms)} to {clock(s.to_ms)}' for s in gaps)}." if gaps else ""
    text = f"I looked at {seconds(end - begin)}, from {clock(begin)} to {clock(end)}.{missing}"
    return Answer(text, 1.0, "answered")


def _told_by(scope: Scope, verb: Verb, things: list[Thing]) -> list[Moment]:
    """What things did; where they were only there, the ends of their spans."""
    moments = moments_of(scope, verb, things)
    return last_seen(moments) if verb == "visible" else moments


def _visible(scope: Scope) -> Answer:
    spans = _in_order(scope)
    text = listed(f"{called(thing)} was there {stretch(span)}" for thing, span in spans)
    return Answer(f"{text}.", scope.confidence(scope.seen), "answered", scope.evidence(spans))


def _in_order(scope: Scope) -> list[tuple[Thing, VisibleSpan]]:
    spans = [(thing, span) for thing in scope.seen for span in scope.spans[thing.entity_id]]
    return sorted(spans, key=lambda pair: (pair[1].from_ms, pair[1].span_id))


def _told(verb: Verb, which: str | None, moment: Moment) -> str:
    name, time = called(moment.thing), cited(moment.t_ms, moment.frame)
    if verb == "leave":
        return f"{name} {ending(moment.span)} at {time}"
    if verb == "visible" and which is not None:
        return f"{name} was {which} seen at {time}"
    first = "first " if verb == "appear" else ""
    return f"{name} {first}{PAST[verb]} at {time}"


def _never(scope: Scope, verb: Verb) -> Answer:
    subject = scope.query.subject
    evidence: tuple[Evidence, ...] = ()
    rest = ""
    if verb != "visible" and scope.seen:
        thing = scope.seen[0]
        span = scope.spans[thing.entity_id][-1]
        rest = f" {called(thing)} was there {stretch(span)} and {ending(span)}."
        evidence = (of_span(scope.reader, thing, span, "to"),)
    name = f"the {subject.text}" if subject else "anything"
    return scope.not_observed(f"{unseen(name, verb)}{scope.when()}.{rest}", evidence)
