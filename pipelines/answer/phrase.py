"""Sentences and evidence: every claim cites its time, its object and a frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memory_bank.episodes.facts import Appearance, Place, Thing
from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer import vocabulary
from streamvos.answers import Evidence, clock, plural

MAX_LISTED = 8

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


def stretch(appearance: Appearance) -> str:
    """From when to when an appearance lasted."""
    if appearance.from_frame == appearance.to_frame:
        return f"at {cited(appearance.from_ms, appearance.from_frame)}"
    return f"{cited(appearance.from_ms, appearance.from_frame)} to {cited(appearance.to_ms, appearance.to_frame)}"


def ending(appearance: Appearance) -> str:
    """How an appearance ended."""
    return _ENDINGS.get(appearance.ended, "was last seen")


def listed(parts: Iterable[str], more: str = "and {} more") -> str:
    """Parts as a list in a sentence, cut after a few."""
    parts = list(parts)
    if len(parts) > MAX_LISTED:
        parts = [*parts[:MAX_LISTED], more.format(len(parts) - MAX_LISTED)]
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


def yes(when: str) -> str:
    """The head of a sentence that says yes."""
    return f"Yes,{when}" if when else "Yes"


def counted(things: Sequence[Thing]) -> str:
    """Things by kind: "2 dogs, 1 person"."""
    kinds: dict[str, int] = {}
    for thing in things:
        kinds[thing.name] = kinds.get(thing.name, 0) + 1
    return ", ".join(plural(name, count) for name, count in kinds.items())


def of_appearance(reader: EpisodeReader, thing: Thing, appearance: Appearance, at: str = "from") -> Evidence:
    """Evidence for the start ("from") or the end ("to") of an appearance."""
    time_ms, frame = appearance.from_ms, appearance.from_frame
    claim = f"{called(thing)} was there {stretch(appearance)}"
    if at == "to":
        time_ms, frame = appearance.to_ms, appearance.to_frame
        claim = f"{called(thing)} {ending(appearance)}, last seen at {cited(time_ms, frame)}"
    return Evidence(
        appearance.from_ms / 1000,
        appearance.to_ms / 1000,
        frame,
        thing.object_id,
        thing.class_name,
        claim,
        reader.picture(time_ms, appearance.from_ms, appearance.to_ms),
    )


def of_place(reader: EpisodeReader, thing: Thing, place: Place) -> Evidence:
    """Evidence for where, or in which colour, a thing was seen."""
    colour = f", {place.colour}" if place.colour else ""
    return Evidence(
        place.t_ms / 1000,
        place.t_ms / 1000,
        place.frame,
        thing.object_id,
        thing.class_name,
        f"{called(thing)} was at the {place.region}{colour} at {cited(place.t_ms, place.frame)}",
        reader.picture(place.t_ms, place.span_from_ms, place.span_to_ms),
    )
