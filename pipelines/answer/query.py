"""The typed plan that a question becomes: what is asked, about which things, for which times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verb = Literal["visible", "appear", "leave", "return"]
Which = Literal["first", "last"]


@dataclass(frozen=True)
class Subject:
    """The things a question is about.

    Args:
        text: the user's words for them.
        classes: their classes, empty for any.
        object_id: a certain object.
        label: a name that the user gave.
        colour: only those of this colour.
        ordinal: the n-th to appear, from 1; -1 the last.
        definite: "the dog": one certain thing is meant.
        plural: "dogs".
        number: "two dogs".
        pronoun: "it": nobody knows which.
        narrower: the user's word where it means less than the class, such as "woman" for a person.
    """

    text: str
    classes: frozenset[str] = frozenset()
    object_id: int | None = None
    label: str | None = None
    colour: str | None = None
    ordinal: int | None = None
    definite: bool = False
    plural: bool = False
    number: int | None = None
    pronoun: bool = False
    narrower: str | None = None


@dataclass(frozen=True)
class Anchor:
    """A time told by an event: after the dog left."""

    relation: Literal["before", "after", "while", "when"]
    subject: Subject
    verb: Verb | None  # None: the verb of the question itself


@dataclass(frozen=True)
class ClockTime:
    """A time told by the clock, in ms; what is None is open; `share` is a part of the video, such as (0.5, 1)."""

    from_ms: int | None = None
    to_ms: int | None = None
    from_start: bool = False  # counts from the start of the video: "first 3 seconds"
    last_ms: int | None = None  # "last 10 seconds"
    share: tuple[float, float] | None = None
    at_end: bool = False
    at_start: bool = False
    shot: int | None = None  # from 1, -1 the last
    width_ms: int = 1  # of one time (`from_ms` is `to_ms`): how exactly it was written

    @property
    def is_instant(self) -> bool:
        """Whether it is one time, not a stretch."""
        return self.from_ms is not None and self.from_ms == self.to_ms


@dataclass(frozen=True)
class Query:
    """A question, understood.

    Args:
        kind: what is asked: a name of `kinds.KINDS`, or "unknown".
        subject, other: the things; `other` only where two are compared.
        verb: what they did, "visible" where they were only there.
        which: the first or the last time.
        times: by the clock, all must hold.
        anchor: a time by an event.
        region: part of the picture, such as ("left",) or ("top", "left"); the side of `other` where asked for "beside".
        colour_asked: "was the car red?".
        at_once: the most at the same time, not in all.
        count_kinds: kinds of things are counted, not things.
        placed: words that place one thing by another, as "on the table": nothing here measures that.
        unknown: words that nothing here can detect.
    """

    kind: str
    subject: Subject | None = None
    other: Subject | None = None
    verb: Verb = "visible"
    which: Which | None = None
    times: tuple[ClockTime, ...] = ()
    anchor: Anchor | None = None
    region: tuple[str, ...] = ()
    colour_asked: str | None = None
    at_once: bool = False
    count_kinds: bool = False
    placed: str = ""
    unknown: tuple[str, ...] = ()
