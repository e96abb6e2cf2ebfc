"""Shot boundaries: says of each frame whether it starts a new shot.

A cut is an abrupt change of the whole picture. Two cheap measures against the frame before, on a thumbnail: the
distance of the HSV histograms (blind to motion inside the picture) and the share of blocks that cannot be found
near their old place (blind to slow light changes). Both must be high, and high against what the shot has shown
lately, so that a fast pan or a flash is not a cut. Causal; the same decision for a live camera and a file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from memory_bank.protocol import MemoryStats
from streamvos.config import Settings, setting
from streamvos.records import Frame, StepResult

_THUMBNAIL_SIZE = (96, 64)  # width, height
_BLOCK_PX = 8
_REACH_PX = 8  # a block of the thumbnail may have moved so far: a twelfth of its width between two frames

# What a cut must show. The five cuts of the packaged clip `bikes` are at 0.38 and more, 0.29 and more, and in sum
# 0.98 and more; no other frame of it, nor of `carphone`, is above 0.14, 0.13 and 0.22 (a test holds both sides).
_MIN_DISTANCE = 0.3  # of the histograms
_MIN_LOST = 0.2  # share of textured blocks not found again
_MIN_SUM = 0.9  # of both: a strong change of one makes up for a weak one of the other
_MIN_RATIO = 2.5  # of the distance to the shot's usual one: a shaky camera makes none; those cuts are at 6 and more
_LEVEL_RATE = 0.2  # of the running mean that says what is usual: half of it is from the last three frames

_HISTOGRAM_BINS = (12, 4, 8)  # hue, saturation, value: hue finest, as it changes least with the light
_FLAT_LEVELS = 6  # standard deviation in grey levels; a block below it would match anywhere
_MIN_CORRELATION = 0.7  # normalised; a block that no place near its old one reaches it with is lost
_MIN_BLOCKS = 8  # textured ones, of 96: with fewer their share says nothing


@dataclass(frozen=True)
class ShotsConfig(Settings, at="shots"):
    """Where shots begin."""

    enabled: bool = setting(True, "look for cuts; off: the whole stream is one shot")


class ShotStage:
    """Fills in `shot_index` and `is_cut`; always the first stage of the graph."""

    name = "shots"

    def __init__(self, config: ShotsConfig) -> None:
        self._config = config
        self.reset()

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        thumbnail = cv2.resize(frame.image, _THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
        is_cut = self._config.enabled and self._previous is not None and self._differs(thumbnail)
        self._previous = thumbnail
        if is_cut:
            self._shot_index += 1
            self._level = 0.0
        return dataclasses.replace(result, shot_index=self._shot_index, is_cut=is_cut)

    def _differs(self, thumbnail: np.ndarray) -> bool:
        distance = histogram_distance(self._previous, thumbnail)
        usual, self._level = self._level, (1 - _LEVEL_RATE) * self._level + _LEVEL_RATE * distance
        if distance < _MIN_DISTANCE or distance < _MIN_RATIO * usual:
            return False
        lost = lost_blocks(self._previous, thumbnail)
        return bool(lost >= _MIN_LOST and distance + lost >= _MIN_SUM)

    def reset(self) -> None:
        self._previous: np.ndarray | None = None  # one thumbnail, 18 KB
        self._level = 0.0  # running mean of the histogram distance within the shot
        self._shot_index = 0

    def stats(self) -> Mapping[str, MemoryStats]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        previous = None if self._previous is None else self._previous.copy()
        return {"previous": previous, "level": self._level, "shot_index": self._shot_index}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._previous, self._level = state["previous"], state["level"]
        self._shot_index = state["shot_index"]

    def products(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


def histogram_distance(before: np.ndarray, after: np.ndarray) -> float:
    """Hellinger distance in [0, 1] of the HSV histograms of two (h, w, 3) uint8 RGB thumbnails."""
    histograms = []
    for thumbnail in (before, after):
        hsv = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2HSV)
        histogram = cv2.calcHist([hsv], [0, 1, 2], None, list(_HISTOGRAM_BINS), [0, 180, 0, 256, 0, 256])
        histograms.append(cv2.GaussianBlur(histogram.reshape(-1, _HISTOGRAM_BINS[2]), (3, 3), 0))
    return float(cv2.compareHist(histograms[0], histograms[1], cv2.HISTCMP_BHATTACHARYYA))


def lost_blocks(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the textured blocks of `before` that have no good match in `after` near their place."""
    old = cv2.cvtColor(before, cv2.COLOR_RGB2GRAY)
    new = cv2.copyMakeBorder(cv2.cvtColor(after, cv2.COLOR_RGB2GRAY), *[_REACH_PX] * 4, cv2.BORDER_REPLICATE)
    lost = total = 0
    for top in range(0, old.shape[0], _BLOCK_PX):
        for left in range(0, old.shape[1], _BLOCK_PX):
            block = old[top : top + _BLOCK_PX, left : left + _BLOCK_PX]
            if block.std() < _FLAT_LEVELS:
                continue
            window = new[top : top + _BLOCK_PX + 2 * _REACH_PX, left : left + _BLOCK_PX + 2 * _REACH_PX]
            total += 1
            lost += cv2.matchTemplate(window, block, cv2.TM_CCOEFF_NORMED).max() < _MIN_CORRELATION
    return float(lost / total) if total >= _MIN_BLOCKS else 1.0
