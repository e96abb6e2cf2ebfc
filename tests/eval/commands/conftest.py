"""A small clip with exact truth for the mask evaluations."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

SIZE = (96, 128)
Clip = Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]


@pytest.fixture(scope="session")
def clip() -> Clip:
    """Makes frames (picture, ids) of two textured squares over a textured ground.

    Args of the maker: number of frames, pixels that they move in each, and the frames in which the second is there.
    """

    def make(num_frames: int, speed: float = 4, second: range = range(0)) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(0)
        ground = rng.integers(0, 90, (*SIZE, 3)).astype(np.uint8)
        squares = [rng.integers(150, 255, (30, 30, 3)).astype(np.uint8) * np.eye(3, dtype=np.uint8)[k] for k in (0, 1)]
        for index in range(num_frames):
            image, labels = ground.copy(), np.zeros(SIZE, np.uint8)
            step = round(speed * index)
            for object_id, top, left in ((1, 10, 10 + step), (2, 56, 88 - step)):
                if object_id == 1 or index in second:
                    image[top : top + 30, left : left + 30] = squares[object_id - 1]
                    labels[top : top + 30, left : left + 30] = object_id
            yield image, labels

    return make
