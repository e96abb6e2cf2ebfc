"""A sheet of contradictions: crops of frames with the objects' masks and the witness's boxes, for a person to judge."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from eval.metrics.consistency import KINDS, Contradiction
from streamvos.export.draw import Shown, draw_result
from streamvos.export.fonts import font_for
from streamvos.masks import label_map
from streamvos.records import Detections, StepResult

MAX_EXAMPLES = 12
_TILE, _CAPTION_PX = (300, 400), 22  # (H, W) of a picture, height of the line below
_PER_ROW = 4
_AROUND = 0.4  # of the contradiction's longer side, shown on each side of it
_LEAST = 0.15  # of the frame's shorter side, likewise; less shows a small thing without its surroundings
_APART_S = 0.5  # the same contradiction is shown again only after so long
_WITNESS = (255, 230, 0)
_SHOWN = Shown(header=False)


class Examples:
    """Keeps pictures of contradictions while a video runs: of each kind some, spread over the video by chance.

    Args:
        seed: of that chance.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._seen = dict.fromkeys(KINDS, 0)
        self._kept: dict[str, list[tuple[int, np.ndarray]]] = {kind: [] for kind in KINDS}
        self._shown_s: dict[tuple, float] = {}

    def look(
        self, image: np.ndarray, result: StepResult, found: Detections, contradictions: Sequence[Contradiction]
    ) -> None:
        """Take what this frame shows: (H, W, 3) uint8 RGB, its result, the witness's detections."""
        for one in contradictions:
            what = one.kind, one.object_ids, tuple(found.class_names[row] for row in one.rows)
            if result.time_s - self._shown_s.get(what, -np.inf) < _APART_S:
                continue
            self._shown_s[what] = result.time_s
            kept, self._seen[one.kind] = self._kept[one.kind], self._seen[one.kind] + 1
            place = len(kept) if len(kept) < MAX_EXAMPLES else self._random.randrange(self._seen[one.kind])
            if place < MAX_EXAMPLES:
                kept[place : place + 1] = [(result.frame_index, _tile(image, result, found, one))]

    def chosen(self) -> list[np.ndarray]:
        """At most `MAX_EXAMPLES` pictures, as even over the kinds as there are, in the order of `KINDS` and time."""
        share = dict.fromkeys(KINDS, 0)
        for _ in range(MAX_EXAMPLES):
            waiting = [kind for kind in KINDS if share[kind] < len(self._kept[kind])]
            if waiting:
                share[min(waiting, key=lambda kind: share[kind])] += 1
        parts = [sorted(self._kept[kind][:count], key=lambda one: one[0]) for kind, count in share.items()]
        return [tile for part in parts for _, tile in part]

    def write(self, path: Path) -> None:
        """Write the sheet as JPEG; of a video without contradictions it says so."""
        tiles = self.chosen() or [_captioned(np.full((*_TILE, 3), 40, np.uint8), "no contradiction")]
        blank = np.zeros_like(tiles[0])
        rows = [tiles[start : start + _PER_ROW] for start in range(0, len(tiles), _PER_ROW)]
        width = max(len(row) for row in rows)
        sheet = np.vstack([np.hstack([*row, *[blank] * (width - len(row))]) for row in rows])
        path.write_bytes(cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())


def _tile(image: np.ndarray, result: StepResult, found: Detections, one: Contradiction) -> np.ndarray:
    picture = draw_result(image, dataclasses.replace(result, detections=None), label_map(result.masks), _SHOWN)
    top, left, bottom, right = _window(one.box_xyxy, image.shape[:2])
    crop = picture[top:bottom, left:right]
    scale = min(_TILE[0] / crop.shape[0], _TILE[1] / crop.shape[1])
    size = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    for box in found.boxes_xyxy[list(one.rows)]:  # drawn in the scaled crop, as thick in each
        x1, y1, x2, y2 = np.round((box - (left, top, left, top)) * scale).astype(int).tolist()
        cv2.rectangle(small, (x1, y1), (x2 - 1, y2 - 1), _WITNESS, 2)
    canvas = np.zeros((*_TILE, 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return _captioned(canvas, f"{result.frame_index}  {one.kind}: {one.says}")


def _window(box: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the crop: the box with what is around it; all where there is no box."""
    if not box.any():
        return 0, 0, *size
    margin = max(_AROUND * float((box[2:] - box[:2]).max()), _LEAST * min(size))
    x1, y1 = np.clip(np.floor(box[:2] - margin), 0, None).astype(int).tolist()
    x2, y2 = np.ceil(box[2:] + margin).astype(int).tolist()
    return y1, x1, min(size[0], max(y2, y1 + 1)), min(size[1], max(x2, x1 + 1))


def _captioned(picture: np.ndarray, text: str) -> np.ndarray:
    line = Image.new("RGB", (picture.shape[1], _CAPTION_PX), (24, 24, 28))
    ImageDraw.Draw(line).text((4, 2), text, fill=(255, 255, 255), font=font_for(text, 14))
    return np.vstack([picture, np.asarray(line)])
