"""Operations that answer yes or no, with the proof."""

from __future__ import annotations

from dataclasses import replace

from memory_bank.episodes.facts import Thing, VisibleSpan
from pipelines.answer.intervals import Interval, intersect, most_at_once, union
from pipelines.answer.operations.counts import most_of
from pipelines.answer.operations.moments import (
    Moment,
    all_spans,
    moments_of,
    proofs_of,
    refuse_several,
    things_of,
)
from pipelines.answer.operations.places import in_region
from pipelines.answer.phrase import (
    MAX_LISTED,
    PAST,
    called,
    cited,
    ending,
    listed,
    number_of,
    of_observation,
    stretch,
    unseen,
    yes,
)
from pipelines.answer.scope import Scope
from pipelines.answer.selection import times_of
from streamvos.answers import Answer, Evidence, clock


def answer_yes_no(scope: Scope) -> Answer:
    """Was a thing there, did it come or leave, was it in that place, had it that colour, were there that many."""
    query = scope.query
    if query.colour_asked is not None:
        return _colour(scope, query.colour_asked)
    if query.subject is not None and query.subject.number is not None:
        return _number(scope, query.subject.number)
    if query.region:
        return _region(scope)
    if query.verb == "visible":
        return _there(scope)
    return _did(scope)


def answer_both(scope: Scope) -> Answer:
    """Were two things there, did both come or leave, not necessarily at the same time."""
    query = scope.query
    each = []
    for subject, things in ((query.subject, scope.things), (query.other, scope.others)):
        alone = replace(scope, things=things, query=replace(query, kind="yes_no", subject=subject, other=None))
        each.append((subject.text, answer_yes_no(alone)))  # type: ignore[union-attr]
    missing = [answer for _, answer in each if not answer.text.startswith("Yes")]
    told = " ".join(f"{text}: {answer.text[:1].lower()}{answer.text[1:]}" for text, answer in each)
    if not missing:
        told = told.replace(": yes: ", ": ")
    evidence = tuple(dict.fromkeys(proof for _, answer in each for proof in answer.evidence))
    if missing:
        surest = max(answer.confidence for answer in missing)
        return Answer(f"No: {told}", surest, missing[0].outcome, evidence)
    return Answer(f"Yes: {told}", min(answer.confidence for _, answer in each), "answered", evidence)


def answer_together(scope: Scope) -> Answer:
    """Were two things there at the same time."""
    query = scope.query
    mine = [thing for thing in scope.things if scope.spans.get(thing.entity_id)]
    theirs = [thing for thing in scope.others if scope.spans.get(thing.entity_id)]
    both = [*mine, *theirs]
    names = f"the {query.subject.text} and the {query.other.text}"  # type: ignore[union-attr]
    stretches = _shared(scope, mine, theirs)
    if not stretches:
        text = f"No: I did not see {names} at the same time{scope.when()}."
        return Answer(text, scope.confidence(both), "answered", scope.firsts(both))
    shown = list(dict.fromkeys(pair for when in stretches for pair in _present(scope, both, when)))
    times = listed(f"{clock(a)} to {clock(b)}" for a, b in stretches)
    first = listed(f"{called(thing)} from {cited(span.from_ms, span.from_frame)}" for thing, span in shown)
    confidence = scope.confidence(list({thing.entity_id: thing for thing, _ in shown}.values()))
    text = f"Yes: {names} were there together {times}: {first}."
    return Answer(text, confidence, "answered", scope.evidence(shown))


def _shared(scope: Scope, mine: list[Thing], theirs: list[Thing]) -> list[Interval]:
    """When one of mine and another one of theirs were there."""
    found = []
    for one in mine:
        for other in theirs:
            if one.entity_id != other.entity_id:
                found += intersect(scope.clipped(one), scope.clipped(other))
    return union(found)


def _there(scope: Scope) -> Answer:
    seen = scope.seen
    if not seen:
        return _no(scope)
    parts = listed(f"{called(thing)} {stretch(scope.first(thing))}" for thing in seen)
    return Answer(f"{yes(scope.when())}: {parts}.", scope.confidence(seen), "answered", scope.firsts(seen))


def _did(scope: Scope) -> Answer:
    verb = scope.query.verb
    moments = moments_of(scope, verb)
    if not moments:
        return _no(scope)
    parts = listed(_told(scope, moment) for moment in moments)
    proofs = proofs_of(scope, moments, "to" if verb == "leave" else "from")
    return Answer(f"{yes(scope.when())}: {parts}.", scope.confidence(things_of(moments)), "answered", proofs)


def _told(scope: Scope, moment: Moment) -> str:
    did = ending(moment.span) if scope.query.verb == "leave" else PAST[scope.query.verb]
    return f"{called(moment.thing)} {did} at {cited(moment.t_ms, moment.frame)}"


def _no(scope: Scope) -> Answer:
    """No, with what was seen instead, at other times."""
    subject = scope.query.subject
    if subject is None:
        return scope.not_observed(f"No: {unseen('anything', scope.query.verb)}{scope.when()}.")
    name = f"{'the' if subject.definite else 'any'} {subject.text}"
    instead, evidence = _instead(scope)
    return scope.not_observed(f"No: {unseen(name, scope.query.verb)}{scope.when()}.{instead}", evidence)


def _instead(scope: Scope) -> tuple[str, tuple[Evidence, ...]]:
    """What the things did at other times, or where they were at all."""
    verb = scope.query.verb
    spans = all_spans(scope, scope.things)
    other = [
        Moment(*found, thing) for thing in scope.things for found in times_of(verb, spans.get(thing.entity_id, []))
    ]
    other.sort(key=lambda moment: moment[:2])
    if verb == "visible" and other:
        near = min(other, key=lambda moment: _distance(scope, moment.span))
        return f" {called(near.thing)} was there {stretch(near.span)}.", proofs_of(scope, [near], "from")
    if other:
        return f" {_told(scope, other[0])}.", proofs_of(scope, other[:1], "to" if verb == "leave" else "from")
    if verb != "visible" and scope.things and spans.get(scope.things[0].entity_id):
        thing, span = scope.things[0], spans[scope.things[0].entity_id][-1]
        last = Moment(span.to_ms, span.to_frame, span, thing)
        return f" {called(thing)} was there {stretch(span)} and {ending(span)}.", proofs_of(scope, [last], "to")
    return "", ()


def _distance(scope: Scope, span: VisibleSpan) -> int:
    begin, end = scope.window[0][0], scope.window[-1][1]
    return max(span.from_ms - end, begin - span.to_ms, 0)


def _region(scope: Scope) -> Answer:
    words = " ".join(scope.query.region)
    found = [(thing, in_region(scope, thing)) for thing in scope.seen]
    firsts = [(thing, seen[0]) for thing, seen in found if seen]
    if not firsts:
        name = scope.query.subject.text if scope.query.subject else "anything"
        text = f"No: I did not see {name} at the {words}{scope.when()}."
        return scope.not_observed(text, scope.firsts(scope.seen[:3]))
    parts = listed(f"{called(thing)} at the {seen.region} at {cited(seen.t_ms, seen.frame)}" for thing, seen in firsts)
    evidence = tuple(of_observation(scope.reader, thing, seen) for thing, seen in firsts[:MAX_LISTED])
    return Answer(f"{yes(scope.when())}: {parts}.", scope.confidence([t for t, _ in firsts]), "answered", evidence)


def _number(scope: Scope, wanted: int) -> Answer:
    seen = scope.seen
    name = scope.query.subject.text if scope.query.subject else "things"
    weights = [(thing, most_of(scope, thing)) for thing in seen]
    number = sum(weight for _, weight in weights)
    when = ""
    shown = [(thing, scope.first(thing)) for thing in seen]
    if scope.query.at_once or scope.at_ms is not None:
        number, most = most_at_once([(scope.clipped(thing), weight) for thing, weight in weights])
        when = f" at once, first at {clock(most[0])}" if most else " at once"
        shown = _present(scope, seen, most) if most else []
    who = listed(f"{called(thing)} from {cited(span.from_ms, span.from_frame)}" for thing, span in shown)
    said = "Yes" if number >= wanted else "No"
    proof = f": {who}" if who else ""
    text = f"{said}: I saw {number_of(number, name)}{when}{scope.when()}{proof}."
    outcome = "answered" if seen else "not_observed"
    return Answer(text, scope.confidence([thing for thing, _ in shown]), outcome, scope.evidence(shown))


def _present(scope: Scope, things: list[Thing], when: Interval) -> list[tuple[Thing, VisibleSpan]]:
    """The things that were there from the start of a stretch on, each with the span that holds it."""
    return [
        (thing, span)
        for thing in things
        for span in scope.spans.get(thing.entity_id, [])
        if span.from_ms <= when[0] <= span.to_ms
    ]


def _colour(scope: Scope, wanted: str) -> Answer:
    if answer := refuse_several(scope):
        return answer
    known = [thing for thing in scope.seen if thing.colour]
    if not known:
        name = scope.query.subject.text if scope.query.subject else "thing"
        return scope.not_observed(f"I have no colour of the {name}{scope.when()}.", trust=0.6)
    fits = [thing for thing in known if thing.colour == wanted]
    shown = fits or known
    parts = listed(f"{called(thing)} was mostly {thing.colour}, seen {stretch(scope.first(thing))}" for thing in shown)
    said = "Yes" if fits else "No"
    return Answer(f"{said}: {parts}.", 0.8 * scope.confidence(shown), "answered", scope.firsts(shown))
