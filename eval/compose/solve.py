"""True answers to questions about a composed sequence, from the facts under one reading of "visible".

Each function returns the answer and the stretches of time in which its proof lies, or None where the truth is too near
a line to be asked about: moments closer together than the tolerance, sides near the middle, a state that changes while
the time named in the question passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eval.compose.visibility import Facts, Interval, Span, side_of
from eval.compose.wording import Who

Answer = dict[str, Any]
Solution = tuple[Answer, list[Interval]]

_SLACK_S = 0.5  # a state must hold for this long around the time named
_SIDE_MARGIN = 0.05  # of the width: middles nearer to a line between sides are on neither
_BESIDE_MARGIN = 0.1  # of the width: things nearer than this are not left or right of each other


def first_seen(facts: Facts, who: Who) -> Solution | None:
    """When somebody was seen first."""
    spans = facts.spans_of(who.ids)
    return _at(spans[0].from_s) if spans else None


def last_seen(facts: Facts, who: Who) -> Solution | None:
    """When somebody was seen last."""
    spans = facts.spans_of(who.ids)
    return _at(max(span.to_s for span in spans)) if spans else None


def how_long(facts: Facts, who: Who) -> Solution | None:
    """For how long somebody was visible; several at once count once."""
    there = facts.intervals(facts.any_of(who.ids))
    if not there:
        return None
    return {"type": "duration", "seconds": round(sum(b - a for a, b in there), 2)}, there


def at_once(facts: Facts, who: Who, least_s: float) -> Solution | None:
    """The most that were visible at the same time; None where that lasted for less than `least_s`."""
    number = facts.number_of(who.ids)
    most = int(number.max(initial=0))
    when = facts.intervals(number == most)
    if not most or max(b - a for a, b in when) < least_s:
        return None
    return _count(most), when


def in_all(facts: Facts, who: Who) -> Solution | None:
    """How many different ones were visible."""
    number = sum(bool(facts.spans[one]) for one in who.ids)
    return (_count(number), facts.intervals(facts.any_of(who.ids))) if number else None


def ordered(facts: Facts, who: Who, other: Who, sign: int, apart_s: float) -> Solution | None:
    """Whether one was first seen before (`sign` 1) or after (-1) another."""
    mine, theirs = facts.spans_of(who.ids), facts.spans_of(other.ids)
    if not mine or not theirs:
        return None
    lead = theirs[0].from_s - mine[0].from_s
    if abs(lead) <= 2 * apart_s:
        return None
    return _yes_no(lead * sign > 0), [_moment(mine[0].from_s), _moment(theirs[0].from_s)]


def together(facts: Facts, who: Who, other: Who, least_s: float) -> Solution | None:
    """Whether two were visible at the same time; None where it was for less than `least_s`, or nearly so."""
    mine, theirs = facts.any_of(who.ids), facts.any_of(other.ids)
    if not mine.any() or not theirs.any():
        return None
    both = facts.intervals(mine & theirs)
    if both:
        return (_yes_no(True), both) if max(b - a for a, b in both) >= least_s else None
    apart = [max(c - b, a - d) for a, b in facts.intervals(mine) for c, d in facts.intervals(theirs)]
    return (_yes_no(False), facts.intervals(mine | theirs)) if min(apart) > least_s else None


def how_often(facts: Facts, who: Who, went: bool) -> Solution | None:
    """How many times somebody came into view, or went out of it."""
    spans = facts.spans_of(who.ids)
    moments = [span.to_s for span in spans if span.ended != "end"] if went else [span.from_s for span in spans]
    return (_count(len(moments)), [_moment(time_s) for time_s in moments]) if moments else None


def side_at(facts: Facts, who: Who, time_s: float) -> Solution | None:
    """In which third of the picture somebody was."""
    near = _around(facts, time_s)
    return _side(facts, who, near)


def beside(facts: Facts, who: Who, other: Who, time_s: float, sign: int) -> Solution | None:
    """Whether one was left (`sign` -1) or right (1) of another."""
    near = _around(facts, time_s)
    if not near.any() or not (facts.visible[who.ids[0]] & facts.visible[other.ids[0]])[near].all():
        return None
    offset = (facts.centres(who.ids[0]) - facts.centres(other.ids[0]))[near]
    if not (np.abs(offset) > _BESIDE_MARGIN).all() or len(set(np.sign(offset))) > 1:
        return None
    return _yes_no(bool(offset[0] * sign > 0)), facts.intervals(near)


def visible_at(facts: Facts, who: Who, time_s: float) -> Solution | None:
    """Whether somebody was visible."""
    near, there = _around(facts, time_s), facts.any_of(who.ids)
    if not near.any() or there[near].any() != there[near].all() or not there.any():
        return None
    here = bool(there[near].all())
    when = [(a, b) for a, b in facts.intervals(there) if not here or a <= time_s + 1e-9 <= b + 2e-9]
    return _yes_no(here), when


def happened(facts: Facts, asked: dict[int, str], from_s: float, to_s: float, tolerance_s: float) -> Solution | None:
    """Who came, went and returned within a stretch of time; None where something happens at its borders."""
    events = []
    for object_id in facts.spans:
        for place, span in enumerate(facts.spans[object_id]):
            moments = [("return" if place else "appear", span.from_s)]
            moments += [("disappear", span.to_s)] if span.ended != "end" else []
            for what, time_s in moments:
                if min(abs(time_s - from_s), abs(time_s - to_s)) <= _SLACK_S + tolerance_s:
                    return None
                if from_s < time_s < to_s:
                    events.append({"event": what, "class": asked.get(object_id), "time_s": round(time_s, 2)})
    if not 1 <= len(events) <= 4 or any(event["class"] is None for event in events):
        return None
    events.sort(key=lambda event: event["time_s"])
    return {"type": "events", "events": events}, [_moment(event["time_s"]) for event in events]


def returned(facts: Facts, who: Who) -> Solution | None:
    """Whether somebody who had gone came back."""
    spans = facts.spans_of(who.ids)
    if not spans or (len(spans) == 1 and spans[0].ended == "end"):
        return None  # was never away
    if len(spans) == 1:
        return _yes_no(False), [(spans[0].from_s, spans[0].to_s)]
    return _yes_no(True), [_moment(span.from_s) for span in spans[1:]]


def return_time(facts: Facts, who: Who) -> Solution | None:
    """When somebody came back, where that was once."""
    spans = facts.spans_of(who.ids)
    return _at(spans[1].from_s) if len(spans) == 2 else None


def winner(facts: Facts, who: Who, other: Who, apart_s: float, which: str) -> Solution | None:
    """Which of two came "first" or "last", or was "last_seen"."""
    mine, theirs = facts.spans_of(who.ids), facts.spans_of(other.ids)
    if not mine or not theirs:
        return None
    ends = which == "last_seen"
    a, b = (max(span.to_s for span in spans) if ends else spans[0].from_s for spans in (mine, theirs))
    if which == "last" and len(mine) + len(theirs) > 2:
        return None  # coming for the first time, or coming back?
    if abs(a - b) <= 2 * apart_s:
        return None
    first = who if (a < b) == (which == "first") else other
    return {"type": "thing", "class": first.class_name, "other": _loser(first, who, other)}, [_moment(a), _moment(b)]


def seen(facts: Facts, who: Who) -> Solution | None:
    """Whether somebody was visible at any time."""
    there = facts.intervals(facts.any_of(who.ids))
    return _yes_no(bool(there)), there


def visible_now(facts: Facts, who: Who) -> Solution | None:
    """Whether somebody who was seen is visible still, at the end of what is known."""
    near, there = _lately(facts), facts.any_of(who.ids)
    if not there.any() or there[near].any() != there[near].all():
        return None
    return _yes_no(bool(there[near].all())), facts.intervals(there)[-1:]


def side_now(facts: Facts, who: Who) -> Solution | None:
    """In which third of the picture somebody is, at the end of what is known."""
    return _side(facts, who, _lately(facts))


def never_left(facts: Facts, who: Who) -> bool:
    """Whether somebody was visible from the first time to the end of the video."""
    spans = facts.spans_of(who.ids)
    return len(spans) == 1 and spans[0].ended == "end"


def gone_for_good(facts: Facts, who: Who) -> bool:
    """Whether somebody went and never came back."""
    spans = facts.spans_of(who.ids)
    return len(spans) == 1 and spans[0].ended != "end"


def appeared(facts: Facts, who: Who) -> Span | None:
    """The first appearance."""
    return next(iter(facts.spans_of(who.ids)), None)


def _side(facts: Facts, who: Who, near: np.ndarray) -> Solution | None:
    (one,) = who.ids
    if not near.any() or not facts.visible[one][near].all():
        return None
    centres = facts.centres(one)[near]
    sides = {None if np.isnan(centre) else side_of(centre, _SIDE_MARGIN) for centre in centres}
    if len(sides) > 1 or None in sides:
        return None
    return {"type": "side", "side": sides.pop()}, facts.intervals(near)


def _around(facts: Facts, time_s: float) -> np.ndarray:
    """The frames around a time, which is as wide as it is written: 0:07 is a second, 1.5 seconds a tenth."""
    width = 1.0 if time_s == int(time_s) else 0.1
    return facts.within(time_s - _SLACK_S, time_s + width + _SLACK_S)


def _lately(facts: Facts) -> np.ndarray:
    return facts.within(facts.end_s - 2 * _SLACK_S, facts.end_s)


def _loser(first: Who, who: Who, other: Who) -> str:
    return (other if first is who else who).class_name


def _at(time_s: float) -> Solution:
    return {"type": "time", "time_s": round(time_s, 2)}, [_moment(time_s)]


def _count(number: int) -> Answer:
    return {"type": "count", "count": number}


def _yes_no(value: bool) -> Answer:
    return {"type": "yes_no", "value": value}


def _moment(time_s: float) -> Interval:
    return (time_s, time_s)
