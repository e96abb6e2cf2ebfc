"""Evidence of answers as the page shows it: the moment, the claim, and its picture with the object's box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from apps.live.history import encode_jpeg
from memory_bank.episodes import EpisodeReader
from streamvos.answers import Evidence, clock
from streamvos.errors import InputError
from streamvos.export.colours import id_colour

_NEAR_MS = 60_000  # the picture nearest to a fact is that of another frame at times
_Box = tuple[float, float, float, float]


def proofs(memory: Path, evidence: tuple[Evidence, ...]) -> list[dict[str, Any]]:
    """What the page is told of each.

    Args:
        memory: folder of the long memory that the answer comes from.
        evidence: of the answer.

    Returns:
        Time, clock, frame, object and claim of each; `jpeg` is b"" where no picture is kept; `boxed` says whether the
        box of the object is drawn into it.
    """
    boxes = _boxes(memory, evidence)
    told = []
    for one, box in zip(evidence, boxes, strict=True):
        jpeg = b"" if one.thumbnail is None else one.thumbnail.read_bytes()
        is_boxed = bool(jpeg) and box is not None
        told.append(
            {
                "time_s": one.from_s,
                "clock": clock(round(1000 * one.from_s)),
                "frame": one.frame_index,
                "object": one.object_id,
                "claim": one.claim,
                "jpeg": _with_box(jpeg, box, one.object_id) if is_boxed else jpeg,
                "boxed": is_boxed,
            }
        )
    return told


def _boxes(memory: Path, evidence: tuple[Evidence, ...]) -> list[_Box | None]:
    """Where each object was in the picture that proves it, as shares of width and height."""
    if not any(one.thumbnail is not None and one.object_id is not None for one in evidence):
        return [None] * len(evidence)
    try:
        with EpisodeReader(memory) as reader:
            entities = {thing.object_id: thing.entity_id for thing in reader.things() if thing.object_id is not None}
            return [_box(reader, entities, one) for one in evidence]
    except InputError:  # the answer stands without
        return [None] * len(evidence)


def _box(reader: EpisodeReader, entities: dict[int, int], one: Evidence) -> _Box | None:
    if one.thumbnail is None or one.object_id not in entities:
        return None
    taken = int(one.thumbnail.stem)  # the frame of the picture, which may be another one than that of the fact
    from_ms, to_ms = round(1000 * one.from_s) - _NEAR_MS, round(1000 * one.to_s) + _NEAR_MS
    seen = [
        observation
        for observation in reader.observations([entities[one.object_id]], from_ms, to_ms)
        if observation.frame == taken
    ]
    return seen[0].box if seen else None


def _with_box(jpeg: bytes, box: _Box, object_id: int) -> bytes:
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (round(side * size) for side, size in zip(box, (width - 1, height - 1) * 2, strict=True))
    colour = tuple(int(value) for value in id_colour(object_id))
    for ink, thickness in (((0, 0, 0), 4), (colour, 2)):
        cv2.rectangle(image, (x1, y1), (x2, y2), ink, thickness, cv2.LINE_AA)
    return encode_jpeg(image)
