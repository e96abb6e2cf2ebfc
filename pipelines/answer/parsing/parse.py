"""From a question to a typed plan, by rules: head words tell the kind, slots the times and the things.

Strict on purpose: a word that no rule uses makes the question one about something that cannot be detected. "Did
the dog bark?" must not be answered from the fact that a dog was seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pipelines.answer.kinds import KINDS
from pipelines.answer.parsing.clock_times import mark_times, take_times
from pipelines.answer.parsing.slots import take_region, take_verb, take_which, without_auxiliaries, without_filler
from pipelines.answer.parsing.subjects import parse_subject
from pipelines.answer.query import Anchor, Query, Subject, Verb
from pipelines.answer.vocabulary import COLOURS

_POLITE = re.compile(r"^(?:please |can you tell me |could you tell me |tell me |do you know |and |so )+")
_EVENT = re.compile(
    r"(?:^|\s)(right |just |immediately )?(before|after|while|when|until|till|since|once|during)\s(.+)$"
)
_AT_ONCE = re.compile(
    r"\b(?:at once|(?:all )?at the same time|simultaneously|together|at (?:the )?most|at any (?:one |given )?time|"
    r"maximum|largest|highest|most|max)\b"
)
_BESIDE = re.compile(  # "to the left of", "further right than"
    r"\b(?:(?:to|on|at) the |(?:further|farther|more) (?:to the )?)?(left|right)(?:[ -]?hand)?(?: side)? (?:of|than)\b"
)
_SORTS = re.compile(r"\b(?:kinds?|types?|sorts?|classes)(?: of)?\b")
_COUNTS_KINDS = re.compile(r"\b(?:kinds?|types?|sorts?|classes) of\b|\b(?:kinds?|types?|classes)\b")


def parse(text: str, labels: Sequence[str] = ()) -> Query:
    """Read a question.

    Args:
        text: the question, as `normalise` gives it.
        labels: names that the user gave to objects.
    """
    labels = [label.lower() for label in labels]
    kind, rest = _take_head(text)
    rest, times = take_times(mark_times(rest))
    if kind in KINDS and not KINDS[kind].about_things:
        return Query(kind, times=times)
    rest, anchor, unknown = _take_anchor(without_filler(rest), labels)
    asked = Query(kind, times=times, anchor=anchor)
    if kind == "yes_no" and (beside := _BESIDE.search(rest)):
        query = _read_beside(asked, rest, beside, labels)
    else:
        rest, region = take_region(rest)
        rest, which = take_which(rest)
        if kind == "what_seen" and text.startswith("who "):
            rest = f"{rest} person"
        asked = replace(asked, region=region, which=which)
        query = _read_first_of(asked, rest, labels) if kind == "first_of" else _read_things(asked, rest, labels)
    return replace(query, unknown=query.unknown + unknown)


def _take_head(text: str) -> tuple[str, str]:
    text = _POLITE.sub("", text)
    for name, kind in KINDS.items():
        for head in kind.heads:
            if found := re.match(head, text):
                return name, text[found.end() :].strip()
    return "unknown", text


def _take_anchor(text: str, labels: Sequence[str]) -> tuple[str, Anchor | None, tuple[str, ...]]:
    """Take a time told by an event out; also the words of it that are not understood."""
    found = _EVENT.search(text)
    if not found:
        return text, None, ()
    relation = {"until": "before", "till": "before", "since": "after", "once": "after", "during": "while"}
    words, verb = take_verb(found[3])
    words = without_auxiliaries(words).strip()
    subject, unknown = parse_subject(words, labels)
    if not words and verb is not None:
        subject = Subject("it", pronoun=True)  # "after leaving"
    if subject is None:
        return text[: found.start()].strip(), None, unknown or (found[3],)
    kind = relation.get(found[2], found[2])
    if verb is None and kind == "while":
        verb = "visible"
    return text[: found.start()].strip(), Anchor(kind, subject, verb), unknown  # type: ignore[arg-type]


def _read_things(asked: Query, text: str, labels: Sequence[str]) -> Query:
    """Read verb, colour and things of most kinds of questions."""
    kind = asked.kind
    at_once = kind in ("how_many", "yes_no") and bool(_AT_ONCE.search(text))
    if at_once:
        text = _AT_ONCE.sub(" ", text)
    count_kinds = bool(_COUNTS_KINDS.search(text))
    text, verb = take_verb(_SORTS.sub(" ", text))
    colour = None
    if kind == "yes_no":
        text, colour = _take_colour_asked(text.strip(), labels)
    if kind == "colour":
        text = re.sub(r"\b(?:of|coloured)\b", " ", text)
    text = re.sub(r"\s+", " ", without_auxiliaries(text)).strip()
    if kind == "yes_no" and at_once and " and " in f" {text} ":
        return _read_together(asked, text, labels)
    subject, unknown = parse_subject(text, labels)
    if kind == "what_seen" and subject is None and unknown:
        kind = "unknown"
    return replace(
        asked,
        kind=kind,
        subject=subject,
        verb=verb or "visible",
        anchor=_with_question(asked.anchor, subject, verb),
        colour_asked=colour,
        at_once=at_once,
        count_kinds=count_kinds,
        unknown=() if kind == "unknown" else unknown,  # then nothing is claimed about these words
    )


def _with_question(anchor: Anchor | None, subject: Subject | None, verb: Verb | None) -> Anchor | None:
    """An event with what it leaves to the question: its verb, and whom "it" stands for."""
    if anchor is None:
        return None
    if anchor.verb is None:
        anchor = replace(anchor, verb="appear" if verb in (None, "visible") else verb)
    if anchor.subject.pronoun and subject is not None:
        anchor = replace(anchor, subject=subject)  # "did the dog return after it left?"
    return anchor


def _take_colour_asked(text: str, labels: Sequence[str]) -> tuple[str, str | None]:
    """Take the colour out that is asked for at the end: "was the car red"; not "was there an orange"."""
    ends = re.search(rf"\b({'|'.join(COLOURS)})$", text)
    if ends:
        before = text[: -len(ends[1])]
        if parse_subject(without_auxiliaries(before), labels)[0] is not None:
            return before, COLOURS[ends[1]]
    return text, None


def _read_together(asked: Query, text: str, labels: Sequence[str]) -> Query:
    """Were the dog and the cat visible at the same time?"""
    left, _, right = text.partition(" and ")
    subject, unknown = parse_subject(left, labels)
    other, more = parse_subject(right, labels)
    return replace(asked, kind="together", subject=subject, other=other, which=None, unknown=unknown + more)


def _read_first_of(asked: Query, text: str, labels: Sequence[str]) -> Query:
    """Which came first, the dog or the cat? What appeared first?"""
    which = asked.which or ("last" if re.search(r"\blast\b", text) else "first")
    verb: Verb = "leave" if re.search(r"\bleft\b", text) else "appear"
    if which == "last" and re.search(r"\b(?:seen|visible|there)\b", text):
        verb = "visible"  # the last time seen is an end, not a start
    text = re.sub(r"^(?:which|who|what)\b", " ", _SORTS.sub(" ", text))
    text = re.sub(r"\b(?:first|last|came|appeared|arrived|left|visible|shows? up|seen|saw|thing|object)\b", " ", text)
    left, either, right = without_auxiliaries(text).partition(" or ")
    subject, unknown = parse_subject(left, labels)
    other, more = parse_subject(right, labels) if either else (None, ())
    return Query(asked.kind, subject, other, verb, which, asked.times, unknown=unknown + more)


def _read_beside(asked: Query, text: str, found: re.Match[str], labels: Sequence[str]) -> Query:
    """Was the dog to the left of the cat?"""
    subject, unknown = parse_subject(without_auxiliaries(text[: found.start()]), labels)
    other, more = parse_subject(take_verb(without_auxiliaries(text[found.end() :]))[0], labels)
    if (subject is None and not unknown) or (other is None and not more):
        return Query("unknown")
    return replace(asked, kind="beside", subject=subject, other=other, region=(found[1],), unknown=unknown + more)
