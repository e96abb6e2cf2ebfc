"""How long things were away: between two times at which they were seen, where the picture was looked at."""

from __future__ import annotations

from collections.abc import Sequence

from memory_bank.episodes.facts import Thing, VisibleSpan
from pipelines.answer.intervals import Interval, intersect, total, union
from pipelines.answer.operations.moments import all_spans
from pipelines.answer.phrase import called, cited, ending, listed, of_span, seconds, stretch
from pipelines.answer.scope import Scope
from streamvos.answers import Answer, clock

Seen = tuple[Thing, VisibleSpan]


def answer_how_long_away(scope: Scope) -> Answer:
    """For how long none of the things was there, from when one was first seen on.

    What follows the last sighting is told apart: nobody knows whether it would have come back.
    """
    spans = all_spans(scope, scope.things)
    seen = [(thing, span) for thing in scope.things for span in spans.get(thing.entity_id, [])]
    seen.sort(key=lambda pair: (pair[1].from_ms, pair[1].span_id))
    looked_at = [(s.from_ms, s.to_ms) for s in scope.reader.coverage() if s.status == "processed"]
    window = [(a, b) for a, b in intersect(scope.window, looked_at) if b > a]
    away, last = _absences(seen, window)
    name = called(seen[0][0]) if len(scope.things) == 1 and seen else f"the {scope.query.subject.text}"  # type: ignore[union-attr]
    if not away and not last:
        told = listed(f"{called(thing)} was there {stretch(span)} and {ending(span)}" for thing, span in seen)
        text = f"I did not see {name} leave{scope.when()}.{f' {told}.' if told else ''}"
        return scope.not_observed(text, scope.evidence(seen))
    parts = []
    if away:
        times = listed(_between(seen, stretch) for stretch in away)
        parts.append(f"{name} was away for {seconds(total(away))}{scope.when()}: {times}.")
    if last:
        thing, span = max(seen, key=lambda pair: pair[1].to_ms)
        parts.append(
            f"{called(thing)} was last seen at {cited(span.to_ms, span.to_frame)} and did not come back: "
            f"{seconds(total(last))} from {clock(last[0][0])} up to {clock(last[-1][1])}."
        )
    before = [[pair for pair in seen if pair[1].to_ms <= begin] for begin, _ in [*away, *last]]
    left = list(dict.fromkeys(max(pairs, key=lambda pair: pair[1].to_ms) for pairs in before if pairs))
    evidence = tuple(of_span(scope.reader, thing, span, "to") for thing, span in left[:8])
    return Answer(" ".join(parts), scope.confidence([thing for thing, _ in left]), "answered", evidence)


def _absences(seen: Sequence[Seen], window: Sequence[Interval]) -> tuple[list[Interval], list[Interval]]:
    """Within the window: the stretches between sightings, and what lies behind the last one."""
    there = union((span.from_ms, span.to_ms) for _, span in seen)
    if not there or not window:
        return [], []
    between = [(before[1], after[0]) for before, after in zip(there, there[1:], strict=False)]
    behind = [(there[-1][1], max(there[-1][1], window[-1][1]))]
    away, last = ([(a, b) for a, b in intersect(part, window) if b > a] for part in (between, behind))
    still = {None, "end", "gap"} & {span.ended for _, span in seen if span.to_ms == there[-1][1]}
    return away, [] if still else last


def _between(seen: Sequence[Seen], away: Interval) -> str:
    left = next((span for _, span in seen if span.to_ms == away[0]), None)
    back = next((span for _, span in seen if span.from_ms == away[1]), None)
    begin = cited(away[0], left.to_frame) if left else clock(away[0])
    return f"{begin} to {cited(away[1], back.from_frame) if back else clock(away[1])}"
