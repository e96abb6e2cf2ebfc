"""Operations that answer yes or no, with the proof."""

from __future__ import annotations

from memory_bank.episodes.facts import Appearance, Thing
from pipelines.answer.intervals import intersect, most_at_once, union
from pipelines.answer.phrase import (
    MAX_LISTED,
    called,
    cited,
    ending,
    listed,
    number_of,
    of_appearance,
    of_place,
    stretch,
    yes,
)
from pipelines.answer.places import in_region
from pipelines.answer.plan import Scope, times_of
from pipelines.answer.times import all_spans, moments_of, refuse_several
from streamvos.answers import Answer, clock

_PLAIN = {"appear": " appear", "leave": " leave", "return": " come back", "visible": ""}
_DID = {"appear": "appeared", "return": "came back", "visible": "was there"}


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


def answer_together(scope: Scope) -> Answer:
    """Were two things there at the same time."""
    query = scope.query
    mine = [thing for thing in scope.things if scope.spans.get(thing.entity_id)]
    theirs = [thing for thing in scope.others if scope.spans.get(thing.entity_id)]
    ours = _both(scope, mine, theirs)
    names = f"the {query.subject.text} and the {query.other.text}"  # type: ignore[union-attr]
    evidence = tuple(of_appearance(scope.reader, thing, scope.spans[thing.entity_id][0]) for thing in [*mine, *theirs])[
        :MAX_LISTED
    ]
    confidence = scope.confidence([*mine, *theirs])
    if not ours:
        return Answer(f"No: I did not see {names} at the same time{scope.when()}.", confidence, "answered", evidence)
    shown = [pair for when in ours for pair in _present(scope, [*mine, *theirs], when)]
    shown = [pair for index, pair in enumerate(shown) if pair not in shown[:index]]
    evidence = tuple(of_appearance(scope.reader, thing, span) for thing, span in shown[:MAX_LISTED])
    times = listed(f"{clock(a)} to {clock(b)}" for a, b in ours)
    first = listed(f"{called(thing)} from {cited(span.from_ms, span.from_frame)}" for thing, span in shown)
    confidence = scope.confidence(list({thing.entity_id: thing for thing, _ in shown}.values()))
    return Answer(f"Yes: {names} were there together {times}: {first}.", confidence, "answered", evidence)


def _both(scope: Scope, mine: list[Thing], theirs: list[Thing]) -> list[tuple[int, int]]:
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
    parts = listed(f"{called(thing)} {stretch(scope.spans[thing.entity_id][0])}" for thing in seen)
    evidence = tuple(of_appearance(scope.reader, thing, scope.spans[thing.entity_id][0]) for thing in seen[:MAX_LISTED])
    return Answer(f"{yes(scope.when())}: {parts}.", scope.confidence(seen), "answered", evidence)


def _did(scope: Scope) -> Answer:
    verb = scope.query.verb
    moments = moments_of(scope, verb)
    if not moments:
        return _no(scope)
    parts = listed(
        f"{called(thing)} {ending(span) if verb == 'leave' else _DID[verb]} at {cited(time, frame)}"
        for time, frame, span, thing in moments
    )
    at = "to" if verb == "leave" else "from"
    evidence = tuple(of_appearance(scope.reader, thing, span, at) for _, _, span, thing in moments[:MAX_LISTED])
    things = list({moment[3].entity_id: moment[3] for moment in moments}.values())
    return Answer(f"{yes(scope.when())}: {parts}.", scope.confidence(things), "answered", evidence)


def _no(scope: Scope) -> Answer:
    """No, with what was seen instead, at other times."""
    query = scope.query
    subject = query.subject
    verb = query.verb
    name = f"{'the ' if subject and subject.definite else 'any '}{subject.text}" if subject else "anything"
    instead, evidence = "", ()
    if subject is not None:
        spans = all_spans(scope, scope.things)
        other = [(thing, moment) for thing in scope.things for moment in times_of(verb, spans.get(thing.entity_id, []))]
        other.sort(key=lambda pair: pair[1][:2])
        if verb == "visible" and other:
            near = min(other, key=lambda pair: _distance(scope, pair[1][2]))
            thing, span = near[0], near[1][2]
            instead = f" {called(thing)} was there {stretch(span)}."
            evidence = (of_appearance(scope.reader, thing, span),)
        elif other:
            thing, (time, frame, span) = other[0]
            said = ending(span) if verb == "leave" else _DID[verb]
            instead = f" {called(thing)} {said} at {cited(time, frame)}."
            evidence = (of_appearance(scope.reader, thing, span, "to" if verb == "leave" else "from"),)
        elif verb != "visible" and scope.things and spans.get(scope.things[0].entity_id):
            thing, span = scope.things[0], spans[scope.things[0].entity_id][-1]
            instead = f" {called(thing)} was there {stretch(span)} and {ending(span)}."
            evidence = (of_appearance(scope.reader, thing, span, "to"),)
    text = f"No: I did not see {name}{_PLAIN[verb]}{scope.when()}.{instead}"
    return Answer(text, round(0.75 * scope.share, 3), "not_observed", evidence)


def _distance(scope: Scope, span: Appearance) -> int:
    begin, end = scope.window[0][0], scope.window[-1][1]
    return max(span.from_ms - end, begin - span.to_ms, 0)


def _region(scope: Scope) -> Answer:
    words = " ".join(scope.query.region)
    found = [(thing, in_region(scope, thing)) for thing in scope.seen]
    found = [(thing, places) for thing, places in found if places]
    if not found:
        name = scope.query.subject.text if scope.query.subject else "anything"
        text = f"No: I did not see {name} at the {words}{scope.when()}."
        evidence = tuple(of_appearance(scope.reader, t, scope.spans[t.entity_id][0]) for t in scope.seen[:3])
        return Answer(text, round(0.75 * scope.share, 3), "not_observed", evidence)
    parts = listed(
        f"{called(thing)} at the {places[0].region} at {cited(places[0].t_ms, places[0].frame)}"
        for thing, places in found
    )
    evidence = tuple(of_place(scope.reader, thing, places[0]) for thing, places in found[:MAX_LISTED])
    return Answer(f"{yes(scope.when())}: {parts}.", scope.confidence([t for t, _ in found]), "answered", evidence)


def _number(scope: Scope, wanted: int) -> Answer:
    seen = scope.seen
    name = scope.query.subject.text if scope.query.subject else "things"
    together = scope.query.at_once or scope.point
    weights = [(thing, max((span.count for span in scope.spans[thing.entity_id]), default=1)) for thing in seen]
    number = sum(weight for _, weight in weights)
    when = ""
    shown = [(thing, scope.spans[thing.entity_id][0]) for thing in seen]
    if together:
        number, stretch_ = most_at_once([(scope.clipped(thing), weight) for thing, weight in weights])
        when = f" at once, first at {clock(stretch_[0])}" if stretch_ else " at once"
        shown = _present(scope, seen, stretch_) if stretch_ else []
    who = listed(f"{called(thing)} from {cited(span.from_ms, span.from_frame)}" for thing, span in shown)
    evidence = tuple(of_appearance(scope.reader, thing, span) for thing, span in shown[:MAX_LISTED])
    said = "Yes" if number >= wanted else "No"
    proof = f": {who}" if who else ""
    text = f"{said}: I saw {number_of(number, name)}{when}{scope.when()}{proof}."
    outcome = "answered" if seen else "not_observed"
    return Answer(text, scope.confidence([thing for thing, _ in shown]), outcome, evidence)


def _present(scope: Scope, things: list[Thing], when: tuple[int, int]) -> list[tuple[Thing, Appearance]]:
    """The things that were there from the start of a stretch on, each with the appearance that holds it."""
    return [
        (thing, span)
        for thing in things
        for span in scope.spans.get(thing.entity_id, [])
        if span.from_ms <= when[0] <= span.to_ms
    ]


def _colour(scope: Scope, wanted: str) -> Answer:
    if answer := refuse_several(scope):
        return answer
    seen = scope.seen
    known = [thing for thing in seen if thing.colour]
    if not known:
        name = scope.query.subject.text if scope.query.subject else "thing"
        text = f"I have no colour of the {name}{scope.when()}."
        return Answer(text, round(0.6 * scope.share, 3), "not_observed")
    fits = [thing for thing in known if thing.colour == wanted]
    shown = fits or known
    parts = listed(
        f"{called(thing)} was mostly {thing.colour}, seen {stretch(scope.spans[thing.entity_id][0])}" for thing in shown
    )
    evidence = tuple(of_appearance(scope.reader, t, scope.spans[t.entity_id][0]) for t in shown[:MAX_LISTED])
    return Answer(f"{'Yes' if fits else 'No'}: {parts}.", 0.8 * scope.confidence(shown), "answered", evidence)
