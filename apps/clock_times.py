"""Times of a video as people write them."""

from __future__ import annotations

import re

from streamvos.errors import InputError

_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)")
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}")


def parse_clock(text: str, flag: str) -> float:
    """Seconds from "90", "90.5", "1:30" or "0:01:30.5".

    Raises:
        InputError: anything else; names the flag.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    found = _CLOCK.fullmatch(text)
    if found is not None:
        hours, minutes, seconds = int(found[1] or 0), int(found[2]), float(found[3])
        if seconds < 60 and (minutes < 60 or found[1] is None):
            return 3600 * hours + 60 * minutes + seconds
    raise InputError(f"{flag}: expected seconds or H:MM:SS, such as 90, 1:30 or 0:01:30.5; got {text!r}")
