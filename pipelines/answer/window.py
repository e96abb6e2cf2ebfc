"""Which times a question is about: by the clock, by shots, by events; and whether they were looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from memory_bank.episodes.facts import CoverageSpan, Thing
from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer.abstain import Abstain, ambiguous
from pipelines.answer.intervals import Interval, intersect, total, union
from pipelines.answer.phrase import MAX_LISTED, PLAIN, called, cited, listed, of_span
from pipelines.answer.query import Anchor, ClockTime, Query
from pipelines.answer.selection import choose, spans_within, times_of
from streamvos.answers import Answer, Evidence, clock

ROUNDING_MS = 50  # of the tenths of seconds that `clock` writes
_SLACK_MS = 500  # a time this close to what was looked at counts as looked at


class Covered:
    """What was looked at.

    Raises:
        Abstain: nothing was.
    """

    def __init__(self, reader: EpisodeReader) -> None:
        self.stretches = reader.coverage()
        self.processed = union((s.from_ms, s.to_ms) for s in self.stretches if s.status == "processed")
        if not self.processed:
            raise Abstain(Answer("Nothing of this video has been looked at yet.", 1.0, "not_covered"))
        self.begin, self.end = self.processed[0][0], self.processed[-1][1]

    @property
    def gaps(self) -> list[CoverageSpan]:
        return [stretch for stretch in self.stretches if stretch.status == "gap"]


@dataclass
class Window:
    """The times asked about.

    Args:
        stretches: in order, never empty.
        whole: they are the whole video.
        at_ms: the one time that the question is about; the stretches are as wide as it was written.
        notes: what must be said beside the answer.
        proofs: what shows that the times are right, where an event tells them.
    """

    stretches: list[Interval]
    whole: bool
    at_ms: int | None = None
    notes: list[str] = field(default_factory=list)
    proofs: list[Evidence] = field(default_factory=list)


def find_window(query: Query, reader: EpisodeReader, covered: Covered, things: list[Thing]) -> Window:
    """The times that a query is about.

    Raises:
        Abstain: they were not looked at, do not overlap, or there are none.
    """
    window = Window([(covered.begin, covered.end)], whole=not query.times and query.anchor is None)
    points = {time.from_ms for time in query.times if time.is_instant}
    if len(points) > 1:
        told = " and ".join(clock(time) for time in sorted(points))
        text = f'I can look at one time or at one stretch: ask about {told} one by one, or "from ... to ...".'
        raise Abstain(Answer(text, 0.9, "not_understood"))
    for time in query.times:
        _narrow(window, time, reader, covered)
    if query.anchor is not None:
        window.stretches = intersect(window.stretches, _by_event(query.anchor, reader, covered, things, window))
        if not window.stretches:
            raise Abstain(Answer("No time of the video fits this question.", 0.6, "not_observed"))
    window.at_ms = _instant(query, window.stretches, covered.begin)
    return window


def share_looked_at(window: Window, covered: Covered) -> float:
    """The part of the times asked about that was looked at; a note says where it is not all."""
    length = total(window.stretches)
    if not length or window.at_ms is not None:
        return 1.0
    share = total(intersect(window.stretches, covered.processed)) / length
    if share < 0.99:
        gaps = [gap for gap in covered.gaps if any(gap.from_ms < b and gap.to_ms > a for a, b in window.stretches)]
        told = listed(f"{clock(gap.from_ms)} to {clock(gap.to_ms)} ({gap.why})" for gap in gaps)
        window.notes.append(f"Not looked at: {told}." if gaps else "Some of that time was not looked at.")
    return share


def _narrow(window: Window, time: ClockTime, reader: EpisodeReader, covered: Covered) -> None:
    """Cut a window to a time by the clock."""
    begin, end = covered.begin, covered.end
    asked = _asked(time, reader, covered)
    if asked[1] < begin - _SLACK_MS or asked[0] > end + _SLACK_MS:
        raise Abstain(_not_covered(asked, covered))
    if asked[0] < begin - _SLACK_MS or asked[1] > end + _SLACK_MS:
        window.notes.append(f"I looked at {clock(begin)} to {clock(end)} only.")
    inside = (min(max(asked[0], begin), end), max(min(asked[1], end), begin))
    wide = _as_written(time, asked)
    window.stretches = intersect(window.stretches, [(min(max(wide[0], begin), end), max(min(wide[1], end), begin))])
    if not window.stretches:
        text = "The times in this question do not overlap, so no time is left to look at."
        raise Abstain(Answer(text, 0.9, "not_understood"))
    if not intersect([(inside[0] - _SLACK_MS, inside[1] + _SLACK_MS), wide], covered.processed):
        raise Abstain(_not_covered(inside, covered))


def _asked(time: ClockTime, reader: EpisodeReader, covered: Covered) -> Interval:
    """The stretch that a time by the clock means, from first to last."""
    begin, end = covered.begin, covered.end
    if time.shot is not None:
        return _of_shot(time.shot, reader, covered)
    if time.at_end:
        return end, end
    if time.at_start:
        return begin, begin + min(1000, end - begin)
    if time.share is not None:
        length = end - begin
        return begin + round(time.share[0] * length), begin + round(time.share[1] * length)
    if time.last_ms is not None:
        return max(begin, end - time.last_ms), end
    shift = begin if time.from_start else 0
    first = begin if time.from_ms is None else time.from_ms + shift
    last = max(first, end) if time.to_ms is None else time.to_ms + shift
    return first, last


def _as_written(time: ClockTime, asked: Interval) -> Interval:
    """One time as the stretch of all times that are written so, with the rounding of `clock`."""
    if not time.is_instant:
        return asked
    rounding = min(ROUNDING_MS, time.width_ms // 2)
    return asked[0] - rounding, asked[0] - rounding + time.width_ms - 1


def _of_shot(shot: int, reader: EpisodeReader, covered: Covered) -> Interval:
    starts = [covered.begin, *(event.t_ms for event in reader.events(("cut",)))]
    if shot == -1:
        return starts[-1], covered.end
    if not 1 <= shot <= len(starts):
        text = f"There is no shot {shot}: I saw {len(starts)} in what I looked at."
        raise Abstain(Answer(text, 0.9, "not_observed"))
    return starts[shot - 1], starts[shot] - 1 if shot < len(starts) else covered.end


def _by_event(
    anchor: Anchor, reader: EpisodeReader, covered: Covered, things: list[Thing], window: Window
) -> list[Interval]:
    """The stretches that an event tells; its proof goes to the window."""
    begin, end = covered.begin, covered.end
    chosen = choose(anchor.subject, things, reader)
    spans = spans_within(reader, chosen, [(begin, end)])
    if anchor.subject.definite and len(chosen) > 1 and anchor.subject.ordinal is None:
        raise Abstain(ambiguous(reader, anchor.subject, chosen, spans))
    in_order = sorted((s for found in spans.values() for s in found), key=lambda s: (s.from_ms, s.span_id))
    verb = anchor.verb or "appear"
    by_id = {thing.entity_id: thing for thing in chosen}
    if anchor.relation == "while":
        window.proofs += [of_span(reader, by_id[s.entity_id], s) for s in in_order[:MAX_LISTED]]
        return union((s.from_ms, s.to_ms) for s in in_order)
    if verb == "visible" and anchor.relation == "after":
        moments = [(s.to_ms, s.to_frame, s) for s in in_order[-1:]]
    else:
        moments = sorted((moment for found in spans.values() for moment in times_of(verb, found)), key=lambda m: m[:2])
    if not moments:
        text = f"I did not see the {anchor.subject.text} {PLAIN[verb] or 'at all'} in what I looked at."
        raise Abstain(Answer(text, 0.7, "not_observed"))
    time, frame, span = moments[0]
    thing = by_id[span.entity_id]
    window.proofs.append(of_span(reader, thing, span, "to" if time == span.to_ms else "from"))
    nth = f", the first of {len(moments)} times" if len(moments) > 1 else ""
    window.notes.append(f"({called(thing)}: {cited(time, frame)}{nth}.)")
    if anchor.relation == "before":
        return [(begin, max(begin, time - 1))]
    if anchor.relation == "after":
        return [(min(time + 1, end), end)]
    return [(max(begin, time - _SLACK_MS), min(end, time + _SLACK_MS))]


def _instant(query: Query, stretches: list[Interval], begin: int) -> int | None:
    """The one time that a question is about; None where it is about a stretch."""
    for time in query.times:
        if time.is_instant and time.from_ms is not None:
            return time.from_ms + (begin if time.from_start else 0)
    return stretches[0][0] if all(a == b for a, b in stretches) else None


def _not_covered(asked: Interval, covered: Covered) -> Answer:
    said = clock(asked[0]) if asked[0] == asked[1] else f"{clock(asked[0])} to {clock(asked[1])}"
    gap = next((gap for gap in covered.gaps if gap.from_ms <= asked[0] and gap.to_ms >= asked[1]), None)
    why = f" ({gap.why})" if gap else ""
    text = f"I did not look at {said}{why}; I looked at {clock(covered.begin)} to {clock(covered.end)}."
    return Answer(text, 0.95, "not_covered")
