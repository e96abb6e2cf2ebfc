"""From a query to a scope: which things, within which times, and how much of those times was looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from memory_bank.episodes.facts import Thing, VisibleSpan
from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer import vocabulary
from pipelines.answer.abstain import Abstain, refuse_placed, refuse_same, refuse_unknown
from pipelines.answer.intervals import Interval, intersect
from pipelines.answer.phrase import MAX_LISTED, of_span
from pipelines.answer.query import Query
from pipelines.answer.selection import choose, spans_within
from pipelines.answer.window import Covered, find_window, share_looked_at
from streamvos.answers import Answer, Evidence, clock
from streamvos.models.minilm import SentenceEncoder


@dataclass(frozen=True)
class Scope:
    """What an operation works on.

    Args:
        things: those the question is about; all things where it names none.
        others: those it compares with.
        window: times asked about, in order.
        at_ms: the one time that the question is about; the window is as wide as it was written.
        whole: the question is about the whole video.
        spans: the spans that touch the window by thing, cut to it in `clipped`.
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
    spans: dict[int, list[VisibleSpan]]
    share: float
    notes: list[str] = field(default_factory=list)
    proofs: list[Evidence] = field(default_factory=list)

    @property
    def seen(self) -> list[Thing]:
        """The things that were there within the window."""
        return [thing for thing in self.things if self.spans.get(thing.entity_id)]

    def first(self, thing: Thing) -> VisibleSpan:
        """The first span of a thing that was seen."""
        return self.spans[thing.entity_id][0]

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

    def confidence(self, things: Sequence[Thing]) -> float:
        """Trust in a statement about things: the tracker's scores, the votes on the class, and the coverage."""
        scores = [span.score for thing in things for span in self.spans.get(thing.entity_id, [])]
        votes = [thing.confidence for thing in things]
        if not scores:
            return round(0.8 * self.share, 3)
        value = sum(scores) / len(scores) * sum(votes) / len(votes) * self.share
        return round(min(1.0, max(0.0, value)), 3)

    def evidence(self, pairs: Sequence[tuple[Thing, VisibleSpan]]) -> tuple[Evidence, ...]:
        """Spans of things as evidence, of a few."""
        return tuple(of_span(self.reader, thing, span) for thing, span in pairs[:MAX_LISTED])

    def firsts(self, things: Sequence[Thing]) -> tuple[Evidence, ...]:
        """The first span of each thing as evidence, of a few."""
        return self.evidence([(thing, self.first(thing)) for thing in things[:MAX_LISTED]])

    def not_observed(self, text: str, evidence: tuple[Evidence, ...] = (), trust: float = 0.75) -> Answer:
        """The answer that nothing was seen, trusted as far as the window was looked at."""
        return Answer(text, round(trust * self.share, 3), "not_observed", evidence)


def make_scope(query: Query, reader: EpisodeReader, encoder: Callable[[], SentenceEncoder | None]) -> Scope:
    """Resolve times and things of a query.

    Raises:
        Abstain: with the reason why the question cannot be answered.
    """
    refuse_unknown(query, encoder)
    refuse_placed(query)
    refuse_same(query)
    covered = Covered(reader)
    things = reader.things()
    window = find_window(query, reader, covered, things)
    share = share_looked_at(window, covered)
    try:
        chosen = choose(query.subject, things, reader)
        others = choose(query.other, things, reader) if query.other else []
    except Abstain as abstained:
        if query.kind == "both" and abstained.answer.outcome == "not_observed":  # one that is missing decides it
            raise Abstain(replace(abstained.answer, text=f"No: {abstained.answer.text}")) from None
        raise
    if query.subject and query.subject.narrower:
        kinds = " or ".join(sorted(query.subject.classes))
        window.notes.append(f"I cannot tell a {vocabulary.singular(query.subject.narrower)} from any other {kinds}.")
    spans = spans_within(reader, [*chosen, *others], window.stretches)
    return Scope(
        reader,
        query,
        chosen,
        others,
        window.stretches,
        window.at_ms,
        window.whole,
        spans,
        share,
        window.notes,
        window.proofs,
    )
