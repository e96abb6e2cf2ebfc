"""A short clip with a cut, things that the detector knows, and a comparison of results to the last bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from streamvos.records import Frame, Prompt, StepResult
from streamvos.video.info import Source, SourceInfo
from streamvos.video.sources import open_source

SIZE = (136, 320)
FIRST, COUNT = 24, 14  # the sample's first cut is at its frame 30


class ListSource(Source):
    """Frames out of a list, from `start` on; raises `error` at the end where one is given."""

    def __init__(self, images: list[np.ndarray], start: int = 0, error: Exception | None = None) -> None:
        height, width = images[0].shape[:2]
        rate = Fraction(25)
        super().__init__(SourceInfo("clip", "video", "clip", width, height, rate, len(images), None, False, 1 / rate))
        self._images, self._next, self._error = images, start, error
        self.num_read = 0

    def __next__(self) -> Frame:
        if self._next >= len(self._images):
            raise StopIteration if self._error is None else self._error
        index, self._next = self._next, self._next + 1
        self.num_read += 1
        return Frame("clip", index, index / 25, self._images[index])


@pytest.fixture(scope="session")
def images() -> list[np.ndarray]:
    with open_source("sample:bikes", start_index=FIRST, max_frames=FIRST + COUNT) as source:
        return [cv2.resize(frame.image, SIZE[::-1], interpolation=cv2.INTER_AREA) for frame in source]


@pytest.fixture
def list_source() -> type[ListSource]:
    return ListSource


@pytest.fixture
def prompts() -> list[Prompt]:
    """One object from the start, one that comes later as a mask."""
    mask = np.zeros(SIZE, bool)
    mask[60:120, 200:260] = True
    return [Prompt(0, 1, box=np.array([40, 20, 150, 130], np.float32)), Prompt(8, 5, mask=mask, label="late one")]


def plain(value: Any) -> Any:
    """Containers that compare bit for bit; times of the clock are left out."""
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.name != "timings_s"]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@pytest.fixture
def assert_same() -> Callable[[Iterable[StepResult], Iterable[StepResult]], None]:
    def check(left: Iterable[StepResult], right: Iterable[StepResult]) -> None:
        left, right = list(left), list(right)
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            first, second = plain(a), plain(b)
            for name in first:
                assert first[name] == second[name], f"frame {a.frame_index}: {name} differs"

    return check


_TINTS = ((120, 120, 115), (225, 60, 45), (45, 90, 225), (60, 190, 70), (220, 190, 40), (190, 60, 200))


def texture(number: int, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8 soft noise in the tint of an object; 0 is a background."""
    rng = np.random.default_rng(number)
    noise = cv2.resize(rng.normal(0, 45, (height // 4 + 1, width // 4 + 1, 1)), (width, height))
    tint = np.array(_TINTS[number % len(_TINTS)] if number < 100 else rng.integers(30, 220, 3))
    return np.clip(noise[..., None] + tint, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def draw_squares() -> Callable[..., tuple[np.ndarray, dict[int, np.ndarray]]]:
    """Draw coloured squares on noise: `draw_squares({1: (top, left)})` gives the picture and a mask of each."""

    def draw(
        places: dict[int, tuple[int, int]], size: tuple[int, int] = (112, 160), side: int = 40, background: int = 0
    ) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        image, truth = texture(background, *size), {}
        for object_id, (top, left) in places.items():
            area = (slice(max(0, top), max(0, top + side)), slice(max(0, left), max(0, left + side)))
            inside = image[area]
            inside[:] = texture(object_id, side, side)[-inside.shape[0] :, -inside.shape[1] :] if inside.size else 0
            for mask in truth.values():
                mask[area] = False
            truth[object_id] = np.zeros(size, bool)
            truth[object_id][area] = True
        return image, truth

    return draw
