"""Operations about looks and places: where things were, which colour they had."""

from __future__ import annotations

from memory_bank.episodes.facts import Observation, Thing
from pipelines.answer.abstain import ambiguous
from pipelines.answer.operations.moments import moments_of, pick, refuse_several, things_of
from pipelines.answer.phrase import MAX_LISTED, PAST, called, cited, listed, of_observation, of_span, unseen
from pipelines.answer.scope import Scope
from streamvos.answers import Answer

_SAMPLE_MS = 1500  # an observation this near to a time speaks for it


def observations_of(scope: Scope, thing: Thing) -> list[Observation]:
    """The observations of a thing within the window; for one time, the nearest one of the span that holds it."""
    if scope.at_ms is None:
        begin, end = scope.window[0][0], scope.window[-1][1]
        found = scope.reader.observations([thing.entity_id], begin, end)
        return [one for one in found if any(a <= one.t_ms <= b for a, b in scope.window)]
    spans = scope.spans.get(thing.entity_id, [])
    if not spans:
        return []
    found = scope.reader.observations([thing.entity_id], spans[0].from_ms, spans[-1].to_ms)
    return [min(found, key=lambda one: (abs(one.t_ms - scope.at_ms), one.t_ms))] if found else []


def in_region(scope: Scope, thing: Thing) -> list[Observation]:
    """Those observations of a thing that lie in the part of the picture asked about."""
    return [one for one in observations_of(scope, thing) if set(scope.query.region) <= set(one.region.split())]


def answer_where(scope: Scope) -> Answer:
    """In which part of the picture things were: at one time, when they came or left, or all along."""
    if answer := refuse_several(scope):
        return answer
    query = scope.query
    subject = query.subject
    if subject is None:
        return Answer('Where is what? Name a thing, as in "where was the dog?".', 0.8, "not_understood")
    if query.verb != "visible" or query.which is not None:
        return _where_moment(scope)
    paths = {thing.entity_id: _path(observations_of(scope, thing)) for thing in scope.seen}
    seen = [thing for thing in scope.seen if paths[thing.entity_id]]
    if not seen:
        return scope.not_observed(f"I did not see the {subject.text}{scope.when()}.")
    parts, evidence = [], []
    for thing in seen:
        path = paths[thing.entity_id][:6]
        parts.append(f"{called(thing)} was " + ", then ".join(_at(scope, one) for one in path))
        evidence += [of_observation(scope.reader, thing, one) for one in path]
    return Answer(f"{listed(parts)}.", scope.confidence(seen), "answered", tuple(evidence[:MAX_LISTED]))


def answer_beside(scope: Scope) -> Answer:
    """Whether one thing was to the left or right of another, by the middles of their boxes."""
    query = scope.query
    assert query.subject is not None and query.other is not None
    mine, theirs = ([t for t in found if scope.spans.get(t.entity_id)] for found in (scope.things, scope.others))
    for subject, seen in ((query.subject, mine), (query.other, theirs)):
        if not seen:
            return scope.not_observed(f"I did not see the {subject.text}{scope.when()}.")
        if len(seen) > 1:
            return ambiguous(scope.reader, subject, seen, scope.spans)
    pairs = _pairs(scope, mine[0], theirs[0])
    if not pairs:
        both = f"the {query.subject.text} and the {query.other.text}"
        return scope.not_observed(f"I did not see {both} at the same time{scope.when()}.")
    left = [_middle(one) < _middle(other) for one, other in pairs]
    holds = [is_left == (query.region == ("left",)) for is_left in left]
    said = "Yes" if all(holds) else "At times" if any(holds) else "No"
    shown = holds.index(True) if any(holds) else 0
    one, other = pairs[shown]
    side = "left" if left[shown] else "right"
    share = "" if all(holds) or not any(holds) else f", in {sum(holds) / len(holds):.0%} of the times I looked"
    text = (
        f"{said}: {called(mine[0])} was to the {side} of {called(theirs[0])}{share}, at {cited(one.t_ms, one.frame)}."
    )
    evidence = (of_observation(scope.reader, mine[0], one), of_observation(scope.reader, theirs[0], other))
    return Answer(text, scope.confidence([mine[0], theirs[0]]), "answered", evidence)


def answer_colour(scope: Scope) -> Answer:
    """Which colour things had, by the pixels inside their masks."""
    if answer := refuse_several(scope):
        return answer
    query = scope.query
    if query.subject is None:
        return Answer('The colour of what? Ask for instance "what colour was the car?".', 0.8, "not_understood")
    parts, evidence, known = [], [], []
    for thing in scope.seen:
        coloured = [one for one in observations_of(scope, thing) if one.colour]
        colour = thing.colour if scope.whole else _usual(coloured)
        if colour is None:
            continue
        shown = next((one for one in coloured if one.colour == colour), None)
        share = sum(one.colour == colour for one in coloured) / len(coloured) if coloured else 1.0
        often = "" if share > 0.8 else f", in {share:.0%} of the times I looked"
        when = f"{often}, for instance at {cited(shown.t_ms, shown.frame)}" if shown else ""
        parts.append(f"{called(thing)} was mostly {colour}{when}")
        evidence.append(
            of_observation(scope.reader, thing, shown) if shown else of_span(scope.reader, thing, scope.first(thing))
        )
        known.append((thing, share))
    if not known:
        return scope.not_observed(f"I have no colour of the {query.subject.text}{scope.when()}.", trust=0.6)
    sure = sum(share for _, share in known) / len(known)
    confidence = scope.confidence([thing for thing, _ in known]) * sure
    return Answer(f"{listed(parts)}.", round(confidence, 3), "answered", tuple(evidence[:MAX_LISTED]))


def _where_moment(scope: Scope) -> Answer:
    query = scope.query
    moments = moments_of(scope, query.verb)
    if not moments:
        name = query.subject.text if query.subject else "thing"
        return scope.not_observed(f"{unseen(f'the {name}', query.verb)}{scope.when()}.")
    picked = pick(moments, query.which)
    at_end = query.verb == "leave" or (query.verb == "visible" and query.which == "last")
    did = {"leave": "was last seen", "visible": "was"}.get(query.verb) or PAST[query.verb]
    parts, evidence = [], []
    for time, frame, span, thing in picked[:MAX_LISTED]:
        region = span.to_region if at_end else span.from_region
        parts.append(f"{called(thing)} {did} {_the(region)} at {cited(time, frame)}")
        evidence.append(of_span(scope.reader, thing, span, "to" if at_end else "from"))
    return Answer(f"{listed(parts)}.", scope.confidence(things_of(picked)), "answered", tuple(evidence))


def _pairs(scope: Scope, thing: Thing, other: Thing) -> list[tuple[Observation, Observation]]:
    """Observations of two things at the same times; for one time, the nearest of each."""
    mine, theirs = observations_of(scope, thing), observations_of(scope, other)
    if scope.at_ms is not None:
        return [(one, two) for one in mine for two in theirs]
    at = {one.t_ms: one for one in theirs}
    return [(one, at[one.t_ms]) for one in mine if one.t_ms in at]


def _middle(seen: Observation) -> float:
    return (seen.box[0] + seen.box[2]) / 2


def _path(seen: list[Observation]) -> list[Observation]:
    """Where a thing went: the first observation of each stretch in the same part of the picture."""
    path: list[Observation] = []
    for one in seen:
        if not path or path[-1].region != one.region:
            path.append(one)
    return path


def _at(scope: Scope, seen: Observation) -> str:
    told = f"{_the(seen.region)} at {cited(seen.t_ms, seen.frame)}"
    if scope.at_ms is not None and abs(seen.t_ms - scope.at_ms) > _SAMPLE_MS:
        told += " (the nearest note that is kept)"
    return told


def _the(region: str) -> str:
    if region == "middle":
        return "in the middle"
    if region in ("left", "right"):
        return f"on the {region}"
    return f"at the {region}"


def _usual(seen: list[Observation]) -> str | None:
    colours = [one.colour for one in seen if one.colour]
    return max(sorted(set(colours)), key=colours.count) if colours else None
