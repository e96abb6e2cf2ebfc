"""The name of an object's colour, by a vote of its pixels."""

from __future__ import annotations

import numpy as np

NAMES = (
    "black",
    "white",
    "grey",
    "red",
    "orange",
    "yellow",
    "green",
    "cyan",
    "blue",
    "purple",
    "pink",
    "brown",
)
_MAX_PIXELS = 512
# upper bound of the hue in degrees: name of a saturated colour
_HUES = ((15, "red"), (45, "orange"), (70, "yellow"), (165, "green"), (200, "cyan"), (260, "blue"))
_HUES_ABOVE = ((300, "purple"), (345, "pink"), (361, "red"))
_HUE_BOUNDS = np.array([bound for bound, _ in _HUES + _HUES_ABOVE], np.float32)
_HUE_NAMES = np.array([NAMES.index(name) for _, name in _HUES + _HUES_ABOVE])


def colour_name(pixels: np.ndarray) -> str | None:
    """Name the colour that most pixels have.

    A vote, not the mean: the mean of a red and white thing is a pink that no pixel has.

    Args:
        pixels: (P, 3) uint8 RGB, those of the object's mask.

    Returns:
        One of `NAMES`; None where there are no pixels.
    """
    if not len(pixels):
        return None
    pixels = pixels[:: max(1, len(pixels) // _MAX_PIXELS)].astype(np.float32) / 255  # (P, 3)
    high, low = pixels.max(1), pixels.min(1)
    spread = high - low
    safe = np.where(spread > 0, spread, 1)
    red, green, blue = pixels.T
    hue = np.where(
        high == red,
        (green - blue) / safe % 6,
        np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = 60 * hue  # degrees, [0, 360)
    saturation = spread / np.where(high > 0, high, 1)
    names = _HUE_NAMES[np.searchsorted(_HUE_BOUNDS, hue, side="right").clip(0, len(_HUE_NAMES) - 1)]
    warm = (hue >= 5) & (hue < 50)
    names = np.where(warm & (high < 0.62), NAMES.index("brown"), names)
    pale_red = (names == NAMES.index("red")) & (saturation < 0.5) & (high > 0.7)
    names = np.where(pale_red, NAMES.index("pink"), names)
    colourless = (saturation < 0.22) | (spread < 0.08)
    greys = np.where(high < 0.25, NAMES.index("black"), np.where(high > 0.8, NAMES.index("white"), NAMES.index("grey")))
    names = np.where(colourless, greys, names)
    names = np.where(high < 0.16, NAMES.index("black"), names)
    return NAMES[int(np.bincount(names, minlength=len(NAMES)).argmax())]
