"""Sentences and evidence: every claim cites its time, its object and a frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memory_bank.episodes.facts import Observation, Thing, VisibleSpan
from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer import vocabulary
from pipelines.answer.query import Verb
from streamvos.answers import Evidence, clock, plural

MAX_LISTED = 8
PLAIN: dict[Verb, str] = {"appear": "appear", "leave": "leave", "return": "come back", "visible": ""}
PAST: dict[Verb, str] = {"appear": "appeared", "leave": "left", "return": "came back", "visible": "was there"}

_ENDINGS = {
    "left": "left the picture",
    "occluded": "was hidden",
    "unknown": "was lost from view",
    "cut": "was there until the shot ended",
    "removed": "was taken out by the user",
    "end": "was there until the video ended",
    "gap": "was there until the frames stopped",
    None: "was still there",
}


def called(thing: Thing) -> str:
    """A thing as a sentence names it: "dog (object 3)"."""
    if thing.object_id is None:
        return thing.name
    return f"{thing.name} (object {thing.object_id})"


def cited(time_ms: int, frame: int) -> str:
    """A time with the frame that shows it."""
    return f"{clock(time_ms)} [frame {frame}]"


def stretch(span: VisibleSpan) -> str:
    """From when to when a span lasted."""
    if span.from_frame == span.to_frame:
        return f"at {cited(span.from_ms, span.from_frame)}"
    return f"{cited(span.from_ms, span.from_frame)} to {cited(span.to_ms, span.to_frame)}"


def ending(span: VisibleSpan) -> str:
    """How a span ended."""
    return _ENDINGS.get(span.ended, "was last seen")


def listed(parts: Iterable[str]) -> str:
    """Parts as a list in a sentence, cut after a few."""
    parts = list(parts)
    if len(parts) > MAX_LISTED:
        parts = [*parts[:MAX_LISTED], f"and {len(parts) - MAX_LISTED} more"]
    return "; ".join(parts)


def seconds(duration_ms: int) -> str:
    """A length of time."""
    if duration_ms < 60_000:
        return f"{duration_ms / 1000:.1f} s"
    return f"{clock(duration_ms)} (h:mm:ss)" if duration_ms >= 3_600_000 else f"{clock(duration_ms)} (m:ss)"


def number_of(number: int, text: str) -> str:
    """A count with the user's own words for the things: "1 person" also where "people" were asked for."""
    *before, noun = text.split()
    one = vocabulary.singular(noun)
    return plural(" ".join([*before, one]), number) if number != 1 else f"1 {' '.join([*before, one])}"


def unseen(name: str, verb: Verb) -> str:
    """The head of a sentence that says that a thing was not seen doing something."""
    return f"I did not see {name} {PLAIN[verb]}".rstrip()


def yes(when: str) -> str:
    """The head of a sentence that says yes."""
    return f"Yes,{when}" if when else "Yes"


def counted(things: Sequence[Thing]) -> str:
    """Things by kind: "2 dogs, 1 person"."""
    kinds: dict[str, int] = {}
    for thing in things:
        kinds[thing.name] = kinds.get(thing.name, 0) + 1
    return ", ".join(plural(name, count) for name, count in kinds.items())


def of_span(reader: EpisodeReader, thing: Thing, span: VisibleSpan, at: str = "from") -> Evidence:
    """Evidence for the start ("from") or the end ("to") of a span."""
    time_ms, frame = span.from_ms, span.from_frame
    claim = f"{called(thing)} was there {stretch(span)}"
    if at == "to":
        time_ms, frame = span.to_ms, span.to_frame
        claim = f"{called(thing)} {ending(span)}, last seen at {cited(time_ms, frame)}"
    return Evidence(
        span.from_ms / 1000,
        span.to_ms / 1000,
        frame,
        thing.object_id,
        thing.class_name,
        claim,
        reader.picture(time_ms, span.from_ms, span.to_ms),
    )


def of_observation(reader: EpisodeReader, thing: Thing, seen: Observation) -> Evidence:
    """Evidence for where, or in which colour, a thing was seen."""
    colour = f", {seen.colour}" if seen.colour else ""
    return Evidence(
        seen.t_ms / 1000,
        seen.t_ms / 1000,
        seen.frame,
        thing.object_id,
        thing.class_name,
        f"{called(thing)} was at the {seen.region}{colour} at {cited(seen.t_ms, seen.frame)}",
        reader.picture(seen.t_ms, seen.span_from_ms, seen.span_to_ms),
    )
