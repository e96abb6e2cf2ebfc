"""A short clip held in memory and played to and fro, for as long as a benchmark needs frames."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.info import Source, SourceInfo
from streamvos.video.sources import open_source


def load_images(spec: str, count: int, size: tuple[int, int] | None = None, first: int = 0) -> list[np.ndarray]:
    """`count` pictures of a source from frame `first` on, (H, W, 3) uint8 RGB, scaled to `size` (H, W) if given."""
    if count < 1:
        raise InputError(f"expected at least one frame, got {count}")
    with open_source(spec, start_index=first, max_frames=first + count) as source:
        images = [frame.image for frame in source]
    if not images:
        raise InputError(f"source {spec!r} has no frame {first}")
    if size is not None:
        images = [cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA) for image in images]
    return images


class LoopedSource(Source):
    """Plays pictures to and fro; indices and times go on, so to a stage it is one long video.

    Args:
        images: (H, W, 3) uint8 RGB, at least one.
        start, stop: indices of the first frame and of the one after the last.
    """

    def __init__(self, images: list[np.ndarray], start: int, stop: int) -> None:
        height, width = images[0].shape[:2]
        rate = Fraction(25)
        super().__init__(
            SourceInfo("looped", "video", "looped", width, height, rate, stop, float(stop / rate), False, 1 / rate)
        )
        self._images, self._next, self._stop = images, start, stop

    def __next__(self) -> Frame:
        if self._next >= self._stop:
            raise StopIteration
        index = self._next
        self._next += 1
        last = len(self._images) - 1
        phase = index % (2 * last) if last else 0
        image = self._images[phase if phase <= last else 2 * last - phase]
        return Frame(self.info.name, index, float(index * self.info.time_base), image)
