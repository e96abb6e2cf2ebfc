"""From a query to a scope: which things, within which times, and how much of those times was looked at.

Here the four ways of not answering are told apart: a word that cannot be detected, a time that was not looked
at, a thing that was not observed, and a question that fits several things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from memory_bank.episodes.facts import Appearance, Stretch, Thing
from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer import vocabulary
from pipelines.answer.intervals import Interval, intersect, total, union
from pipelines.answer.phrase import MAX_LISTED, called, cited, counted, listed, of_appearance
from pipelines.answer.query import Anchor, Query, Span, Subject, Verb
from streamvos.answers import Answer, Evidence, clock
from streamvos.models.minilm import SentenceEncoder

ABLE = "I can say when, how long, how often, how many, what, where, which colour, and whether something was there."
_SLACK_MS = 500  # a time this close to what was looked at counts as looked at


@dataclass(frozen=True)
class Scope:
    """What an operation works on.

    Args:
        things: those the question is about; all things where it names none.
        others: those it compares with.
        window: times asked about, in order.
        at_ms: the one time that the question is about; the window is as wide as it was written.
        whole: the question is about the whole video.
        spans: appearances within the window by thing, cut to it in `clipped`.
        share: part of the window that was looked at.
        notes: what must be said beside the answer.
        proofs: what shows that the times asked about are right, where an event tells them.
    """

    reader: EpisodeReader
    query: Query
    things: list[Thing]
    others: list[Thing]
    window: list[Interval]
    at_ms: int | None
    whole: bool
    spans: dict[int, list[Appearance]]
    share: float
    notes: list[str] = field(default_factory=list)
    proofs: list[Evidence] = field(default_factory=list)

    @property
    def point(self) -> bool:
        """Whether the question is about one time."""
        return self.at_ms is not None

    @property
    def seen(self) -> list[Thing]:
        """The things that were there within the window."""
        return [thing for thing in self.things if self.spans.get(thing.entity_id)]

    def clipped(self, thing: Thing) -> list[Interval]:
        """When a thing was there, within the window."""
        stretches = [(span.from_ms, span.to_ms) for span in self.spans.get(thing.entity_id, [])]
        return intersect(stretches, self.window)

    def when(self) -> str:
        """The times asked about, as a sentence says them; "" where it is the whole video."""
        if self.whole:
            return ""
        if self.at_ms is not None:
            return f" at {clock(self.at_ms)}"
        return " " + " and ".join(f"between {clock(a)} and {clock(b)}" for a, b in self.window[:3])

    def confidence(self, things: list[Thing]) -> float:
        """Trust in a statement about things: the tracker's scores, the votes on the class, and the coverage."""
        scores = [span.score for thing in things for span in self.spans.get(thing.entity_id, [])]
        votes = [thing.confidence for thing in things]
        if not scores:
            return round(0.8 * self.share, 3)
        value = sum(scores) / len(scores) * sum(votes) / len(votes) * self.share
        return round(min(1.0, max(0.0, value)), 3)


class Abstain(Exception):
    """Carries the answer that says why there is none."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


def make_scope(query: Query, reader: EpisodeReader, encoder: Callable[[], SentenceEncoder | None]) -> Scope:
    """Resolve times and things of a query.

    Raises:
        Abstain: with the reason why the question cannot be answered.
    """
    _refuse_unknown(query, encoder)
    _refuse_same(query)
    coverage = reader.coverage()
    processed = union((s.from_ms, s.to_ms) for s in coverage if s.status == "processed")
    if not processed:
        raise Abstain(Answer("Nothing of this video has been looked at yet.", 1.0, "not_covered"))
    things = reader.things()
    notes: list[str] = []
    proofs: list[Evidence] = []
    window, whole = _window(query, reader, coverage, processed, things, notes, proofs)
    looked_at = intersect(window, processed)
    at_ms = _instant(query, window, processed[0][0])
    share = total(looked_at) / total(window) if total(window) and at_ms is None else 1.0
    if share < 0.99:
        notes.append(_uncovered(window, coverage))
    chosen = _choose(query.subject, things, reader, query)
    others = _choose(query.other, things, reader, query) if query.other else []
    if query.subject and query.subject.narrower:
        kinds = " or ".join(sorted(query.subject.classes))
        notes.append(f"I cannot tell a {vocabulary.singular(query.subject.narrower)} from any other {kinds}.")
    spans = _spans_within(reader, [*chosen, *others], window)
    return Scope(reader, query, chosen, others, window, at_ms, whole, spans, share, notes, proofs)


def matches(subject: Subject, thing: Thing) -> bool:
    """Whether a subject means a thing, colour and order aside."""
    if subject.object_id is not None:
        return thing.object_id == subject.object_id
    if subject.label is not None:
        return (thing.label or "").lower() == subject.label
    if not subject.classes:
        return True
    labelled = vocabulary.classes_of((thing.label or "").lower()) or frozenset()
    return thing.class_name in subject.classes or bool(labelled & subject.classes)


def times_of(verb: Verb, spans: list[Appearance]) -> list[tuple[int, int, Appearance]]:
    """(time, frame, appearance) of each time that a thing did something, from all its appearances in order."""
    starts = [(span.from_ms, span.from_frame, span) for span in spans]
    if verb == "appear":
        return starts[:1]
    if verb == "return":  # what follows a gap may never have been away
        return [
            start for start, before in zip(starts[1:], spans[:-1], strict=True) if before.ended not in ("gap", None)
        ]
    if verb == "leave":
        return [(s.to_ms, s.to_frame, s) for s in spans if s.ended not in (None, "end", "gap")]
    return starts


def _spans_within(reader: EpisodeReader, things: list[Thing], window: list[Interval]) -> dict[int, list[Appearance]]:
    wanted = {thing.entity_id for thing in things}
    found: dict[int, list[Appearance]] = {}
    for span in reader.appearances(sorted(wanted), window[0][0], window[-1][1]):
        if any(span.from_ms <= b and span.to_ms >= a for a, b in window):
            found.setdefault(span.entity_id, []).append(span)
    return found


def _refuse_unknown(query: Query, encoder: Callable[[], SentenceEncoder | None]) -> None:
    if not query.unknown:
        return
    nouns = [word for word in dict.fromkeys(query.unknown) if vocabulary.is_noun(word)]
    if not nouns:
        grammar = [word for word in dict.fromkeys(query.unknown) if vocabulary.classes_of(word) is None]
        words = ", ".join(f'"{word}"' for word in grammar or query.unknown)
        raise Abstain(Answer(f"I do not understand {words} in this question; {ABLE}", 0.2, "not_understood"))
    words = ", ".join(f'"{word}"' for word in nouns)
    near = next((found for word in nouns if (found := vocabulary.suggest(word, encoder()))), None)
    hint = f" Did you mean {near}?" if near else ""
    text = (
        f"I cannot detect {words}. I know the 80 kinds of things of COCO, when and where they are seen, and their "
        f"colour.{hint}"
    )
    raise Abstain(Answer(text, 0.9, "not_detectable"))


def _refuse_same(query: Query) -> None:
    """Two words for the same class, such as man and woman, cannot be compared."""
    other = query.other or (query.anchor.subject if query.anchor else None)
    if query.subject is None or other is None or not query.subject.classes & other.classes:
        return
    words = {query.subject.narrower or "", other.narrower or ""}
    if len(words) > 1:
        kind = " or ".join(sorted(query.subject.classes & other.classes))
        text = f"I cannot tell the {query.subject.text} from the {other.text}: I know both as {kind}. Use numbers."
        raise Abstain(Answer(text, 0.9, "not_detectable"))


def _window(
    query: Query,
    reader: EpisodeReader,
    coverage: list[Stretch],
    processed: list[Interval],
    things: list[Thing],
    notes: list[str],
    proofs: list[Evidence],
) -> tuple[list[Interval], bool]:
    begin, end = processed[0][0], processed[-1][1]
    window: list[Interval] = [(begin, end)]
    points = {span.from_ms for span in query.spans if span.from_ms is not None and span.from_ms == span.to_ms}
    if len(points) > 1:
        told = " and ".join(clock(time) for time in sorted(points))
        text = f'I can look at one time or at one stretch: ask about {told} one by one, or "from ... to ...".'
        raise Abstain(Answer(text, 0.9, "not_understood"))
    for span in query.spans:
        asked = _clock_window(span, begin, end, reader)
        if asked[1] < begin - _SLACK_MS or asked[0] > end + _SLACK_MS:
            raise Abstain(_not_covered(asked, coverage, begin, end))
        if asked[0] < begin - _SLACK_MS or asked[1] > end + _SLACK_MS:
            notes.append(f"I looked at {clock(begin)} to {clock(end)} only.")
        inside = (min(max(asked[0], begin), end), max(min(asked[1], end), begin))
        wide = _as_written(span, asked)
        window = intersect(window, [(min(max(wide[0], begin), end), max(min(wide[1], end), begin))])
        if not window:
            text = "The times in this question do not overlap, so no time is left to look at."
            raise Abstain(Answer(text, 0.9, "not_understood"))
        if not intersect([(inside[0] - _SLACK_MS, inside[1] + _SLACK_MS), wide], processed):
            raise Abstain(_not_covered(inside, coverage, begin, end))
    if query.anchor is not None:
        window = intersect(window, _anchor_window(query.anchor, reader, things, begin, end, notes, proofs))
        if not window:
            raise Abstain(Answer("No time of the video fits this question.", 0.6, "not_observed"))
    return window, not query.spans and query.anchor is None


def _instant(query: Query, window: list[Interval], begin: int) -> int | None:
    """The one time that a question is about; None where it is about a stretch."""
    for span in query.spans:
        if span.from_ms is not None and span.from_ms == span.to_ms:
            return span.from_ms + (begin if span.from_start else 0)
    return window[0][0] if all(a == b for a, b in window) else None


def _as_written(span: Span, asked: Interval) -> Interval:
    """One time as the stretch of all times that are written so, with the rounding of `clock`."""
    if span.from_ms is None or span.from_ms != span.to_ms:
        return asked
    rounding = min(50, span.width_ms // 2)
    return asked[0] - rounding, asked[0] - rounding + span.width_ms - 1


def _clock_window(span: Span, begin: int, end: int, reader: EpisodeReader) -> Interval:
    if span.shot is not None:
        return _shot_window(span.shot, reader, begin, end)
    if span.at_end:
        return end, end
    if span.at_start:
        return begin, begin + min(1000, end - begin)
    if span.share is not None:
        length = end - begin
        return begin + round(span.share[0] * length), begin + round(span.share[1] * length)
    if span.last_ms is not None:
        return max(begin, end - span.last_ms), end
    shift = begin if span.from_start else 0
    first = begin if span.from_ms is None else span.from_ms + shift
    last = max(first, end) if span.to_ms is None else span.to_ms + shift
    return (first, last)


def _shot_window(shot: int, reader: EpisodeReader, begin: int, end: int) -> Interval:
    starts = [begin, *(event.t_ms for event in reader.happenings(("cut",)))]
    if shot == -1:
        return starts[-1], end
    if not 1 <= shot <= len(starts):
        text = f"There is no shot {shot}: I saw {len(starts)} in what I looked at."
        raise Abstain(Answer(text, 0.9, "not_observed"))
    return starts[shot - 1], starts[shot] - 1 if shot < len(starts) else end


def _anchor_window(
    anchor: Anchor,
    reader: EpisodeReader,
    things: list[Thing],
    begin: int,
    end: int,
    notes: list[str],
    proofs: list[Evidence],
) -> list[Interval]:
    chosen = _choose(anchor.subject, things, reader, None)
    spans = _spans_within(reader, chosen, [(begin, end)])
    if anchor.subject.definite and len(chosen) > 1 and anchor.subject.ordinal is None:
        raise Abstain(ambiguous(reader, anchor.subject, chosen, spans))
    stretches = sorted((s for found in spans.values() for s in found), key=lambda s: (s.from_ms, s.span_id))
    verb = anchor.verb or "appear"
    by_id = {thing.entity_id: thing for thing in chosen}
    if anchor.relation == "while":
        proofs += [of_appearance(reader, by_id[s.entity_id], s) for s in stretches[:MAX_LISTED]]
        return union((s.from_ms, s.to_ms) for s in stretches)
    if verb == "visible" and anchor.relation == "after":
        moments = [(s.to_ms, s.to_frame, s) for s in stretches[-1:]]
    else:
        moments = sorted((moment for found in spans.values() for moment in times_of(verb, found)), key=lambda m: m[:2])
    if not moments:
        text = f"I did not see the {anchor.subject.text} {_did(verb)} in what I looked at."
        raise Abstain(Answer(text, 0.7, "not_observed"))
    time, frame, span = moments[0]
    thing = by_id[span.entity_id]
    proofs.append(of_appearance(reader, thing, span, "to" if time == span.to_ms else "from"))
    nth = f", the first of {len(moments)} times" if len(moments) > 1 else ""
    notes.append(f"({called(thing)}: {cited(time, frame)}{nth}.)")
    if anchor.relation == "before":
        return [(begin, max(begin, time - 1))]
    if anchor.relation == "after":
        return [(min(time + 1, end), end)]
    return [(max(begin, time - _SLACK_MS), min(end, time + _SLACK_MS))]


def _did(verb: Verb) -> str:
    return {"appear": "appear", "leave": "leave", "return": "come back", "visible": "at all"}[verb]


def _choose(subject: Subject | None, things: list[Thing], reader: EpisodeReader, query: Query | None) -> list[Thing]:
    """The things that a subject means.

    Raises:
        Abstain: there is none, or nobody can say which.
    """
    if subject is None:
        return things
    if subject.pronoun:
        text = f'I do not know what "{subject.text}" stands for; I saw: {counted(things) or "nothing"}. Name one.'
        spans = {thing.entity_id: reader.appearances([thing.entity_id])[:1] for thing in things[:8]}
        evidence = tuple(
            of_appearance(reader, thing, spans[thing.entity_id][0]) for thing in things[:8] if spans[thing.entity_id]
        )
        raise Abstain(Answer(text, 0.9, "ambiguous", evidence))
    chosen = [thing for thing in things if matches(subject, thing)]
    if not chosen:
        raise Abstain(_absent(subject, things, reader))
    if subject.colour is not None:
        coloured = [thing for thing in chosen if thing.colour == subject.colour]
        if not coloured:
            seen = listed(f"{called(thing)}: {thing.colour or 'colour not known'}" for thing in chosen)
            plain = subject.text.removeprefix(f"{subject.colour} ")
            text = f"I did not see a {subject.text}. What I saw of {plain}: {seen}."
            raise Abstain(Answer(text, 0.6, "not_observed"))
        chosen = coloured
    if subject.ordinal is not None:
        place = subject.ordinal - 1 if subject.ordinal > 0 else len(chosen) - 1
        if place >= len(chosen):
            text = f"I saw only {counted(chosen)}, so there is no such {subject.text}."
            raise Abstain(Answer(text, 0.7, "not_observed"))
        chosen = [chosen[place]]
    return chosen


def _absent(subject: Subject, things: list[Thing], reader: EpisodeReader) -> Answer:
    if subject.object_id is not None:
        known = listed(called(thing) for thing in things if thing.object_id is not None)
        return Answer(f"There is no object {subject.object_id}; I followed: {known or 'none'}.", 0.9, "not_observed")
    if reader.meta("detector") is None and not any(thing.class_name for thing in things):
        known = listed(called(thing) for thing in things) or "none"
        text = (
            f"I cannot tell whether there was a {subject.text}: no detector ran on this video, only the objects that "
            f"the user pointed at were followed ({known})."
        )
        return Answer(text, 0.9, "not_detectable")
    covered = [s for s in reader.coverage() if s.status == "processed"]
    looked = listed(f"{clock(s.from_ms)} to {clock(s.to_ms)}" for s in covered)
    name = subject.text or "thing"
    return Answer(f"I did not see {_article(subject)}{name} in what I looked at ({looked}).", 0.75, "not_observed")


def _article(subject: Subject) -> str:
    if subject.plural or not subject.classes:
        return ""
    return "an " if subject.text[:1] in "aeiou" else "a "


def ambiguous(
    reader: EpisodeReader, subject: Subject, chosen: list[Thing], spans: dict[int, list[Appearance]]
) -> Answer:
    """The answer to a question about one thing that fits several: lists them."""
    there = [thing for thing in chosen if spans.get(thing.entity_id)]
    parts = []
    for thing in there:
        first = spans[thing.entity_id][0]
        colour = f"{thing.colour}, " if thing.colour else ""
        parts.append(f"{called(thing)}: {colour}first at {cited(first.from_ms, first.from_frame)}")
    text = f'Several things fit "the {subject.text}": {listed(parts)}. Ask with the number, as in "object '
    text += f'{there[0].object_id or 1}".' if there else '1".'
    evidence = tuple(of_appearance(reader, thing, spans[thing.entity_id][0]) for thing in there[:8])
    return Answer(text, 0.8, "ambiguous", evidence)


def _uncovered(window: list[Interval], coverage: list[Stretch]) -> str:
    gaps = [s for s in coverage if s.status == "gap" and any(s.from_ms < b and s.to_ms > a for a, b in window)]
    told = listed(f"{clock(s.from_ms)} to {clock(s.to_ms)} ({s.why})" for s in gaps)
    return f"Not looked at: {told}." if gaps else "Some of that time was not looked at."


def _not_covered(asked: Interval, coverage: list[Stretch], begin: int, end: int) -> Answer:
    said = clock(asked[0]) if asked[0] == asked[1] else f"{clock(asked[0])} to {clock(asked[1])}"
    gap = next((s for s in coverage if s.status == "gap" and s.from_ms <= asked[0] and s.to_ms >= asked[1]), None)
    why = f" ({gap.why})" if gap else ""
    text = f"I did not look at {said}{why}; I looked at {clock(begin)} to {clock(end)}."
    return Answer(text, 0.95, "not_covered")
