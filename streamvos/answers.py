"""Answers to questions about a stream, with the times, objects and key frames that prove them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from streamvos.errors import InputError

Outcome = Literal["answered", "not_observed", "not_detectable", "not_covered", "ambiguous", "not_understood"]


def clock(time_ms: int) -> str:
    """A time of the stream as people write it, m:ss.s (h:mm:ss.s from one hour on), from integer milliseconds."""
    tenths = (max(time_ms, 0) + 50) // 100
    seconds, tenth = divmod(tenths, 10)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minute:02d}:{second:02d}.{tenth}"
    return f"{minute}:{second:02d}.{tenth}"


@dataclass(frozen=True)
class Evidence:
    """One fact that an answer rests on.

    Args:
        from_s, to_s: when it held, in seconds of presentation time.
        frame_index: the frame that shows it first.
        object_id: which object, None where the fact is not about one followed object.
        class_name: what it is, "" where the fact is not about a thing.
        claim: the fact in words.
        thumbnail: the key frame nearest to it, None where none is kept.
    """

    from_s: float
    to_s: float
    frame_index: int
    object_id: int | None
    class_name: str
    claim: str
    thumbnail: Path | None = None


@dataclass(frozen=True)
class Answer:
    """What the memory can say to a question.

    Args:
        text: the answer as a sentence; times are m:ss.s of the stream.
        confidence: in [0, 1], how sure the memory is of `text`, abstentions included.
        outcome: "answered"; "not_observed" (could have been seen, was not); "not_detectable" (outside what can
            be seen at all); "not_covered" (that time was not processed); "ambiguous" (several things fit, they
            are the evidence); "not_understood" (`evidence` are the moments nearest to the question).
        evidence: the facts that `text` rests on, in order of time.
    """

    text: str
    confidence: float
    outcome: Outcome
    evidence: tuple[Evidence, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise InputError(f"Answer.confidence: expected 0..1, got {self.confidence}")
        if self.outcome not in get_args(Outcome):
            raise InputError(f"Answer.outcome: expected one of {get_args(Outcome)}, got {self.outcome!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, ready for JSON; paths become strings."""
        plain = asdict(self)
        plain["evidence"] = [
            {**item, "thumbnail": None if item["thumbnail"] is None else str(item["thumbnail"])}
            for item in plain["evidence"]
        ]
        return plain


def plural(noun: str, count: int) -> str:
    """A count with its noun: "1 person", "2 people", "3 buses"."""
    irregular = {"person": "people", "mouse": "mice", "knife": "knives", "sheep": "sheep", "skis": "skis"}
    irregular |= {"scissors": "scissors", "child": "children", "man": "men", "woman": "women"}
    if count == 1:
        return f"1 {noun}"
    if noun in irregular:
        return f"{count} {irregular[noun]}"
    return f"{count} {noun}" + ("es" if noun.endswith(("s", "sh", "ch", "x")) else "s")
