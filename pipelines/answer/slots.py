"""Slots of a question: times, parts of the picture, things. Each function takes its words out of the text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.answer import vocabulary
from pipelines.answer.query import Span, Subject

_NUMBERS = {
    name: value
    for value, name in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ]
    )
} | {"fifteen": 15, "twenty": 20, "thirty": 30, "sixty": 60, "half a": 0.5, "a couple of": 2}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "last": -1}
_UNIT_MS = {"h": 3_600_000, "m": 60_000, "s": 1000}
_NUMBER = r"(?:\d+(?:\.\d+)?|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_UNIT = r"(?:hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s)"
_CLOCK = re.compile(r"(?<![\w:])(?:(\d+):)?(\d{1,4}):(\d{2}(?:\.\d+)?)(?![\w:])")
_AMOUNT = re.compile(rf"(?<![\w.])({_NUMBER}) ?-?({_UNIT})\b(?: mark)?")
_LONG, _MIDDLE, _SHORT = (
    rf"{_NUMBER} ?-?{unit}\b" for unit in (r"h(?:ou)?r?s?", r"m(?:in(?:ute)?s?)?", r"s(?:ec(?:ond)?s?)?")
)
_COMPOUND = re.compile(  # "1 minute (and) 20 seconds"
    rf"(?<![\w.])(?:{_LONG}(?:(?: and)? {_MIDDLE})?(?:(?: and)? {_SHORT})?|{_MIDDLE}(?:(?: and)? {_SHORT})?|{_SHORT})"
    r"(?: mark)?"
)
_TO = r"(?:to|until|till|through)"
_BARE = re.compile(  # "between 5 and 8 seconds", "at 5 8 and 11 seconds": numbers that share the unit of the last
    rf"\b(?:between|from|at|around|about|in|during) (?:{_NUMBER}(?: ?- ?| (?:(?:and|or|{_TO}) )?))+"
    rf"{_NUMBER} ?-?({_UNIT})\b"
)
_RANGE = re.compile(  # "5 to 8 seconds", but not "object 5 to 8 seconds"
    rf"(?<![\w.#])(?<!object )(?<!track )(?<!number )(?<!id )({_NUMBER})(?= ?(?:{_TO}|-) ?{_NUMBER} ?-?({_UNIT})\b)"
)
_TRAILING = re.compile(  # "from 5 seconds to 8"
    rf"\b((?:between|from) {_NUMBER} ?-?({_UNIT}) (?:and|{_TO}) {_NUMBER})(?![\w:.]| ?-?{_UNIT}\b)"
)
_T = r"t#(\d+(?:_\d)?)"  # milliseconds, and how many decimals of the seconds were written
_VIDEO = r"(?:video|clip|film|movie|recording|footage|stream|sequence|run)"
_PRONOUNS = {"it", "he", "she", "they", "them", "him", "her", "that", "this", "one"}
_DETERMINERS = set(
    [
        "the",
        "a",
        "an",
        "any",
        "some",
        "this",
        "that",
        "these",
        "those",
        "all",
        "every",
        "each",
        "my",
        "different",
        "distinct",
        "separate",
        "unique",
        "individual",
        "other",
        "total",
    ]
)


def mark_times(text: str) -> str:
    """Replace each time by `t#` and its milliseconds: "0:05" and "5 seconds" become "t#5000", "5.2 s" "t#5200_1"."""

    def by_clock(found: re.Match[str]) -> str:
        hours, minutes, seconds = found.groups()
        return _marked(round(1000 * (3600 * int(hours or 0) + 60 * int(minutes) + float(seconds))), seconds)

    def by_amount(found: re.Match[str]) -> str:
        if " and " in found[0] and found.string[: found.start()].endswith("between "):
            return _AMOUNT.sub(lambda part: f"t#{_milliseconds(part)}", found[0])
        parts = list(_AMOUNT.finditer(found[0]))
        exact = parts[-1][1] if parts[-1][2].startswith("s") else ""
        return _marked(sum(_milliseconds(part) for part in parts), exact)

    text = _CLOCK.sub(by_clock, text)
    text = re.sub(r"\b(first|last) (second|minute|hour)\b", lambda m: f"{m[1]} 1 {m[2]}", text)
    lone = r"(?<!\d )\b(second|minute|hour)s? (\d+(?:\.\d+)?)\b(?! ?(?:s|sec|min|hour))"  # "at second 5"
    text = re.sub(lone, r"\2 \1", text)
    text = _BARE.sub(lambda m: re.sub(rf"(?<![\w.])({_NUMBER})(?= |-)(?! ?-?{_UNIT}\b)", rf"\1 {m[1]}", m[0]), text)
    text = _TRAILING.sub(r"\1 \2", _RANGE.sub(r"\1 \2", text))
    return _COMPOUND.sub(by_amount, text)


def _marked(time_ms: int, seconds: str) -> str:
    decimals = min(len(seconds.partition(".")[2]), 3) if seconds != "half a" else 1
    return f"t#{time_ms}_{decimals}" if decimals else f"t#{time_ms}"


def _milliseconds(amount: re.Match[str]) -> int:
    said = amount[1]
    value = _NUMBERS[said] if said in _NUMBERS else float(said)
    return round(value * _UNIT_MS[amount[2][0]])


def take_spans(text: str) -> tuple[str, tuple[Span, ...]]:
    """Take the times by the clock out of a text whose times are marked."""
    spans: list[Span] = []
    ends = rf"(?: of (?:the|this) {_VIDEO})?"

    def take(pattern: str, make: object) -> None:
        nonlocal text
        while found := re.search(pattern, text):
            spans.append(make(found))  # type: ignore[operator]
            text = re.sub(r"\s+", " ", f"{text[: found.start()]} {text[found.end() :]}").strip()

    take(rf"\bbetween {_T} and {_T}", lambda m: Span(*sorted((_ms(m[1]), _ms(m[2])))))
    take(rf"\bfrom {_T} ?(?:{_TO}|-) ?{_T}", lambda m: Span(*sorted((_ms(m[1]), _ms(m[2])))))
    take(rf"{_T} ?(?:to|until|-) ?{_T}", lambda m: Span(*sorted((_ms(m[1]), _ms(m[2])))))
    take(
        rf"\b(?:(?:in|during|within|over|for) )?(?:the )?first {_T}{ends}",
        lambda m: Span(0, _ms(m[1]), from_start=True),
    )
    take(rf"\b(?:(?:in|during|within|over|for) )?(?:the )?last {_T}{ends}", lambda m: Span(last_ms=_ms(m[1])))
    take(rf"\b(?:before|until|till|by|up to) {_T}", lambda m: Span(to_ms=_ms(m[1])))
    take(rf"\b(?:after|since|from) {_T}(?: on(?:wards)?)?", lambda m: Span(from_ms=_ms(m[1])))
    take(rf"\b(?:(?:at|around|about|exactly) )+(?:t ?= ?)?{_T}", lambda m: _instant(m[1]))
    take(rf"{_T} (?:in|into)\b{ends}", lambda m: _instant(m[1], from_start=True))
    take(
        rf"\b(?:in|during) the (first|second) half{ends}",
        lambda m: Span(share=(0.0, 0.5) if m[1] == "first" else (0.5, 1.0)),
    )
    take(rf"\b(?:at|in|by|near) the (?:very )?end{ends}", lambda m: Span(at_end=True))
    take(rf"\b(?:at|in|from) the (?:very )?(?:beginning|start|outset){ends}", lambda m: Span(at_start=True))
    take(r"\b(?:right now|now|currently|at the moment|still|at present)\b", lambda m: Span(at_end=True))
    take(r"\bin (?:shot|scene) (\d+)", lambda m: Span(shot=int(m[1])))
    names = "|".join(_ORDINALS)
    take(rf"\bin the ({names}) (?:shot|scene)", lambda m: Span(shot=_ORDINALS[m[1]]))
    take(_T, lambda m: _instant(m[1]))
    return text, tuple(spans)


def _ms(mark: str) -> int:
    return int(mark.split("_")[0])


def _instant(mark: str, from_start: bool = False) -> Span:
    """One time, as wide as it was written: 0:05 is a second, 0:05.2 a tenth."""
    decimals = int(mark.partition("_")[2] or 0)
    return Span(_ms(mark), _ms(mark), from_start, width_ms=max(1, 1000 // 10**decimals))


def take_region(text: str) -> tuple[str, tuple[str, ...]]:
    """Take a part of the picture out: "on the left", "in the top right corner"."""
    row = r"(?:top|bottom|upper|lower)"
    side = r"(?:left|right|middle|centre|center)"
    pattern = (
        rf"\b(?:on|at|in|to|near|towards) the (?:(?:far )?({row})[ -]?({side})?|({side}))"
        r"(?:[ -]?(?:hand )?(?:side|half|part|corner|edge|area))?\b"
    )
    found = re.search(pattern, text)
    if not found:
        return text, ()
    words = [word for word in found.groups() if word]
    plain = {"upper": "top", "lower": "bottom", "centre": "middle", "center": "middle"}
    rest = re.sub(r"\s+", " ", f"{text[: found.start()]} {text[found.end() :]}").strip()
    return rest, tuple(plain.get(word, word) for word in words)


def parse_subject(text: str, labels: Sequence[str]) -> tuple[Subject | None, tuple[str, ...]]:
    """Read the things that a phrase means.

    Args:
        text: the phrase, such as "the second red car" or "object 3".
        labels: names that the user gave to objects, lower case.

    Returns:
        The subject, None where no thing is named; and the words that are not understood.
    """
    text = re.sub(r"\s+", " ", text).strip()
    for label in sorted(labels, key=len, reverse=True):
        found = re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text)
        if found and vocabulary.classes_of(label) is None:
            rest = _leftover(f"{text[: found.start()]} {text[found.end() :]}".split())
            return Subject(label, label=label, definite=True), rest
    found = re.search(r"(?:\b(?:object|track|id|thing|number)s? ?(?:number |no\.? ?|id )?#?|(?<!t)#)(\d+)\b", text)
    if found:
        rest = _leftover(f"{text[: found.start()]} {text[found.end() :]}".split())
        return Subject(found[0].strip(), object_id=int(found[1]), definite=True), rest
    return _by_noun(text.split())


def _by_noun(words: list[str]) -> tuple[Subject | None, tuple[str, ...]]:
    classes: frozenset[str] = frozenset()
    noun, plural, anything, used = "", False, False, [False] * len(words)
    for size in (3, 2, 1):
        for at in range(len(words) - size + 1):
            if any(used[at : at + size]):
                continue
            phrase = " ".join(words[at : at + size])
            meant = vocabulary.classes_of(phrase)
            if phrase in vocabulary.COLOURS and (at + 1 < len(words) or noun):
                meant = None  # "the orange car" is not a fruit
            if size == 1 and vocabulary.singular(phrase) in vocabulary.ANYTHING:
                anything, meant = True, frozenset()
            if meant is None:
                continue
            classes |= meant
            noun = f"{noun} or {phrase}" if noun else phrase
            plural |= vocabulary.is_plural(phrase)
            used[at : at + size] = [True] * size
    rest = [word for word, taken in zip(words, used, strict=True) if not taken]
    colour = next((vocabulary.COLOURS[word] for word in rest if word in vocabulary.COLOURS), None)
    ordinal = next((_ORDINALS[word] for word in rest if word in _ORDINALS), None)
    number = next((_number(word) for word in rest if _number(word) is not None), None)
    if not noun:
        pronoun = next((word for word in rest if word in _PRONOUNS and len(rest) == 1), None)
        if pronoun:
            return Subject(pronoun, pronoun=True), ()
        left = _leftover(rest)
        return None, left
    if anything and classes:
        anything = False
    text = f"{colour} {noun}" if colour else noun
    definite = "the" in rest and not plural
    narrow = next((word for word in noun.split() if vocabulary.singular(word) in vocabulary.NARROWER), None)
    subject = Subject(text, classes, None, None, colour, ordinal, definite, plural, number, narrower=narrow)
    return subject, _leftover(rest)


def _number(word: str) -> int | None:
    if word.isdigit():
        return int(word)
    value = _NUMBERS.get(word)
    return int(value) if isinstance(value, int) and word != "one" else None


def _leftover(words: list[str]) -> tuple[str, ...]:
    known = _DETERMINERS | set(_ORDINALS) | set(vocabulary.COLOURS) | {"and", "or", "of", "coloured", "one"}
    return tuple(word for word in words if word not in known and _number(word) is None)
