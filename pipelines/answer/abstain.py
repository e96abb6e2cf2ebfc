"""The ways of not answering, told apart: a word that cannot be detected, a time that was not looked at, a thing that
was not observed, a question that fits several things.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memory_bank.episodes.facts import Thing, VisibleSpan
from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer import vocabulary
from pipelines.answer.phrase import called, cited, counted, listed, of_span
from pipelines.answer.query import Query, Subject
from streamvos.answers import Answer, clock
from streamvos.models.minilm import SentenceEncoder

ABLE = "I can say when, how long, how often, how many, what, where, which colour, and whether something was there."


class Abstain(Exception):
    """Carries the answer that says why there is none."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


def refuse_unknown(query: Query, encoder: Callable[[], SentenceEncoder | None]) -> None:
    """Refuse a question with words that no rule uses.

    Raises:
        Abstain: there are such words.
    """
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


def refuse_placed(query: Query) -> None:
    """Refuse a question about how things lie to each other, other than left and right.

    Raises:
        Abstain: the question is one.
    """
    if query.placed:
        text = (
            f'I cannot tell what was "{query.placed}": I know in which part of the picture each thing was, not how '
            "things touch or hold each other. Ask where each was, or whether one was to the left of the other."
        )
        raise Abstain(Answer(text, 0.9, "not_detectable"))


def refuse_same(query: Query) -> None:
    """Refuse to compare two words for the same class, such as man and woman.

    Raises:
        Abstain: the question does that.
    """
    other = query.other or (query.anchor.subject if query.anchor else None)
    if query.subject is None or other is None or not query.subject.classes & other.classes:
        return
    words = {query.subject.narrower or "", other.narrower or ""}
    if len(words) > 1:
        kind = " or ".join(sorted(query.subject.classes & other.classes))
        text = f"I cannot tell the {query.subject.text} from the {other.text}: I know both as {kind}. Use numbers."
        raise Abstain(Answer(text, 0.9, "not_detectable"))


def which_is_meant(subject: Subject, things: Sequence[Thing], reader: EpisodeReader) -> Answer:
    """The answer to a question about "it": lists what it may be."""
    text = f'I do not know what "{subject.text}" stands for; I saw: {counted(things) or "nothing"}. Name one.'
    firsts = [(thing, reader.spans([thing.entity_id])[:1]) for thing in things[:8]]
    evidence = tuple(of_span(reader, thing, span) for thing, first in firsts for span in first)
    return Answer(text, 0.9, "ambiguous", evidence)


def ambiguous(
    reader: EpisodeReader, subject: Subject, chosen: Sequence[Thing], spans: Mapping[int, Sequence[VisibleSpan]]
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
    evidence = tuple(of_span(reader, thing, spans[thing.entity_id][0]) for thing in there[:8])
    return Answer(text, 0.8, "ambiguous", evidence)


def absent(subject: Subject, things: Sequence[Thing], reader: EpisodeReader) -> Answer:
    """The answer to a question about a thing that was never seen."""
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
