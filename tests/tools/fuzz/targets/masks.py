"""Pictures of masks: ids in a palette, grey, DAVIS colours, transparency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from apps.prompt_files import read_first_mask
from streamvos.masks import davis_palette
from tests.tools.fuzz.target import Target


def ids() -> np.ndarray:
    """(24, 32) uint8: two objects."""
    picture = np.zeros((24, 32), np.uint8)
    picture[2:10, 3:12], picture[12:20, 15:28] = 1, 2
    return picture


def with_palette() -> Image.Image:
    """The ids as DAVIS keeps them."""
    image = Image.fromarray(ids())
    image.putpalette(davis_palette().reshape(-1).tolist())
    return image


def _make(folder: Path) -> None:
    palette, binary = with_palette(), Image.fromarray((ids() > 0).astype(np.uint8) * 255)
    pictures: dict[str, tuple[Image.Image, dict]] = {
        "palette.png": (palette, {}),
        "clear.png": (palette, {"transparency": 0}),
        "grey.png": (Image.fromarray(ids()), {}),
        "binary.png": (binary, {}),
        "bit.png": (binary.convert("1"), {}),
        "deep.png": (Image.fromarray(ids().astype(np.uint16) * 300), {}),
        "colours.png": (palette.convert("RGB"), {}),
        "alpha.png": (palette.convert("RGBA"), {}),
        "grey_alpha.png": (binary.convert("LA"), {}),
        "palette.gif": (palette, {}),
        "binary.jpg": (Image.fromarray(np.kron(np.eye(3, 4, dtype=np.uint8) * 255, np.ones((8, 8), np.uint8))), {}),
        "palette.tif": (palette, {}),
        "deep.tif": (Image.fromarray(ids().astype(np.uint16) * 300), {"compression": "tiff_lzw"}),
        "colours.webp": (palette.convert("RGB"), {"lossless": True}),
        "palette.bmp": (palette, {}),
    }
    for name, (image, options) in pictures.items():
        (folder / name).mkdir()
        image.save(folder / name / name, **options)


def _read(folder: Path) -> object:
    return [read_first_mask(path) for path in folder.iterdir()]


TARGET = Target("masks", _make, _read)
