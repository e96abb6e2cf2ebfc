"""Operations that describe: what was there, what happened, what an object is."""

from __future__ import annotations

from memory_bank.episodes.facts import StreamEvent, Thing
from pipelines.answer.operations.moments import moments_of
from pipelines.answer.operations.places import in_region
from pipelines.answer.phrase import (
    MAX_LISTED,
    called,
    cited,
    counted,
    listed,
    of_observation,
    stretch,
)
from pipelines.answer.scope import Scope
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
    if query.verb != "visible":
        did = {moment.thing.entity_id for moment in moments_of(scope, query.verb)}
        seen = [thing for thing in seen if thing.entity_id in did]
    if query.region:
        there = [(thing, found[0]) for thing in seen if (found := in_region(scope, thing))]
        seen = [thing for thing, _ in there]
        evidence = tuple(of_observation(scope.reader, thing, first) for thing, first in there[:MAX_LISTED])
    else:
        evidence = scope.firsts(seen)
    place = f" at the {' '.join(query.region)}" if query.region else ""
    if not seen:
        name = query.subject.text if query.subject else "thing that I know"
        return scope.not_observed(f"I did not see any {name}{place}{scope.when()}.")
    text = f"{counted(seen)}{place}{scope.when()}: {listed(_line(scope, thing) for thing in seen)}."
    if scope.whole and not query.region and query.subject is None:
        cuts = scope.reader.events(("cut",))
        text = f"In {plural('shot', len(cuts) + 1)} I saw {text}"
    return Answer(text, scope.confidence(seen), "answered", evidence)


def answer_what_happened(scope: Scope) -> Answer:
    """What happened within the window, in order."""
    things = {thing.entity_id: thing for thing in scope.reader.things()}
    wanted = {thing.entity_id for thing in scope.things} if scope.query.subject else None
    events = [
        event
        for event in scope.reader.events(tuple(_TOLD), scope.window[0][0], scope.window[-1][1])
        if any(a <= event.t_ms <= b for a, b in scope.window)
        and (wanted is None or event.entity_id in wanted)
        and (event.entity_id is None or event.entity_id in things)
    ]
    if not events:
        there = f" There: {counted(scope.seen)}." if scope.seen else ""
        return scope.not_observed(f"I saw nothing happen{scope.when()}.{there}")
    # summaries of their own kind come with long windows: the first and the last, not thousands
    told = [_event(event, things.get(event.entity_id or -1)) for event in events]
    if len(told) > _MAX_EVENTS:
        half = _MAX_EVENTS // 2
        told = [*told[:half], f"{len(told) - _MAX_EVENTS} more", *told[-half:]]
    evidence = tuple(_of_event(scope, event, things.get(event.entity_id or -1)) for event in events[:MAX_LISTED])
    text = "; ".join(told) + "."
    return Answer(text[0].upper() + text[1:], scope.confidence(scope.seen), "answered", evidence)


def answer_camera_motion(scope: Scope) -> Answer:
    """Where the camera went is not in the memory, only when its pose was known; says where it is."""
    known = [event for event in scope.reader.events(("camera",)) if any(a <= event.t_ms <= b for a, b in scope.window)]
    told = f" I noted: {listed(_event(event, None) for event in known)}." if known else ""
    text = (
        "The memory of a run does not hold the path of the camera, so I cannot tell how it moved; with the stage "
        f"reconstruct the path is in the run's trajectory file.{told}"
    )
    return Answer(text, 0.9, "not_detectable", tuple(_of_event(scope, event, None) for event in known[:MAX_LISTED]))


def answer_what_is(scope: Scope) -> Answer:
    """What a certain object is."""
    thing = scope.things[0]
    votes = f" ({thing.confidence:.0%} of the votes)" if thing.class_name else ""
    kind = f"a {thing.class_name}{votes}" if thing.class_name else "a thing of a kind that I could not tell"
    label = f', called "{thing.label}" by the user' if thing.label else ""
    colour = f", mostly {thing.colour}" if thing.colour else ""
    spans = scope.reader.spans([thing.entity_id])
    times = listed(stretch(span) for span in spans)
    text = f"Object {thing.object_id} is {kind}{label}{colour}; seen {times}."
    return Answer(text, scope.confidence([thing]), "answered", scope.evidence([(thing, span) for span in spans]))


def _line(scope: Scope, thing: Thing) -> str:
    spans = scope.spans[thing.entity_id]
    more = f" and {len(spans) - 1} more times" if len(spans) > 1 else ""
    return f"{called(thing)} {stretch(spans[0])}{more}"


def _event(event: StreamEvent, thing: Thing | None) -> str:
    who = f"{called(thing)} " if thing else ""
    detail = f" {event.detail}" if event.kind in ("count", "camera") else ""
    place = f" ({event.detail})" if event.detail and not detail else ""
    return f"{who}{_TOLD[event.kind]}{detail}{place} at {cited(event.t_ms, event.frame)}"


def _of_event(scope: Scope, event: StreamEvent, thing: Thing | None) -> Evidence:
    return Evidence(
        event.t_ms / 1000,
        event.t_ms / 1000,
        event.frame,
        thing.object_id if thing else None,
        thing.class_name if thing else "",
        _event(event, thing),
        scope.reader.picture(event.t_ms, event.t_ms - 1000, event.t_ms + 1000),
    )
