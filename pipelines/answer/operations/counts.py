"""Operations that count: how many, how many at once, how many kinds, how many shots."""

from __future__ import annotations

from memory_bank.episodes.facts import Thing, VisibleSpan
from pipelines.answer.intervals import most_at_once
from pipelines.answer.operations.moments import moments_of, proofs_of
from pipelines.answer.operations.places import in_region
from pipelines.answer.phrase import MAX_LISTED, PAST, called, cited, listed, number_of, unseen
from pipelines.answer.scope import Scope
from pipelines.answer.window import ROUNDING_MS
from streamvos.answers import Answer, Evidence, clock, plural


def answer_how_many(scope: Scope) -> Answer:
    """How many things: different ones in the window, at one time, or the most at once."""
    query = scope.query
    if query.count_kinds:
        return _kinds(scope)
    seen = scope.seen
    if query.region:
        seen = [thing for thing in seen if in_region(scope, thing)]
    if query.verb != "visible":
        did = {moment.thing.entity_id for moment in moments_of(scope, query.verb, seen)}
        seen = [thing for thing in seen if thing.entity_id in did]
    name = query.subject.text if query.subject else "things"
    if not seen:
        return scope.not_observed(f"None: {unseen(f'any {name}', query.verb)}{scope.when()}.")
    if scope.at_ms is not None:
        there = [thing for thing in seen if _is_there(scope, thing, scope.at_ms)]
        if not there:  # "at 3 seconds" is as wide as it is written, a count is of one moment
            text = f"None: {unseen(f'any {name}', 'visible')}{scope.when()}. {listed(_first(scope, t) for t in seen)}."
            return scope.not_observed(text, scope.firsts(seen))
        seen = there
    if query.at_once:
        return _at_once(scope, seen, name)
    if query.verb != "visible":
        return _did(scope, seen, name)
    number = sum(_weight(scope, thing) for thing in seen)
    unnamed = [thing for thing in seen if thing.object_id is None]
    least = "At least " if unnamed and scope.at_ms is None else ""
    caution = ""
    if least:
        caution = " Things without a number were not followed one by one, so there may have been more."
    firsts = listed(_first(scope, thing) for thing in seen)
    text = f"{least}{number_of(number, name)}{scope.when()}: {firsts}.{caution}"
    return Answer(text, scope.confidence(seen) * (0.6 if least else 1.0), "answered", scope.firsts(seen))


def answer_count_shots(scope: Scope) -> Answer:
    """How many shots and cuts there were."""
    cuts = [event for event in scope.reader.events(("cut",)) if any(a <= event.t_ms <= b for a, b in scope.window)]
    told = f": cuts at {listed(cited(cut.t_ms, cut.frame) for cut in cuts)}" if cuts else ""
    evidence = tuple(
        Evidence(
            cut.t_ms / 1000,
            cut.t_ms / 1000,
            cut.frame,
            None,
            "",
            f"a new shot began at {cited(cut.t_ms, cut.frame)}",
            scope.reader.picture(cut.t_ms, cut.t_ms, cut.t_ms + 1000),
        )
        for cut in cuts[:MAX_LISTED]
    )
    text = f"{plural('shot', len(cuts) + 1)}, {plural('cut', len(cuts))}{scope.when()}{told}."
    return Answer(text, round(0.9 * scope.share, 3), "answered", evidence)


def most_of(scope: Scope, thing: Thing) -> int:
    """The most that a thing stood for at once: more than one only where a class was counted."""
    return max((span.count for span in scope.spans.get(thing.entity_id, [])), default=1)


def _did(scope: Scope, seen: list[Thing], name: str) -> Answer:
    verb = scope.query.verb
    moments = moments_of(scope, verb, seen)
    told = listed(f"{called(one.thing)} at {cited(one.t_ms, one.frame)}" for one in moments)
    text = f"{number_of(len(seen), name)} {PAST[verb]}{scope.when()}: {told}."
    proofs = proofs_of(scope, moments, "to" if verb == "leave" else "from")
    return Answer(text, scope.confidence(seen), "answered", proofs)


def _kinds(scope: Scope) -> Answer:
    names = sorted({thing.class_name for thing in scope.seen if thing.class_name})
    if not names:
        return scope.not_observed(f"I did not recognise any kind of thing{scope.when()}.")
    firsts = [next(thing for thing in scope.seen if thing.class_name == name) for name in names]
    told = listed(_first(scope, thing) for thing in firsts)
    text = f"{plural('kind', len(names))} of things{scope.when()}: {told}."
    return Answer(text, scope.confidence(firsts), "answered", scope.firsts(firsts))


def _at_once(scope: Scope, seen: list[Thing], name: str) -> Answer:
    number, when = most_at_once([(scope.clipped(thing), most_of(scope, thing)) for thing in seen])
    assert when is not None
    there = [(thing, span) for thing in seen if (span := _at(scope, thing, when[0])) is not None]
    who = listed(f"{called(thing)}, from {cited(span.from_ms, span.from_frame)}" for thing, span in there)
    most = f"At most {number_of(number, name)} at once{scope.when()}"
    text = f"{most}, first at {clock(when[0])} to {clock(when[1])}: {who}."
    return Answer(text, scope.confidence([thing for thing, _ in there]), "answered", scope.evidence(there))


def _at(scope: Scope, thing: Thing, time_ms: int) -> VisibleSpan | None:
    """The span of a thing that holds a time."""
    return next((s for s in scope.spans.get(thing.entity_id, []) if s.from_ms <= time_ms <= s.to_ms), None)


def _is_there(scope: Scope, thing: Thing, time_ms: int) -> bool:
    spans = scope.spans.get(thing.entity_id, [])
    return any(span.from_ms - ROUNDING_MS <= time_ms <= span.to_ms + ROUNDING_MS for span in spans)


def _weight(scope: Scope, thing: Thing) -> int:
    """For how many a thing stands, at the time asked about where it is one."""
    if thing.object_id is not None:
        return 1
    if scope.at_ms is not None:
        time = scope.at_ms
        seen = scope.reader.observations([thing.entity_id], time - 2000, time + 2000)
        if seen:
            return min(seen, key=lambda one: abs(one.t_ms - time)).count
    return most_of(scope, thing)


def _first(scope: Scope, thing: Thing) -> str:
    span = scope.first(thing)
    return f"{called(thing)}, from {cited(span.from_ms, span.from_frame)}"
