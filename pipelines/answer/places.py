"""Operations about looks and places: where things were, which colour they had."""

from __future__ import annotations

from memory_bank.episodes.facts import Place, Thing
from pipelines.answer.phrase import MAX_LISTED, called, cited, listed, of_appearance, of_place
from pipelines.answer.plan import Scope, ambiguous
from pipelines.answer.times import moments_of, refuse_several
from streamvos.answers import Answer

_SAMPLE_MS = 1500  # a note of place this near to a time speaks for it


def in_region(scope: Scope, thing: Thing) -> list[Place]:
    """The notes of a thing in the part of the picture asked about, within the window."""
    places = places_of(scope, thing)
    return [place for place in places if set(scope.query.region) <= set(place.region.split())]


def places_of(scope: Scope, thing: Thing) -> list[Place]:
    """The notes of a thing within the window; for one time, the nearest note of the appearance that holds it."""
    if scope.at_ms is None:
        begin, end = scope.window[0][0], scope.window[-1][1]
        places = scope.reader.places([thing.entity_id], begin, end)
        return [place for place in places if any(a <= place.t_ms <= b for a, b in scope.window)]
    spans = scope.spans.get(thing.entity_id, [])
    if not spans:
        return []
    places = scope.reader.places([thing.entity_id], spans[0].from_ms, spans[-1].to_ms)
    return [min(places, key=lambda place: (abs(place.t_ms - scope.at_ms), place.t_ms))] if places else []


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
    seen = [thing for thing in scope.seen if places_of(scope, thing)]
    if not seen:
        text = f"I did not see the {subject.text}{scope.when()}."
        return Answer(text, round(0.75 * scope.share, 3), "not_observed")
    parts, evidence = [], []
    for thing in seen:
        path = _path(places_of(scope, thing))
        parts.append(f"{called(thing)} was " + ", then ".join(_at(scope, place) for place in path[:6]))
        evidence += [of_place(scope.reader, thing, place) for place in path[:6]]
    return Answer(f"{listed(parts)}.", scope.confidence(seen), "answered", tuple(evidence[:MAX_LISTED]))


def answer_beside(scope: Scope) -> Answer:
    """Whether one thing was to the left or right of another, by the middles of their boxes."""
    query = scope.query
    assert query.subject is not None and query.other is not None
    mine, theirs = ([t for t in found if scope.spans.get(t.entity_id)] for found in (scope.things, scope.others))
    for subject, seen in ((query.subject, mine), (query.other, theirs)):
        if not seen:
            text = f"I did not see the {subject.text}{scope.when()}."
            return Answer(text, round(0.75 * scope.share, 3), "not_observed")
        if len(seen) > 1:
            return ambiguous(scope.reader, subject, seen, scope.spans)
    pairs = _pairs(scope, mine[0], theirs[0])
    if not pairs:
        text = f"I did not see the {query.subject.text} and the {query.other.text} at the same time{scope.when()}."
        return Answer(text, round(0.75 * scope.share, 3), "not_observed")
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
    evidence = (of_place(scope.reader, mine[0], one), of_place(scope.reader, theirs[0], other))
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
        noted = [place for place in places_of(scope, thing) if place.colour]
        colour = thing.colour if scope.whole else (noted[0].colour if scope.point and noted else _usual(noted))
        if colour is None:
            continue
        place = next((place for place in noted if place.colour == colour), None)
        when = f" at {cited(place.t_ms, place.frame)}" if place else ""
        share = sum(note.colour == colour for note in noted) / len(noted) if noted else 1.0
        often = "" if share > 0.8 else f", in {share:.0%} of the times I looked"
        parts.append(f"{called(thing)} was mostly {colour}{often}, for instance{when}" if when else "")
        evidence.append(
            of_place(scope.reader, thing, place)
            if place
            else of_appearance(scope.reader, thing, scope.spans[thing.entity_id][0])
        )
        parts[-1] = parts[-1] or f"{called(thing)} was mostly {colour}"
        known.append((thing, share))
    if not known:
        text = f"I have no colour of the {query.subject.text}{scope.when()}."
        return Answer(text, round(0.6 * scope.share, 3), "not_observed")
    sure = sum(share for _, share in known) / len(known)
    confidence = scope.confidence([thing for thing, _ in known]) * sure
    return Answer(f"{listed(parts)}.", round(confidence, 3), "answered", tuple(evidence[:MAX_LISTED]))


def _where_moment(scope: Scope) -> Answer:
    query = scope.query
    moments = moments_of(scope, query.verb)
    if not moments:
        name = query.subject.text if query.subject else "thing"
        did = {"appear": "appear", "leave": "leave", "return": "come back"}.get(query.verb, "")
        text = f"I did not see the {name} {did}".rstrip() + f"{scope.when()}."
        return Answer(text, round(0.75 * scope.share, 3), "not_observed")
    picked = moments[-1:] if query.which == "last" else moments[:1] if query.which == "first" else moments
    parts, evidence = [], []
    for time, frame, span, thing in picked[:MAX_LISTED]:
        at_end = query.verb == "leave" or (query.verb == "visible" and query.which == "last")
        region = span.to_region if at_end else span.from_region
        did = {"appear": "appeared", "leave": "was last seen", "return": "came back"}.get(query.verb, "was")
        parts.append(f"{called(thing)} {did} {_the(region)} at {cited(time, frame)}")
        evidence.append(of_appearance(scope.reader, thing, span, "to" if at_end else "from"))
    things = list({moment[3].entity_id: moment[3] for moment in picked}.values())
    return Answer(f"{listed(parts)}.", scope.confidence(things), "answered", tuple(evidence))


def _pairs(scope: Scope, thing: Thing, other: Thing) -> list[tuple[Place, Place]]:
    """Notes of two things at the same times; for one time, the nearest of each."""
    mine, theirs = places_of(scope, thing), places_of(scope, other)
    if scope.at_ms is not None:
        return [(one, two) for one in mine for two in theirs]
    at = {place.t_ms: place for place in theirs}
    return [(place, at[place.t_ms]) for place in mine if place.t_ms in at]


def _middle(place: Place) -> float:
    return (place.box[0] + place.box[2]) / 2


def _path(places: list[Place]) -> list[Place]:
    """Where a thing went: the first note of each stretch in the same part of the picture."""
    path: list[Place] = []
    for place in places:
        if not path or path[-1].region != place.region:
            path.append(place)
    return path


def _at(scope: Scope, place: Place) -> str:
    told = f"{_the(place.region)} at {cited(place.t_ms, place.frame)}"
    if scope.at_ms is not None and abs(place.t_ms - scope.at_ms) > _SAMPLE_MS:
        told += " (the nearest note that is kept)"
    return told


def _the(region: str) -> str:
    if region == "middle":
        return "in the middle"
    if region in ("left", "right"):
        return f"on the {region}"
    return f"at the {region}"


def _usual(places: list[Place]) -> str | None:
    colours = [place.colour for place in places if place.colour]
    return max(sorted(set(colours)), key=colours.count) if colours else None
