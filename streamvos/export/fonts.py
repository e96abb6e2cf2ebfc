"""Fonts of the overlay: one that is always there, others of the system where it lacks a script."""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

_OWN = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf"
_MANY_SCRIPTS = ("cjk", "unifont", "arialuni", "droidsansfallback", "wqy", "yahei", "pingfang", "hiragino", "gothic")
_MOST_FONTS = 60  # of a system that are looked into


def printable(text: str) -> str:
    """A text on one line, without what no font draws."""
    kept = (sign if not unicodedata.category(sign).startswith("C") else " " for sign in text)
    return " ".join("".join(sign for sign in kept if not "\ufe00" <= sign <= "\ufe0f").split())


def font_for(text: str, font_px: int) -> ImageFont.FreeTypeFont | None:
    """DejaVu Sans, which matplotlib brings along, or a font of this system that has every letter of a text.

    Returns:
        The font at a size in pixels; None where no font here has all letters.
    """
    path = _path_for(frozenset(text))
    return None if path is None else _load(path, font_px)


@functools.lru_cache(maxsize=512)
def _path_for(letters: frozenset[str]) -> Path | None:
    codes = {ord(letter) for letter in letters}
    if codes <= _codes(_OWN):
        return _OWN
    return next((path for path in _system_fonts() if codes <= _codes(path)), None)


@functools.cache
def _system_fonts() -> tuple[Path, ...]:
    """Files of fonts, those of many scripts first; the order is the same in every run."""
    found = sorted({Path(path) for path in font_manager.findSystemFonts()})
    found.sort(key=lambda path: not any(word in path.name.lower() for word in _MANY_SCRIPTS))
    return tuple(found[:_MOST_FONTS])


@functools.cache
def _codes(path: Path) -> frozenset[int]:
    """The code points that a font can draw; none where it cannot be read."""
    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@functools.cache
def _load(path: Path, font_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, font_px)
