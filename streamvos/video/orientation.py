"""How a picture file asks to be turned, wherever its format keeps that: EXIF, XMP, raw profiles, TIFF."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

from PIL import ExifTags, Image

_log = logging.getLogger(__name__)
_TRANSPOSED = {  # EXIF 2.32, tag 0x0112, and what shows the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = (5, 6, 7, 8)
_PNG_TEXTS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_PNG_SIGNATURE_BYTES = 8


def upright(image: Image.Image) -> Image.Image:
    """A picture as its orientation asks for; decodes it."""
    image.load()  # some formats say it behind the pixels, and of a TIFF Pillow turns the pixels itself
    method = None if image.format == "TIFF" else _TRANSPOSED.get(_orientation(image))
    return image if method is None else image.transpose(method)


def upright_size(path: Path, image: Image.Image) -> tuple[int, int]:
    """(H, W) of `upright(image)`, without decoding it where that can be known.

    Args:
        path: of the file.
        image: opened from it, not decoded.
    """
    if image.format == "PNG" and _has_texts_at_end(path):
        image.load()
    is_swapped = _orientation(image) in _SWAPPED
    if image.format == "TIFF" and ExifTags.Base.Orientation in image.tag_v2:  # Pillow gives the size turned already
        is_swapped = False
    return (image.width, image.height) if is_swapped else (image.height, image.width)


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1, as it is stored, where nothing or nonsense is said."""
    try:
        exif = Image.Image.getexif(image)  # a PNG's own decodes all of it
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception as error:  # damaged EXIF fails in many ways in Pillow, and none concerns the pixels
        _log.info("the orientation of %s cannot be read: %s", getattr(image, "filename", "a picture"), error)
        return 1


def _has_texts_at_end(path: Path) -> bool:
    """Whether a PNG has EXIF or texts behind its pixels, where Pillow meets them only after decoding."""
    with path.open("rb") as file:
        file.seek(_PNG_SIGNATURE_BYTES)
        has_pixels = False
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            has_pixels |= kind == b"IDAT"
            if has_pixels and kind in _PNG_TEXTS:
                return True
            if kind == b"IEND":
                return False
            file.seek(length + 4, 1)
    return False
