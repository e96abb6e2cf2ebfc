"""Masks as the records carry them (COCO run-length encoding) and as pictures show them (DAVIS palette)."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco_mask

from streamvos.records import ObjectMasks, Rle

VOID = 255  # label maps mark so what is neither an object nor background


def encode(mask: np.ndarray) -> Rle:
    """Encode an (H, W) bool mask as COCO RLE."""
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))


def decode(rle: Rle) -> np.ndarray:
    """Decode COCO RLE to an (H, W) bool mask."""
    return coco_mask.decode(rle).astype(bool)


def area_px(rle: Rle) -> int:
    """Number of pixels inside."""
    return int(coco_mask.area(rle))


def tight_box(mask: np.ndarray) -> np.ndarray:
    """The (4,) float32 xyxy box around an (H, W) bool mask, right and bottom exclusive; zeros where it is empty."""
    rows, cols = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    if not len(rows):
        return np.zeros(4, np.float32)
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], np.float32)


def label_map(masks: ObjectMasks) -> np.ndarray:
    """Paint the objects into an (H, W) uint16 picture of ids, 0 the background."""
    picture = np.zeros(masks.size, np.uint16)
    for object_id, rle in zip(masks.object_ids, masks.rles, strict=True):
        picture[decode(rle)] = object_id
    return picture


def ids_in(labels: np.ndarray) -> list[int]:
    """The object ids in an (H, W) label map, ascending, without background and void."""
    return [int(label) for label in np.unique(labels) if label not in (0, VOID)]


def davis_palette() -> np.ndarray:
    """The (256, 3) uint8 colours of the DAVIS and PASCAL VOC annotations."""
    palette = np.zeros((256, 3), np.uint8)
    for index in range(256):
        bits = index
        for shift in range(7, -1, -1):
            for channel in range(3):
                palette[index, channel] |= ((bits >> channel) & 1) << shift
            bits >>= 3
    return palette
