"""Damage to text: numbers that nobody expects, words and lines that are lost, swapped or of another script."""

from __future__ import annotations

import random
import re

NUMBERS = (
    *("0", "-0", "-1", "1", "2", "255", "256", "65536", "2147483647", "2147483648", "-2147483649"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551616", "1" * 40),
    *("9" * 400, "9" * 5000, "1e308", "1e309", "-1e309", "1e-400", "1e99999999", "1E400000000", "nan", "NaN", "inf"),
    *("-inf", "Infinity", "0.1", ".5", "5.", "1_000", "0x10", "1,5", "1/0", "30000/1001", "²", "٣", "１２", "½", "+3"),
)
WORDS = (
    *("", " ", "\t", "\x00", "\x1b[31m", "\x85", "\u2028", "\ufeff", "é", "ß", "İ", "🐶", "日本", "\u202e", "a\u0301"),
    *("null", "true", "None", "..", "../..", "/", "\\", "~", "~nobody", "%d", "%s", "%99999999d", "*", "**", "[", "]"),
    *("{", "}", "${X}", "$", "#", ";", ":", ",", "-", "--", "'", '"', "(", "0:00:00", "x" * 300, "a" * 70_000),
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"\w+|[^\w\s]")


def damaged(data: bytes, draw: random.Random) -> bytes:
    """A copy with one kind of damage, as UTF-8, or now and then in another encoding."""
    text = damaged_text(data.decode("utf-8", errors="replace"), draw)
    if draw.random() < 0.03:
        return text.encode(draw.choice(["utf-16", "utf-32", "latin-1", "utf-8-sig"]), errors="replace")
    return text.encode("utf-8", errors="replace")


def damaged_text(text: str, draw: random.Random) -> str:
    """A copy with one kind of damage."""
    kind = draw.choice(["number", "number", "number", "word", "word", "insert", "line", "lines", "drop"])
    if kind == "number":
        return _replaced(text, _NUMBER, draw.choice(NUMBERS), draw)
    if kind == "word":
        return _replaced(text, _WORD, draw.choice(WORDS + NUMBERS), draw)
    if kind == "drop":
        return _replaced(text, _WORD, "", draw)
    if kind == "insert":
        at = draw.randrange(len(text) + 1)
        return text[:at] + draw.choice(WORDS + NUMBERS) + text[at:]
    lines = text.splitlines(keepends=True) or [""]
    if kind == "line":
        lines[draw.randrange(len(lines))] = draw.choice(["", "\n", "\r", lines[-1] * 50, draw.choice(lines)])
    else:
        draw.shuffle(lines)
    return "".join(lines)


def _replaced(text: str, pattern: re.Pattern[str], by: str, draw: random.Random) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text + by
    one = draw.choice(found)
    return text[: one.start()] + by + text[one.end() :]
