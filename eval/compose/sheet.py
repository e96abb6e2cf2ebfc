"""A contact sheet: frames of composed sequences, masks beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from eval.compose.layout import IMAGES, MASKS
from eval.datasets.composed import SequenceTruth
from streamvos.errors import InputError
from streamvos.export.colours import id_colour
from streamvos.export.masks import read_mask
from streamvos.video.images import read_image

_TILE_H = 150
_PER_ROW = 3  # frames of a sequence, each with its masks
_MAX_ROWS = 6
_MAX_BYTES = 300_000


def write_sheet(roots: Sequence[Path], path: Path) -> None:
    """Write one picture of frames and masks, a row for each sequence of some composed benchmarks.

    Args:
        roots: output folders. path: .jpg (at most 300 kB) or .png.

    Raises:
        InputError: nothing composed is there, or the suffix is another.
    """
    truths = [(root, file) for root in roots for file in sorted((root / "truth").glob("*.json"))]
    if not truths:
        raise InputError(f"no composed sequence in {', '.join(str(root) for root in roots)}")
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise InputError(f"--sheet: expected a .jpg or .png file, got {path.name!r}")
    step = max(1, len(truths) // _MAX_ROWS)
    rows = [_row(root, SequenceTruth.load(file)) for root, file in truths[::step][:_MAX_ROWS]]
    width = min(row.shape[1] for row in rows)
    sheet = np.vstack([row[:, :width] for row in rows])[..., ::-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(88, 20, -8):
        options = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
        packed = cv2.imencode(path.suffix, sheet, options)[1]
        if len(packed) <= _MAX_BYTES or not options:
            break
    path.write_bytes(packed)


def _row(root: Path, truth: SequenceTruth) -> np.ndarray:
    """Frames spread over the sequence, each the one near its place that shows most."""
    tiles = []
    for place in range(_PER_ROW):
        first = place * truth.num_frames // _PER_ROW
        group = truth.frames[first : max(first + 1, (place + 1) * truth.num_frames // _PER_ROW)]
        best = max(group, key=lambda frame: (len(frame.objects), sum(seen.visible_px for seen in frame.objects)))
        image = read_image(root / IMAGES / truth.sequence / f"{best.frame:05d}.jpg")
        labels = read_mask(root / MASKS / truth.sequence / f"{best.frame:05d}.png")
        colours = np.zeros((256, 3), np.uint8)
        for thing in truth.objects:
            colours[thing.id] = id_colour(thing.id)
        for picture in (image, colours[labels]):
            width = round(picture.shape[1] * _TILE_H / picture.shape[0])
            tiles.append(cv2.resize(picture, (width, _TILE_H), interpolation=cv2.INTER_AREA))
    return np.hstack(tiles)
