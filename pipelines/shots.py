"""Shot boundaries: says of each frame whether it starts a new shot.

A cut is an abrupt change of the whole picture. Two cheap measures against the frame before, on a thumbnail: the
distance of the HSV histograms (blind to motion inside the picture) and the share of blocks that cannot be found
near their old place (blind to slow light changes). Both must be high, and high against what the shot has shown
lately, so that a fast pan or a flash is not a cut. Causal; the same decision for a live camera and a file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError
from streamvos.records import Frame, StepResult

_THUMB = (96, 64)  # width, height
_BLOCK = 8
_REACH = 8  # pixels of the thumbnail that a block may have moved


@dataclass(frozen=True)
class ShotsConfig:
    """When a change counts as a cut."""

    enabled: bool = True
    # Least histogram distance (0 same, 1 disjoint) and least share of textured blocks not found again that a cut
    # shows; larger misses more cuts.
    min_histogram_distance: float = 0.3
    min_lost_blocks: float = 0.2
    # What both must add up to; a strong change of one makes up for a weak one of the other.
    min_sum: float = 0.9
    # How many times the shot's recent level the change must reach; larger tolerates shakier cameras.
    min_ratio: float = 2.5

    def __post_init__(self) -> None:
        for name, top in (("min_histogram_distance", 1), ("min_lost_blocks", 1), ("min_sum", 2)):
            if not 0 <= getattr(self, name) <= top:
                raise InputError(f"shots.{name}: expected within [0, {top}], got {getattr(self, name)}")
        if not 0 <= self.min_ratio < math.inf:
            raise InputError(f"shots.min_ratio: expected 0 or more, got {self.min_ratio}")


class ShotStage:
    """Fills in `shot_index` and `is_cut`; always the first stage of the graph."""

    name = "shots"

    def __init__(self, config: ShotsConfig) -> None:
        self._config = config
        self.reset()

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        thumb = cv2.resize(frame.image, _THUMB, interpolation=cv2.INTER_AREA)
        is_cut = self._config.enabled and self._previous is not None and self._differs(thumb)
        self._previous = thumb
        if is_cut:
            self._shot_index += 1
            self._level = 0.0
        return dataclasses.replace(result, shot_index=self._shot_index, is_cut=is_cut)

    def _differs(self, thumb: np.ndarray) -> bool:
        distance = histogram_distance(self._previous, thumb)
        usual, self._level = self._level, 0.8 * self._level + 0.2 * distance
        if distance < self._config.min_histogram_distance or distance < self._config.min_ratio * usual:
            return False
        lost = lost_blocks(self._previous, thumb)
        return bool(lost >= self._config.min_lost_blocks and distance + lost >= self._config.min_sum)

    def reset(self) -> None:
        self._previous: np.ndarray | None = None
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
    for thumb in (before, after):
        hsv = cv2.cvtColor(thumb, cv2.COLOR_RGB2HSV)
        histogram = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 8], [0, 180, 0, 256, 0, 256])
        histograms.append(cv2.GaussianBlur(histogram.reshape(48, 8), (3, 3), 0))
    return float(cv2.compareHist(histograms[0], histograms[1], cv2.HISTCMP_BHATTACHARYYA))


def lost_blocks(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the textured blocks of `before` that have no good match in `after` near their place."""
    old = cv2.cvtColor(before, cv2.COLOR_RGB2GRAY)
    new = cv2.copyMakeBorder(cv2.cvtColor(after, cv2.COLOR_RGB2GRAY), *[_REACH] * 4, cv2.BORDER_REPLICATE)
    lost = total = 0
    for top in range(0, old.shape[0], _BLOCK):
        for left in range(0, old.shape[1], _BLOCK):
            block = old[top : top + _BLOCK, left : left + _BLOCK]
            if block.std() < 6:  # flat: it would match anywhere
                continue
            window = new[top : top + _BLOCK + 2 * _REACH, left : left + _BLOCK + 2 * _REACH]
            total += 1
            lost += cv2.matchTemplate(window, block, cv2.TM_CCOEFF_NORMED).max() < 0.7
    return float(lost / total) if total >= 8 else 1.0
