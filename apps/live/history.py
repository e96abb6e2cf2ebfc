"""Moments that a page can look back at: pictures with their results, in a fixed number of bytes."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, replace

import cv2
import numpy as np

from streamvos import masks as mask_codec
from streamvos.export.masks import paint
from streamvos.records import ObjectMasks, StepResult

_JPEG_QUALITY = 82
_RECORD_BYTES = 1500  # of a result beside its masks, about


@dataclass(frozen=True)
class Moment:
    """One frame as the page shows it.

    Args:
        image: (h, w, 3) uint8 RGB, at most as large as the page wants it.
        result: of that frame, its masks and boxes in pixels of `image`.
    """

    image: np.ndarray
    result: StepResult


class History:
    """Moments in order of time; when the budget is full, every other one is dropped, and of those to come too.

    Args:
        budget_bytes: never exceeded.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget, self._bytes, self._every = budget_bytes, 0, 1
        self._num_seen = 0
        self._times: list[float] = []
        self._kept: list[tuple[bytes, StepResult, int]] = []

    @property
    def num_bytes(self) -> int:
        return self._bytes

    def __len__(self) -> int:
        return len(self._times)

    def add(self, moment: Moment) -> None:
        """Take the next moment, without its depth, which would double its size."""
        self._num_seen += 1
        if (self._num_seen - 1) % self._every:
            return
        jpeg = encode_jpeg(moment.image)
        result = replace(moment.result, scene=None, events=(), timings_s={})
        masks = () if result.masks is None else result.masks.rles
        size = len(jpeg) + sum(len(rle["counts"]) for rle in masks) + _RECORD_BYTES
        while self._kept and self._bytes + size > self._budget:
            self._thin()
        if size <= self._budget:
            self._times.append(result.time_s)
            self._kept.append((jpeg, result, size))
            self._bytes += size

    def at(self, time_s: float) -> Moment | None:
        """The kept moment nearest to a time; None where nothing is kept."""
        if not self._times:
            return None
        row = bisect.bisect_left(self._times, time_s)
        near = [row for row in (row - 1, row) if 0 <= row < len(self._times)]
        jpeg, result, _ = self._kept[min(near, key=lambda row: abs(self._times[row] - time_s))]
        bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        return Moment(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), result)

    def _thin(self) -> None:
        keep = len(self._kept) > 1
        self._times, self._kept = (self._times[::2], self._kept[::2]) if keep else ([], [])
        self._bytes = sum(size for *_, size in self._kept)
        self._every *= 2


def fitted(image: np.ndarray, result: StepResult, max_side_px: int) -> Moment:
    """A frame and its result at the size that the page shows, never enlarged."""
    height, width = image.shape[:2]
    scale = max_side_px / max(height, width)
    if scale >= 1:
        return Moment(image, result)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    ratio = np.array([size[1] / width, size[0] / height] * 2, np.float32)
    masks, found = result.masks, result.detections
    if masks is not None:
        masks = _resized(masks, size, ratio)
    if found is not None:
        found = replace(found, boxes_xyxy=found.boxes_xyxy * ratio)
    return Moment(small, replace(result, size=size, masks=masks, detections=found))


def encode_jpeg(image: np.ndarray, quality: int = _JPEG_QUALITY) -> bytes:
    """An (H, W, 3) uint8 RGB picture as JPEG."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _resized(masks: ObjectMasks, size: tuple[int, int], ratio: np.ndarray) -> ObjectMasks:
    labels = cv2.resize(paint(masks), size[::-1], interpolation=cv2.INTER_NEAREST)
    rles = tuple(mask_codec.encode(labels == object_id) for object_id in masks.object_ids)
    return replace(masks, size=size, rles=rles, boxes_xyxy=masks.boxes_xyxy * ratio)
