"""One colour for each object, the same in overlay and timeline.

The DAVIS palette serves masks: its first colours are dark and many are alike. Here the hue goes round by the
golden ratio, so that neighbouring ids differ most, and brightness alternates.
"""

from __future__ import annotations

import colorsys

_GOLDEN = 0.6180339887498949
_TONES = ((0.72, 1.0), (0.55, 0.88), (0.85, 0.92))  # saturation, value


def id_colour(object_id: int) -> tuple[int, int, int]:
    """RGB, 0 to 255, of an object id >= 1."""
    saturation, value = _TONES[object_id % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb((0.57 + object_id * _GOLDEN) % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def ink_on(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever is better read on `colour`."""
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)
