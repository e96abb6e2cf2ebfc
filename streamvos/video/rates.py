"""Numbers as people and tools write them: frame rates and times, exact, and bounded before they are computed.

`Fraction("1e99999999")` takes minutes and gigabytes, so nothing is handed to `Fraction` before its form and its size
are known.
"""

from __future__ import annotations

import re
from fractions import Fraction

from streamvos.errors import InputError

_RATIO = re.compile(r"([0-9]{1,12}) ?[/:] ?([0-9]{1,12})")
_DECIMAL = re.compile(r"(?=[.,]?[0-9])([0-9]{0,12})(?:[.,]([0-9]{0,30}))?")
_TIME = re.compile(r"-?(?=\.?[0-9])[0-9]{0,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,2})?")
_NTSC = Fraction(1000, 1001)
_LARGEST = 2**31 - 1  # of numerator and denominator: FFmpeg keeps both in 32 bits, and times are multiples of 1 / rate
_FASTEST, _SLOWEST = 1_000_000, Fraction(1, 86_400)  # frames a second; of slower ones an MP4 cannot hold the length
_DENOMINATORS = (1001, 100_000)  # tried in this order for decimals that are not exact


def parse_rate(text: str) -> Fraction:
    """A positive frame rate from "24", "29.97", "29,97", "30000/1001" or what OpenCV prints ("29.97002997002997").

    A ratio stays as it is written. A decimal is the simplest rate that is written so: n * 1000/1001 first (29.97,
    23.976, 59.94 mean 30000/1001, 24000/1001, 60000/1001), then the nearest fraction with a small denominator.

    Raises:
        InputError: anything else.
    """
    rate = _ratio(text.strip()) or _decimal(text.strip())
    if rate is None or not _SLOWEST <= rate <= _FASTEST or max(rate.numerator, rate.denominator) > _LARGEST:
        shown = text if len(text) <= 40 else text[:40] + "…"
        span = "from one a day to a million a second"
        raise InputError(f"expected a positive rate such as 24, 29.97 or 30000/1001, {span}, got {shown!r}")
    return rate


def parse_time(text: str) -> Fraction:
    """Seconds as a text file has them ("1305031102.175304", "1.305031102175304e+09"), exact.

    Raises:
        ValueError: another form, or more than 60 digits.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(f"expected seconds, got {text[:40]!r}")
    return Fraction(text)


def _ratio(text: str) -> Fraction | None:
    found = _RATIO.fullmatch(text)
    if found is None or not int(found[2]):
        return None
    return Fraction(int(found[1]), int(found[2]))


def _decimal(text: str) -> Fraction | None:
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return None
    digits = found[2] or ""
    value = Fraction(int(f"{found[1]}{digits}"), 10 ** len(digits))
    if value.denominator == 1 or len(digits) < 2:
        return value
    tolerance = max(Fraction(1, 2 * 10 ** len(digits)), value / 10**9)  # half of the last digit; what a double loses
    ntsc = round(value / _NTSC) * _NTSC
    if abs(ntsc - value) <= tolerance:
        return ntsc
    if len(digits) <= 3:
        return value
    near = [value.limit_denominator(most) for most in _DENOMINATORS]
    return next((one for one in near if abs(one - value) <= tolerance), near[-1])
