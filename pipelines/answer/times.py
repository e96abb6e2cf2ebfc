"""Operations about time: when, how long, how often, which first, how long the video is."""

from __future__ import annotations

from memory_bank.episodes.facts import Appearance, Thing
from pipelines.answer.intervals import total, union
from pipelines.answer.phrase import (
    MAX_LISTED,
    called,
    cited,
    ending,
    listed,
    of_appearance,
    seconds,
    stretch,
)
from pipelines.answer.plan import Scope, ambiguous, times_of
from pipelines.answer.query import Verb
from streamvos.answers import Answer, clock

_DID = {"appear": "appeared", "leave": "left", "return": "came back", "visible": "was there"}
_PLAIN = {"appear": " appear", "leave": " leave", "return": " come back", "visible": ""}


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
        moments = _ends(moments)
    picked = moments[-1:] if query.which == "last" else moments[:1] if query.which == "first" else moments
    at = "to" if query.verb == "leave" or query.which == "last" else "from"
    parts = [_told(query.verb, query.which, *moment) for moment in picked]
    evidence = tuple(of_appearance(scope.reader, thing, span, at) for _, _, span, thing in picked[:MAX_LISTED])
    things = list({thing.entity_id: thing for *_, thing in picked}.values())
    return Answer(f"{listed(parts)}.", scope.confidence(things), "answered", evidence)


def answer_how_long(scope: Scope) -> Answer:
    """For how long were things there: the union of their appearances."""
    if answer := refuse_several(scope):
        return answer
    seen = scope.seen
    if not seen:
        return _never(scope, "visible")
    joined = union(interval for thing in seen for interval in scope.clipped(thing))
    spans = [(thing, span) for thing in seen for span in scope.spans[thing.entity_id]]
    spans.sort(key=lambda pair: (pair[1].from_ms, pair[1].span_id))
    who = called(seen[0]) if len(seen) == 1 else f"at least one of {len(seen)} things"
    times = listed(f"{called(thing)} {stretch(span)}" for thing, span in spans)
    text = f"{who} was there for {seconds(total(joined))}{scope.when()}: {times}."
    evidence = tuple(of_appearance(scope.reader, thing, span) for thing, span in spans[:MAX_LISTED])
    return Answer(text, scope.confidence(seen), "answered", evidence)


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
            moments += _in_window(scope, thing, "appear", mine) + _in_window(scope, thing, "return", mine)
        else:
            moments += _in_window(scope, thing, verb, mine)
    moments.sort(key=lambda moment: moment[:2])
    if not moments:
        return _never(scope, verb)
    did = {"leave": "left", "return": "came back"}.get(verb, "appeared")
    times = "once" if len(moments) == 1 else "twice" if len(moments) == 2 else f"{len(moments)} times"
    who = called(moments[0][3]) if len({m[3].entity_id for m in moments}) == 1 else scope.query.subject.text  # type: ignore[union-attr]
    told = listed(f"{called(thing)} at {cited(time, frame)}" for time, frame, _, thing in moments)
    at = "to" if verb == "leave" else "from"
    evidence = tuple(of_appearance(scope.reader, thing, span, at) for _, _, span, thing in moments[:MAX_LISTED])
    return Answer(f"{who} {did} {times}{scope.when()}: {told}.", scope.confidence(scope.seen), "answered", evidence)


def answer_first_of(scope: Scope) -> Answer:
    """Which of two came first, or what came first of all."""
    query = scope.query
    verb: Verb = query.verb
    which = "last" if verb == "visible" else None
    at = "to" if verb in ("leave", "visible") else "from"
    moments = _ends(moments_of(scope, verb)) if verb == "visible" else moments_of(scope, verb)
    if not query.other:
        if not moments:
            return _never(scope, verb)
        best = moments[-1] if query.which == "last" else moments[0]
        equal = [moment for moment in moments if moment[0] == best[0]]
        evidence = tuple(of_appearance(scope.reader, thing, span, at) for _, _, span, thing in equal[:MAX_LISTED])
        told = listed(_told(verb, which, *moment) for moment in equal)
        return Answer(
            f"{told}: the {query.which or 'first'} of {len(moments)}.",
            scope.confidence([moment[3] for moment in equal]),
            "answered",
            evidence,
        )
    theirs = moments_of(scope, verb, scope.others)
    theirs = _ends(theirs) if verb == "visible" else theirs
    if not moments or not theirs:
        missing = query.subject if not moments else query.other
        assert missing is not None
        return Answer(f"I did not see the {missing.text}{_PLAIN[verb]}.", 0.7 * scope.share, "not_observed")
    index = -1 if query.which == "last" else 0
    pair = [moments[index], theirs[index]]
    if pair[0][0] == pair[1][0]:
        text = f"At the same time: {_told(verb, which, *pair[0])}; {_told(verb, which, *pair[1])}."
    else:
        pair.sort(key=lambda moment: moment[0], reverse=query.which == "last")
        order = "after" if query.which == "last" else "before"
        text = f"{_told(verb, which, *pair[0])}, {order} {_told(verb, which, *pair[1])}."
    evidence = tuple(of_appearance(scope.reader, thing, span, at) for _, _, span, thing in pair)
    return Answer(text, scope.confidence([m[3] for m in pair]), "answered", evidence)


def answer_video_length(scope: Scope) -> Answer:
    """How long the video is, as far as it was looked at."""
    (begin, _), (_, end) = scope.window[0], scope.window[-1]
    gaps = [s for s in scope.reader.coverage() if s.status == "gap"]
    missing = f" Not looked at: {listed(f'{clock(s.from_ms)} to {clock(s.to_ms)}' for s in gaps)}." if gaps else ""
    text = f"I looked at {seconds(end - begin)}, from {clock(begin)} to {clock(end)}.{missing}"
    return Answer(text, 1.0, "answered")


def refuse_several(scope: Scope) -> Answer | None:
    """The answer that several things fit, where the question means one."""
    query = scope.query
    subject = query.subject
    if subject is None or not subject.definite or subject.ordinal is not None or query.which is not None:
        return None
    seen = scope.seen
    return ambiguous(scope.reader, subject, seen, scope.spans) if len(seen) > 1 else None


def moments_of(scope: Scope, verb: Verb, things: list[Thing] | None = None) -> list[tuple[int, int, Appearance, Thing]]:
    """(time, frame, appearance, thing) of each time that one of the things did something, within the window."""
    chosen = scope.things if things is None else things
    spans = scope.spans
    if not scope.whole:  # all appearances count for what is a return, those outside the window too
        spans = all_spans(scope, chosen)
    found = [moment for thing in chosen for moment in _in_window(scope, thing, verb, spans.get(thing.entity_id, []))]
    return sorted(found, key=lambda moment: (moment[0], moment[1], moment[3].entity_id))


def _ends(moments: list[tuple[int, int, Appearance, Thing]]) -> list[tuple[int, int, Appearance, Thing]]:
    """The same appearances, told by their ends."""
    return sorted(((s.to_ms, s.to_frame, s, t) for _, _, s, t in moments), key=lambda m: m[:2])


def all_spans(scope: Scope, things: list[Thing]) -> dict[int, list[Appearance]]:
    """All appearances of things by thing, those outside the window too."""
    found: dict[int, list[Appearance]] = {}
    for span in scope.reader.appearances([thing.entity_id for thing in things]):
        found.setdefault(span.entity_id, []).append(span)
    return found


def _in_window(
    scope: Scope, thing: Thing, verb: Verb, spans: list[Appearance]
) -> list[tuple[int, int, Appearance, Thing]]:
    return [
        (time, frame, span, thing)
        for time, frame, span in times_of(verb, spans)
        if any(a <= time <= b or (verb == "visible" and span.from_ms <= b and span.to_ms >= a) for a, b in scope.window)
    ]


def _visible(scope: Scope) -> Answer:
    spans = [(thing, span) for thing in scope.seen for span in scope.spans[thing.entity_id]]
    spans.sort(key=lambda pair: (pair[1].from_ms, pair[1].span_id))
    text = listed(f"{called(thing)} was there {stretch(span)}" for thing, span in spans)
    evidence = tuple(of_appearance(scope.reader, thing, span) for thing, span in spans[:MAX_LISTED])
    return Answer(f"{text}.", scope.confidence(scope.seen), "answered", evidence)


def _told(verb: Verb, which: str | None, time: int, frame: int, span: Appearance, thing: Thing) -> str:
    if verb == "leave":
        return f"{called(thing)} {ending(span)} at {cited(time, frame)}"
    if verb == "visible" and which is not None:
        return f"{called(thing)} was {which} seen at {cited(time, frame)}"
    first = "first " if verb == "appear" else ""
    return f"{called(thing)} {first}{_DID[verb]} at {cited(time, frame)}"


def _never(scope: Scope, verb: Verb) -> Answer:
    subject = scope.query.subject
    name = f"the {subject.text}" if subject else "anything"
    evidence = ()
    rest = ""
    if verb != "visible" and scope.seen:
        thing = scope.seen[0]
        span = scope.spans[thing.entity_id][-1]
        rest = f" {called(thing)} was there {stretch(span)} and {ending(span)}."
        evidence = (of_appearance(scope.reader, thing, span, "to"),)
    text = f"I did not see {name}{_PLAIN[verb]}{scope.when()}.{rest}"
    return Answer(text, round(0.75 * scope.share, 3), "not_observed", evidence)
