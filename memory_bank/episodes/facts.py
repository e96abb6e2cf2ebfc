"""What readers of the long memory get: plain records of the rows, as they were known at the time asked about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    """A thing that was followed, or a class of things that were only counted (`object_id` None).

    Args:
        class_name: "" where nobody could tell.
        label: name that the user gave it, None where none.
        colour: its colour most of the time, None where not known.
        confidence: share of the votes that the class got.
    """

    entity_id: int
    object_id: int | None
    class_name: str
    label: str | None
    colour: str | None
    confidence: float
    first_ms: int

    @property
    def name(self) -> str:
        """How to call its kind."""
        return self.label or self.class_name or "object"


@dataclass(frozen=True)
class VisibleSpan:
    """A stretch of time in which a thing was there; `ended` None while it goes on."""

    span_id: int
    entity_id: int
    shot: int
    from_ms: int
    to_ms: int
    from_frame: int
    to_frame: int
    ended: str | None
    score: float
    count: int
    from_region: str
    to_region: str


@dataclass(frozen=True)
class Observation:
    """Where a thing was at one time, within which span."""

    span_from_ms: int
    span_to_ms: int
    entity_id: int
    t_ms: int
    frame: int
    box: tuple[float, float, float, float]
    region: str
    score: float
    colour: str | None
    count: int


@dataclass(frozen=True)
class StreamEvent:
    """Something that happened at one time; `entity_id` None where it is about the whole picture."""

    t_ms: int
    frame: int
    kind: str
    entity_id: int | None
    detail: str


@dataclass(frozen=True)
class CoverageSpan:
    """A stretch of time that was looked at ("processed") or not ("gap")."""

    from_ms: int
    to_ms: int
    from_frame: int
    to_frame: int
    status: str
    why: str


@dataclass(frozen=True)
class Summary:
    """A summary of a stretch of time; `score` says how well it matched a search."""

    level: int
    from_ms: int
    to_ms: int
    from_frame: int
    shot: int
    text: str
    score: float = 0.0
