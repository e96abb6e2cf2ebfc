"""Videos that say who they are: each frame shows its number, its corners tell how it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (240, 240, 240)
_BITS = 8


def draw_numbered(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """(H, W, 3) uint8: corners red, green, blue, white; eight bars at mid height hold the number in binary."""
    image = np.full((height, width, 3), 96, np.uint8)
    side = min(width, height) // 4
    image[:side, :side], image[:side, -side:] = RED, GREEN
    image[-side:, :side], image[-side:, -side:] = BLUE, WHITE
    cell = width // _BITS
    for bit in range(_BITS):
        value = 235 if number >> bit & 1 else 16
        image[height // 2 - side // 2 : height // 2 + side // 2, bit * cell : (bit + 1) * cell] = value
    return image


def read_number(image: np.ndarray) -> int:
    """The number that a picture shows."""
    height, width = image.shape[:2]
    row, cell = image[height // 2 - 2 : height // 2 + 2], width / _BITS
    return sum(int(row[:, round((bit + 0.5) * cell)].mean() > 125) << bit for bit in range(_BITS))


def read_corners(image: np.ndarray) -> str:
    """Which colours stand at top left, top right, bottom left, bottom right: "RGBW" as it was drawn."""
    names = {"R": RED, "G": GREEN, "B": BLUE, "W": WHITE}
    spots = (image[4, 4], image[4, -5], image[-5, 4], image[-5, -5])
    return "".join(min(names, key=lambda one: np.abs(spot.astype(int) - names[one]).sum()) for spot in spots)


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    return draw_numbered


@pytest.fixture
def number() -> Callable[[np.ndarray], int]:
    return read_number


@pytest.fixture
def corners() -> Callable[[np.ndarray], str]:
    return read_corners


def encode(
    path: Path,
    numbers: Sequence[int] = range(10),
    *,
    size: tuple[int, int] = (96, 64),
    rate: int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    form: str | None = None,
    flags: str = "",
    aspect: Fraction | None = None,
    **options: str,
) -> Path:
    """Write a video of numbered pictures; `options` are the encoder's."""
    with av.open(str(path), "w", format=form, options={"movflags": flags} if flags else {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        usual = {"preset": "ultrafast", "g": "10", "bf": "0"} if codec == "libx264" else {}
        stream.options = usual | options
        for place, one in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(draw_numbered(one, *size), format="rgb24")
            frame.pts, frame.time_base = place, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def make_numbered(tmp_path: Path) -> Callable[..., Path]:
    """`make_numbered("clip.ts", range(20), form="mpegts", bf="3")`."""
    return lambda name, *arguments, **options: encode(tmp_path / name, *arguments, **options)


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and length of each box of an MP4."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        length = int.from_bytes(data[start : start + 4], "big")
        yield data[start + 4 : start + 8], start, length
        start += length


@pytest.fixture
def mp4_boxes() -> Callable[..., Iterator[tuple[bytes, int, int]]]:
    return boxes
