"""Operations that describe: what was there, what happened, what an object is."""

from __future__ import annotations

from memory_bank.episodes.facts import Happening, Thing
from pipelines.answer.phrase import (
    MAX_LISTED,
    called,
    cited,
    counted,
    listed,
    of_appearance,
    of_place,
    stretch,
)
from pipelines.answer.places import in_region
from pipelines.answer.plan import Scope
from pipelines.answer.times import moments_of
from streamvos.answers import Answer, Evidence, plural

_TOLD = {
    "appear": "appeared",
    "return": "came back",
    "leave": "left the picture",
    "occluded": "was hidden",
    "vanish": "was lost from view",
    "removed": "was taken out by the user",
    "count": "changed in number, from",
    "cut": "a new shot began",
    "gap": "the frames stopped",
    "camera": "the pose of the camera:",
}
_MAX_EVENTS = 12


def answer_what_seen(scope: Scope) -> Answer:
    """What was there: by kind, with the times."""
    query = scope.query
    seen = scope.seen
    evidence: list[Evidence]
    if query.verb in ("appear", "leave", "return"):
        did = {moment[3].entity_id for moment in moments_of(scope, query.verb)}
        seen = [thing for thing in seen if thing.entity_id in did]
    if query.region:
        notes = {thing.entity_id: in_region(scope, thing) for thing in seen}
        seen = [thing for thing in seen if notes[thing.entity_id]]
        evidence = [of_place(scope.reader, thing, notes[thing.entity_id][0]) for thing in seen[:MAX_LISTED]]
    else:
        evidence = [of_appearance(scope.reader, thing, scope.spans[thing.entity_id][0]) for thing in seen[:MAX_LISTED]]
    place = f" at the {' '.join(query.region)}" if query.region else ""
    if not seen:
        name = query.subject.text if query.subject else "thing that I know"
        text = f"I did not see any {name}{place}{scope.when()}."
        return Answer(text, round(0.75 * scope.share, 3), "not_observed")
    text = f"{counted(seen)}{place}{scope.when()}: {listed(_line(scope, thing) for thing in seen)}."
    if scope.whole and not query.region and query.subject is None:
        cuts = scope.reader.happenings(("cut",))
        text = f"In {plural('shot', len(cuts) + 1)} I saw {text}"
    return Answer(text, scope.confidence(seen), "answered", tuple(evidence))


def answer_what_happened(scope: Scope) -> Answer:
    """What happened within the window, in order."""
    things = {thing.entity_id: thing for thing in scope.reader.things()}
    wanted = {thing.entity_id for thing in scope.things} if scope.query.subject else None
    events = [
        event
        for event in scope.reader.happenings(tuple(_TOLD), scope.window[0][0], scope.window[-1][1])
        if any(a <= event.t_ms <= b for a, b in scope.window)
        and (wanted is None or event.entity_id in wanted)
        and (event.entity_id is None or event.entity_id in things)
    ]
    if not events:
        there = f" There: {counted(scope.seen)}." if scope.seen else ""
        text = f"I saw nothing happen{scope.when()}.{there}"
        return Answer(text, round(0.75 * scope.share, 3), "not_observed")
    # summaries of their own kind come with long windows: the first and the last, not thousands
    told = [_event(event, things.get(event.entity_id or -1)) for event in events]
    if len(told) > _MAX_EVENTS:
        half = _MAX_EVENTS // 2
        told = [*told[:half], f"{len(told) - _MAX_EVENTS} more", *told[-half:]]
    evidence = tuple(_of_event(scope, event, things.get(event.entity_id or -1)) for event in events[:MAX_LISTED])
    text = "; ".join(told) + "."
    return Answer(text[0].upper() + text[1:], scope.confidence(scope.seen), "answered", evidence)


def answer_what_is(scope: Scope) -> Answer:
    """What a certain object is."""
    thing = scope.things[0]
    votes = f" ({thing.confidence:.0%} of the votes)" if thing.class_name else ""
    kind = f"a {thing.class_name}{votes}" if thing.class_name else "a thing of a kind that I could not tell"
    label = f', called "{thing.label}" by the user' if thing.label else ""
    colour = f", mostly {thing.colour}" if thing.colour else ""
    spans = scope.reader.appearances([thing.entity_id])
    times = listed(stretch(span) for span in spans)
    evidence = tuple(of_appearance(scope.reader, thing, span) for span in spans[:MAX_LISTED])
    text = f"Object {thing.object_id} is {kind}{label}{colour}; seen {times}."
    return Answer(text, scope.confidence([thing]), "answered", evidence)


def _line(scope: Scope, thing: Thing) -> str:
    spans = scope.spans[thing.entity_id]
    more = f" and {len(spans) - 1} more times" if len(spans) > 1 else ""
    return f"{called(thing)} {stretch(spans[0])}{more}"


def _event(event: Happening, thing: Thing | None) -> str:
    who = f"{called(thing)} " if thing else ""
    detail = f" {event.detail}" if event.kind in ("count", "camera") else ""
    place = f" ({event.detail})" if event.detail and not detail else ""
    return f"{who}{_TOLD[event.kind]}{detail}{place} at {cited(event.t_ms, event.frame)}"


def _of_event(scope: Scope, event: Happening, thing: Thing | None) -> Evidence:
    return Evidence(
        event.t_ms / 1000,
        event.t_ms / 1000,
        event.frame,
        thing.object_id if thing else None,
        thing.class_name if thing else "",
        _event(event, thing),
        scope.reader.picture(event.t_ms, event.t_ms - 1000, event.t_ms + 1000),
    )
