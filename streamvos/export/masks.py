"""masks/%05d.png: one indexed picture a frame, DAVIS palette, pixel value = object id, 0 the background.

An 8-bit palette ends at 255. A frame with a higher id is written as 16-bit grey instead (ids to 65535; higher
ones are painted 65535), and run.json says so; tracks.json has every id.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from streamvos.export.parts import replacing
from streamvos.masks import davis_palette
from streamvos.records import ObjectMasks

_PALETTE = davis_palette().tobytes()
_MAX_ID = 65535


class MaskWriter:
    """Writes the pictures of a run.

    Args:
        folder: made with the first picture.

    Attributes:
        warnings: what a reader of the pictures must know.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.warnings: list[str] = []

    def write(self, frame_index: int, labels: np.ndarray) -> None:
        """Write an (H, W) uint16 picture of ids."""
        self._folder.mkdir(exist_ok=True)
        if labels.max(initial=0) > 255 and not self.warnings:
            self.warnings.append("object ids above 255: masks of such frames are 16-bit grey")
        with replacing(mask_path(self._folder, frame_index)) as temporary:
            temporary.write_bytes(_png(labels))

    def forget_from(self, frame_index: int) -> None:
        """Remove the pictures of a frame and of all after it."""
        for path in self._folder.glob("*.png"):
            if path.stem.isdecimal() and int(path.stem) >= frame_index:
                path.unlink()


def paint(masks: ObjectMasks) -> np.ndarray:
    """The (H, W) uint16 picture of ids, 0 the background; ids above 65535 become 65535."""
    picture = np.zeros(masks.size, np.uint16)
    for object_id, rle in zip(masks.object_ids, masks.rles, strict=True):
        x, y, width, height = coco_mask.toBbox(rle).astype(int)
        if width and height:
            there = coco_mask.decode(rle)[y : y + height, x : x + width].astype(bool)
            picture[y : y + height, x : x + width][there] = min(int(object_id), _MAX_ID)
    return picture


def mask_path(folder: Path, frame_index: int) -> Path:
    """Where the picture of a frame lies."""
    return folder / f"{frame_index:05d}.png"


def read_mask(path: Path) -> np.ndarray:
    """Read a picture of ids as (H, W) uint16."""
    with Image.open(path) as image:
        return np.asarray(image).astype(np.uint16)


def _png(labels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    if labels.max(initial=0) > 255:
        Image.fromarray(labels).save(buffer, "PNG", compress_level=1)
    else:
        image = Image.fromarray(labels.astype(np.uint8), "P")
        image.putpalette(_PALETTE)
        image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
