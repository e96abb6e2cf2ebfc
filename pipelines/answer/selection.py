"""Which things a question means, and which of their spans lie within the times asked about."""

from __future__ import annotations

from collections.abc import Sequence

from memory_bank.episodes.facts import Thing, VisibleSpan
from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer import vocabulary
from pipelines.answer.abstain import Abstain, absent, which_is_meant
from pipelines.answer.intervals import Interval
from pipelines.answer.parsing.names import class_words, fold
from pipelines.answer.phrase import called, counted, listed
from pipelines.answer.query import Subject, Verb
from streamvos.answers import Answer


def choose(subject: Subject | None, things: list[Thing], reader: EpisodeReader) -> list[Thing]:
    """The things that a subject means; all where there is none.

    Raises:
        Abstain: there is no such thing, or nobody can say which is meant.
    """
    if subject is None:
        return things
    if subject.pronoun:
        raise Abstain(which_is_meant(subject, things, reader))
    chosen = [thing for thing in things if _matches(subject, thing)]
    if not chosen:
        raise Abstain(absent(subject, things, reader))
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


def spans_within(
    reader: EpisodeReader, things: Sequence[Thing], window: Sequence[Interval]
) -> dict[int, list[VisibleSpan]]:
    """The spans of things that touch a window, whole, by entity."""
    wanted = {thing.entity_id for thing in things}
    found: dict[int, list[VisibleSpan]] = {}
    for span in reader.spans(sorted(wanted), window[0][0], window[-1][1]):
        if any(span.from_ms <= b and span.to_ms >= a for a, b in window):
            found.setdefault(span.entity_id, []).append(span)
    return found


def times_of(verb: Verb, spans: Sequence[VisibleSpan]) -> list[tuple[int, int, VisibleSpan]]:
    """(time in ms, frame, span) of each time that a thing did something, from all its spans in order."""
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


def _matches(subject: Subject, thing: Thing) -> bool:
    """Whether a subject means a thing, colour and order aside."""
    if subject.object_id is not None:
        return thing.object_id == subject.object_id
    if subject.label is not None:
        asked = fold(subject.label)
        return fold(thing.label or "") == asked or asked in map(fold, class_words(thing.class_name))
    if not subject.classes:
        return True
    labelled = vocabulary.classes_of(fold(thing.label or "")) or frozenset()
    return thing.class_name in subject.classes or bool(labelled & subject.classes)
