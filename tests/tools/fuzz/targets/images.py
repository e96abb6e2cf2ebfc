"""Pictures: folders of them, single ones, and films in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from streamvos.video.names import is_image
from streamvos.video.sources import open_source
from tests.tools.fuzz.target import Target

_SIZE = (24, 32)
_TURNED = 6  # EXIF: a quarter turn clockwise


def picture(number: int) -> Image.Image:
    """A small picture with edges and colours, another for each number."""
    rows, columns = np.mgrid[: _SIZE[0], : _SIZE[1]]
    return Image.fromarray(
        np.stack([rows * 10, columns * 8, (rows + columns + 20 * number) % 256], -1).astype(np.uint8)
    )


def _make(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = _TURNED
    grey, film = picture(0).convert("L"), {"save_all": True, "append_images": [picture(1), picture(2)]}
    made: dict[str, tuple[Image.Image, dict]] = {
        "turned.jpg": (picture(0), {"exif": exif}),
        "progressive.jpg": (picture(0), {"progressive": True}),
        "cmyk.jpg": (picture(0).convert("CMYK"), {}),
        "turned.png": (picture(0), {"exif": exif}),
        "palette.png": (picture(0).convert("P"), {"transparency": 3}),
        "deep.png": (Image.fromarray(np.asarray(grey).astype(np.uint16) * 200), {}),
        "lossy.webp": (picture(0), {"exif": exif}),
        "film.webp": (picture(0), {**film, "duration": [40, 10, 500]}),
        "film.tif": (picture(0), {**film, "compression": "tiff_adobe_deflate", "exif": exif}),
        "film.gif": (picture(0), film),
        "film.png": (picture(0), film),
        "plain.tif": (picture(0), {"compression": "tiff_lzw"}),
        "plain.bmp": (picture(0), {}),
        "plain.ppm": (picture(0), {}),
        "plain.jp2": (picture(0), {}),
    }
    for name, (image, options) in made.items():
        (folder / name).mkdir()
        image.save(folder / name / name, **options)
    for suffix in ("jpg", "png", "webp"):
        (folder / f"several {suffix}").mkdir()
        for number in range(3):
            picture(number).save(folder / f"several {suffix}" / f"frame_{number}.{suffix}")


def _read(folder: Path) -> object:
    paths = list(folder.iterdir())
    frames = []
    is_one = len(paths) == 1
    for spec in (*([folder] if not is_one or is_image(paths[0]) else ()), *(paths if is_one else ())):
        with open_source(str(spec), max_frames=40) as source:
            frames += [(frame.image.shape, frame.time_s) for frame in source]
    return frames


TARGET = Target("images", _make, _read)
