"""Times by the clock: "at 0:05", "in the first 3 seconds", "in shot 2". They are marked, then taken out of the text."""

from __future__ import annotations

import re
from collections.abc import Callable

from pipelines.answer.query import ClockTime
from pipelines.answer.vocabulary import NUMBERS, ORDINALS

_MOST = 1e9  # of any unit; no video is as long
_UNIT_MS = {"h": 3_600_000, "m": 60_000, "s": 1000}
_NUMBER = r"(?:\d+(?:\.\d+)?|" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + ")"
_UNIT = r"(?:hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s)"
_CLOCK = re.compile(r"(?<![\w:])(?:(\d+):)?(\d{1,4}):(\d{2}(?:\.\d+)?)(?![\w:])")
_AMOUNT = re.compile(rf"(?<![\w.])({_NUMBER}) ?-?({_UNIT})\b(?: mark)?")
_LONG, _MIDDLE, _SHORT = (
    rf"{_NUMBER} ?-?{unit}\b" for unit in (r"h(?:ours?|rs?)?", r"m(?:in(?:ute)?s?)?", r"s(?:ec(?:ond)?s?)?")
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


def mark_times(text: str) -> str:
    """Replace each time by `t#` and its milliseconds: "0:05" and "5 seconds" become "t#5000", "5.2 s" "t#5200_1"."""

    def by_clock(found: re.Match[str]) -> str:
        hours, minutes, seconds = found.groups()
        return _marked(
            round(1000 * (3600 * min(int(hours or 0), int(_MOST)) + 60 * int(minutes) + float(seconds))), seconds
        )

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
    value = NUMBERS[said] if said in NUMBERS else min(float(said), _MOST)  # 400 digits are infinite
    return round(value * _UNIT_MS[amount[2][0]])


def take_times(text: str) -> tuple[str, tuple[ClockTime, ...]]:
    """Take the times by the clock out of a text whose times are marked."""
    times: list[ClockTime] = []
    ends = rf"(?: of (?:the|this) {_VIDEO})?"

    def take(pattern: str, make: Callable[[re.Match[str]], ClockTime]) -> None:
        nonlocal text
        while found := re.search(pattern, text):
            times.append(make(found))
            text = re.sub(r"\s+", " ", f"{text[: found.start()]} {text[found.end() :]}").strip()

    take(rf"\bbetween {_T} and {_T}", lambda m: ClockTime(*sorted((_ms(m[1]), _ms(m[2])))))
    take(rf"\bfrom {_T} ?(?:{_TO}|-) ?{_T}", lambda m: ClockTime(*sorted((_ms(m[1]), _ms(m[2])))))
    take(rf"{_T} ?(?:to|until|-) ?{_T}", lambda m: ClockTime(*sorted((_ms(m[1]), _ms(m[2])))))
    take(
        rf"\b(?:(?:in|during|within|over|for) )?(?:the )?first {_T}{ends}",
        lambda m: ClockTime(0, _ms(m[1]), from_start=True),
    )
    take(rf"\b(?:(?:in|during|within|over|for) )?(?:the )?last {_T}{ends}", lambda m: ClockTime(last_ms=_ms(m[1])))
    take(rf"\b(?:before|until|till|by|up to) {_T}", lambda m: ClockTime(to_ms=_ms(m[1])))
    take(rf"\b(?:after|since|from) {_T}(?: on(?:wards)?)?", lambda m: ClockTime(from_ms=_ms(m[1])))
    take(rf"\b(?:(?:at|around|about|exactly) )+(?:t ?= ?)?{_T}", lambda m: _instant(m[1]))
    take(rf"{_T} (?:in|into)\b{ends}", lambda m: _instant(m[1], from_start=True))
    take(
        rf"\b(?:in|during) the (first|second) half{ends}",
        lambda m: ClockTime(share=(0.0, 0.5) if m[1] == "first" else (0.5, 1.0)),
    )
    take(rf"\b(?:at|in|by|near) the (?:very )?end{ends}", lambda m: ClockTime(at_end=True))
    take(rf"\b(?:at|in|from) the (?:very )?(?:beginning|start|outset){ends}", lambda m: ClockTime(at_start=True))
    take(r"\b(?:right now|now|currently|at the moment|still|at present)\b", lambda m: ClockTime(at_end=True))
    take(r"\bin (?:shot|scene) (\d+)", lambda m: ClockTime(shot=int(m[1])))
    names = "|".join(ORDINALS)
    take(rf"\bin the ({names}) (?:shot|scene)", lambda m: ClockTime(shot=ORDINALS[m[1]]))
    take(_T, lambda m: _instant(m[1]))
    return text, tuple(times)


def _ms(mark: str) -> int:
    return int(mark.split("_")[0])


def _instant(mark: str, from_start: bool = False) -> ClockTime:
    """One time, as wide as it was written: 0:05 is a second, 0:05.2 a tenth."""
    decimals = int(mark.partition("_")[2] or 0)
    return ClockTime(_ms(mark), _ms(mark), from_start, width_ms=max(1, 1000 // 10**decimals))
