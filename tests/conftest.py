"""What many tests need: small videos written here and now, and the folder of real data where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.servers import Camera, Web


@pytest.fixture
def data_dir() -> Path:
    """The folder of real data that STREAMVOS_DATA names."""
    place = os.environ.get("STREAMVOS_DATA")
    if not place:
        pytest.skip("STREAMVOS_DATA is not set: no real data to test on")
    if not Path(place).is_dir():
        pytest.skip(f"STREAMVOS_DATA is {place!r}, which is not a folder")
    return Path(place)


def level(index: int) -> int:
    """Grey level of the left half of synthetic frame `index`; the right half is bright in its upper part."""
    return 20 + 4 * (index % 50)


def synthetic_frame(index: int, height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB from which index and orientation can be read."""
    image = np.full((height, width, 3), 30, np.uint8)
    image[: height // 2, width // 2 :] = (230, 230, 230)
    image[:, : width // 2] = level(index)
    return image


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Write a small H.264 video: `make_video("clip.mp4", 10, size=(48, 64))`."""

    def write(
        name: str = "clip.mp4",
        num_frames: int = 10,
        size: tuple[int, int] = (48, 64),
        rate: Fraction = Fraction(25),
        ticks: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, 12800),
        flags: str = "",
        pix_fmt: str = "yuv420p",
        interval: int = 12,
    ) -> Path:
        path = tmp_path / name
        options = {"movflags": flags} if flags else {}
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream("libx264", rate=rate)
            stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
            stream.time_base = stream.codec_context.time_base = time_base
            stream.options = {"preset": "ultrafast", "crf": "10", "g": str(interval)}
            step = round(1 / rate / time_base)
            for index in range(num_frames):
                frame = av.VideoFrame.from_ndarray(synthetic_frame(index, *size), format="rgb24")
                frame.pts = index * step if ticks is None else ticks[index]
                frame.time_base, frame.duration = time_base, step
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """A web server of the files in tmp_path, whose links can break."""
    server = Web(tmp_path)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def camera() -> Iterator[Callable[[list[tuple[float, bytes]]], Camera]]:
    """Start a camera that sends JPEGs, each after a pause in seconds: `camera([(0.1, jpeg), ...]).url`."""
    servers: list[Camera] = []

    def start(parts: list[tuple[float, bytes]]) -> Camera:
        servers.append(Camera(parts))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
