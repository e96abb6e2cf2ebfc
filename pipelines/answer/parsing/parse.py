"""From a question to a typed plan, by rules: head words tell the kind, slots the times and the things.

Strict on purpose: a word that no rule uses makes the question one about something that cannot be detected. "Did
the dog bark?" must not be answered from the fact that a dog was seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pipelines.answer.kinds import KINDS
from pipelines.answer.parsing.clock_times import mark_times, take_times
from pipelines.answer.parsing.slots import take_region, take_verb, take_which, without_auxiliaries, without_filler
from pipelines.answer.parsing.subjects import parse_subject
from pipelines.answer.query import Anchor, Query, Subject, Verb
from pipelines.answer.vocabulary import COLOURS

_NO_NAMES: Mapping[str, str] = MappingProxyType({})
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
_PLACED = re.compile(r"\b(?:in|on|at) .+")  # "on the table"
_SORTS = re.compile(r"\b(?:kinds?|types?|sorts?|classes)(?: of)?\b")
_COUNTS_KINDS = re.compile(r"\b(?:kinds?|types?|sorts?|classes) of\b|\b(?:kinds?|types?|classes)\b")


def parse(text: str, names: Mapping[str, str] = _NO_NAMES) -> Query:
    """Read a question.

    Args:
        text: the question, as `normalise` gives it.
        names: words that stand for names that the user gave to objects, and these names.
    """
    kind, rest = _take_head(text)
    rest, times = take_times(mark_times(rest))
    if kind in KINDS and not KINDS[kind].about_things:
        return Query(kind, times=times)
    rest, anchor, unknown = _take_anchor(without_filler(rest), names)
    asked = Query(kind, times=times, anchor=anchor)
    if kind == "yes_no" and (beside := _BESIDE.search(rest)):
        query = _read_beside(asked, rest, beside, names)
    else:
        whole, (rest, region) = rest, take_region(rest)
        rest, which = take_which(rest)
        if kind == "what_seen" and text.startswith("who "):
            rest = f"{rest} person"
        asked = replace(asked, region=region, which=which)
        query = _read_first_of(asked, rest, names) if kind == "first_of" else _read_things(asked, rest, names)
        if query.kind == "both" and region and not whole.startswith(rest):
            query = replace(query, kind="unknown")  # "a dog on the left and a cat": of one of them only
    return replace(query, unknown=query.unknown + unknown)


def _take_head(text: str) -> tuple[str, str]:
    for name, kind in KINDS.items():
        for head in kind.heads:
            if found := re.match(head, text):
                return name, text[found.end() :].strip()
    return "unknown", text


def _take_anchor(text: str, names: Mapping[str, str]) -> tuple[str, Anchor | None, tuple[str, ...]]:
    """Take a time told by an event out; also the words of it that are not understood."""
    found = _EVENT.search(text)
    if not found:
        return text, None, ()
    relation = {"until": "before", "till": "before", "since": "after", "once": "after", "during": "while"}
    words, verb = take_verb(found[3])
    words = without_auxiliaries(words).strip()
    subject, unknown = parse_subject(words, names)
    if not words and verb is not None:
        subject = Subject("it", pronoun=True)  # "after leaving"
    if placed := _placed(found[3], names):
        unknown += (placed,)
    if subject is None:
        return text[: found.start()].strip(), None, unknown or (found[3],)
    kind = relation.get(found[2], found[2])
    if verb is None and kind == "while":
        verb = "visible"
    return text[: found.start()].strip(), Anchor(kind, subject, verb), unknown  # type: ignore[arg-type]


def _read_things(asked: Query, text: str, names: Mapping[str, str]) -> Query:
    """Read verb, colour and things of most kinds of questions."""
    kind = asked.kind
    at_once = kind in ("how_many", "yes_no") and bool(_AT_ONCE.search(text))
    if at_once:
        text = _AT_ONCE.sub(" ", text)
    count_kinds = bool(_COUNTS_KINDS.search(text))
    text = _SORTS.sub(" ", text)
    placed = _placed(text, names)
    text, verb = take_verb(text)
    colour = None
    if kind == "yes_no":
        text, colour = _take_colour_asked(text.strip(), names)
    if kind == "colour":
        text = re.sub(r"\b(?:of|coloured)\b", " ", text)
    text = re.sub(r"\s+", " ", without_auxiliaries(text)).strip()
    if kind == "yes_no" and at_once and " and " in f" {text} ":
        return _read_together(asked, text, names)
    if kind == "yes_no" and " and " in text and colour is None and (pair := _pair(text, names)):
        query = replace(asked, kind="both", verb=verb or "visible", anchor=asked.anchor, placed=placed)
        if any(" or " in subject.text for subject in pair):
            return replace(query, kind="unknown")  # three or more: "a dog, a cat and a bird"
        return replace(query, subject=pair[0], other=pair[1], anchor=_with_question(asked.anchor, pair[0], verb))
    subject, unknown = parse_subject(text, names)
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
        placed=placed,
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


def _take_colour_asked(text: str, names: Mapping[str, str]) -> tuple[str, str | None]:
    """Take the colour out that is asked for at the end: "was the car red"; not "was there an orange"."""
    ends = re.search(rf"\b({'|'.join(COLOURS)})$", text)
    if ends:
        before = text[: -len(ends[1])]
        if parse_subject(without_auxiliaries(before), names)[0] is not None:
            return before, COLOURS[ends[1]]
    return text, None


def _read_together(asked: Query, text: str, names: Mapping[str, str]) -> Query:
    """Were the dog and the cat visible at the same time?"""
    left, _, right = text.partition(" and ")
    subject, unknown = parse_subject(left, names)
    other, more = parse_subject(right, names)
    return replace(asked, kind="together", subject=subject, other=other, which=None, unknown=unknown + more)


def _pair(text: str, names: Mapping[str, str]) -> tuple[Subject, Subject] | None:
    """The two things of "a dog and a cat"; None where it is not two things that are joined."""
    left, _, right = text.rpartition(" and ")
    (subject, unknown), (other, more) = parse_subject(left, names), parse_subject(right, names)
    if subject is None or other is None or unknown or more or subject.pronoun or other.pronoun or " or " in text:
        return None
    return subject, other


def _placed(text: str, names: Mapping[str, str]) -> str:
    """The words that place one thing by another, as "on the table", of which nothing is known; "" where none do."""
    found = _PLACED.search(text)
    if not found:
        return ""
    subject, unknown = parse_subject(without_auxiliaries(take_verb(found[0])[0]), names)
    if subject is None or subject.pronoun or unknown:
        return ""
    return " ".join(names.get(word, word) for word in found[0].split())


def _read_first_of(asked: Query, text: str, names: Mapping[str, str]) -> Query:
    """Which came first, the dog or the cat? What appeared first?"""
    which = asked.which or ("last" if re.search(r"\blast\b", text) else "first")
    verb: Verb = "leave" if re.search(r"\bleft\b", text) else "appear"
    if which == "last" and re.search(r"\b(?:seen|visible|there)\b", text):
        verb = "visible"  # the last time seen is an end, not a start
    text = re.sub(r"^(?:which|who|what)\b", " ", _SORTS.sub(" ", text))
    text = re.sub(r"\b(?:first|last|came|appeared|arrived|left|visible|shows? up|seen|saw|thing|object)\b", " ", text)
    left, either, right = without_auxiliaries(text).partition(" or ")
    subject, unknown = parse_subject(left, names)
    other, more = parse_subject(right, names) if either else (None, ())
    return Query(asked.kind, subject, other, verb, which, asked.times, unknown=unknown + more)


def _read_beside(asked: Query, text: str, found: re.Match[str], names: Mapping[str, str]) -> Query:
    """Was the dog to the left of the cat?"""
    subject, unknown = parse_subject(without_auxiliaries(text[: found.start()]), names)
    other, more = parse_subject(take_verb(without_auxiliaries(text[found.end() :]))[0], names)
    if (subject is None and not unknown) or (other is None and not more):
        return Query("unknown")
    return replace(asked, kind="beside", subject=subject, other=other, region=(found[1],), unknown=unknown + more)
