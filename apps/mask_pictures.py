"""Pictures of masks as people have them: ids in a palette, black and white, DAVIS colours, a ring of void.

What cannot be read in one way only is asked about in one line, not guessed at: a trimap, edges that were smoothed or
stored as JPEG, colours that are not those of DAVIS.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from streamvos.errors import InputError
from streamvos.foreign_files import picture_errors
from streamvos.masks import VOID, davis_palette, ids_in

_RING_PX = 11  # what is narrower than this is a ring; annotations draw it 3 to 7 pixels wide
_RING_SHARE = 0.9  # of the pixels of 255 lie in it
_TRIMAP_GREYS = (127, 128)
_MAX_SHOWN = 3
_MOST_PIXELS = 1 << 26  # twice a picture of 8K; a damaged header can speak of more, and reading takes minutes


def read_mask_picture(path: Path) -> np.ndarray:
    """The (H, W) int64 ids of a picture, 0 the background and void; a picture of 0 and 255 alone is object 1.

    Args:
        path: a palette or grey picture whose values are ids, or one of DAVIS colours; what is transparent is
            background.

    Raises:
        InputError: not such a picture, or one that can be read in several ways.
    """
    with picture_errors(f"mask {str(path)!r}"), Image.open(path) as image:
        if image.width * image.height > _MOST_PIXELS:
            size = f"{image.width}x{image.height}"
            raise InputError(f"mask {str(path)!r}: expected at most {_MOST_PIXELS} pixels, got {size}: damaged?")
        values, is_indexed = _values(image, path)
    if not is_indexed:
        _refuse_soft(values, path)
    levels = np.unique(values[values > 0]).tolist()
    if levels == [VOID]:
        return (values > 0).astype(np.int64)
    if len(levels) == 2 and levels[0] in _TRIMAP_GREYS and levels[1] == VOID:
        raise InputError(
            f"mask {str(path)!r} holds 0, {levels[0]} and 255: a trimap? give 0 and 255 (is {levels[0]} object or "
            "background?), or ids from 1"
        )
    if VOID in levels and (is_indexed or _is_ring(values)):
        values = np.where(values == VOID, 0, values)
    return values


def _values(image: Image.Image, path: Path) -> tuple[np.ndarray, bool]:
    """The values of a picture, and whether they are indices of DAVIS colours, where 255 is void whatever its shape."""
    if image.mode == "P":
        values = np.array(image).astype(np.int64)
        palette = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
        used = [index for index in ids_in(values) if index < len(palette)]
        is_davis = bool(used) and np.array_equal(palette[used], davis_palette()[used])
        return values, is_davis
    if image.mode in ("L", "1", "I;16", "I;16B", "I;16L", "I"):
        return np.array(image.convert("L") if image.mode == "1" else image).astype(np.int64), False
    if image.mode not in ("RGB", "RGBA", "LA", "PA"):
        raise InputError(f"mask {str(path)!r}: expected a palette or grey picture of ids, got one of mode {image.mode}")
    pixels = np.array(image.convert("RGBA")).astype(np.int64)  # (H, W, 4)
    colours = np.where(pixels[..., 3:] > 0, pixels[..., :3], 0)
    if (colours == colours[..., :1]).all():
        return colours[..., 0], False
    codes = colours @ np.array([1 << 16, 1 << 8, 1])
    known = {int(code): index for index, code in enumerate(davis_palette().astype(np.int64) @ [1 << 16, 1 << 8, 1])}
    used = np.unique(codes)
    foreign = [int(code) for code in used if int(code) not in known]
    if foreign:
        told = ", ".join(f"#{code:06x}" for code in foreign[:_MAX_SHOWN])
        raise InputError(
            f"mask {str(path)!r}: {len(used)} colours, of which {len(foreign)} are not those of DAVIS ({told}"
            f"{', …' if len(foreign) > _MAX_SHOWN else ''}): give a palette or grey picture whose values are the ids"
        )
    return np.array([known[int(code)] for code in used])[np.searchsorted(used, codes)], True


def _refuse_soft(values: np.ndarray, path: Path) -> None:
    """Raise `InputError` where most levels of grey are only edges: no pixel has that level all around it."""
    if values.max(initial=0) > VOID:
        return  # ids of 16 bits
    levels = np.unique(values[values > 0])
    if len(levels) < 2:
        return
    narrow = [level for level in levels.tolist() if not _has_inside(values == level)]
    one_object = len(levels) - len(narrow) <= 1 and levels.max() >= VOID - 5 and VOID not in narrow
    if (len(levels) > 3 and 2 * len(narrow) > len(levels)) or (one_object and not _is_ring(values)):
        raise InputError(
            f"mask {str(path)!r}: {len(np.unique(values))} grey levels: soft edges or JPEG? give 0 and 255, or ids"
        )


def _has_inside(mask: np.ndarray) -> bool:
    return bool(cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).any())


def _is_ring(values: np.ndarray) -> bool:
    """Whether 255 is only found in narrow bands along objects, as annotations mark what is uncertain."""
    void, objects = (values == VOID).astype(np.uint8), ((values > 0) & (values != VOID)).astype(np.uint8)
    if not void.any() or not objects.any():
        return False
    wide = cv2.morphologyEx(void, cv2.MORPH_OPEN, np.ones((_RING_PX, _RING_PX), np.uint8), borderValue=0)
    near = cv2.dilate(objects, np.ones((2 * _RING_PX + 1, 2 * _RING_PX + 1), np.uint8))
    return float((void & near & (1 - wide)).sum()) >= _RING_SHARE * float(void.sum())
