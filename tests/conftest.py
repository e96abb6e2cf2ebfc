"""What many tests need: small videos written here and now, and the folder of real data where there is one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamvos.export.result_files import OutputConfig
from streamvos.export.run_dir import RunDirectory
from streamvos.masks import encode, tight_box
from streamvos.records import Detections, Frame, ObjectMasks, StepResult
from streamvos.video.info import SourceInfo
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


class RecordedClip:
    """A small run folder whose truth is a function of the frame; made without any model."""

    height, width, count = 48, 64, 8
    labels = {1: "dog", 3: 'a "b" <&> ü', 7: "object"}  # of the last nobody knows the class

    def masks_at(self, index: int) -> dict[int, np.ndarray]:
        """(H, W) bool of what is visible: one moves, one is in two parts and away for three frames, one is a pixel."""
        masks = {1: np.zeros((self.height, self.width), bool)}
        masks[1][5:15, 2 + index : 12 + index] = True
        if not 3 <= index <= 5:
            masks[3] = np.zeros((self.height, self.width), bool)
            masks[3][20:40, 30:34] = masks[3][20:30, 40:50] = True
        if index == 6:
            masks[7] = np.zeros((self.height, self.width), bool)
            masks[7][0, 63] = True
        return masks

    def result_at(self, index: int, has_masks: bool) -> StepResult:
        """What the graph would have said."""
        frame = Frame("s", index, index / 25, np.full((self.height, self.width, 3), 20 * index, np.uint8))
        boxes, ids = [[2, 5, 12, 15], [50, 2, 60, 30]], [1 if has_masks else -1, -1]
        found = Detections(boxes, [0.8125, 0.5], [18, 3], ("dog", "car"), ids)
        shown = self.masks_at(index)
        pictures = [shown.get(key, np.zeros((self.height, self.width), bool)) for key in self.labels]
        masks = ObjectMasks(
            frame.size,
            list(self.labels),
            [encode(picture) for picture in pictures],
            [tight_box(picture) for picture in pictures],
            [0.9375, 0.75, 0.5],
            ["tracked" if key in shown else "occluded" for key in self.labels],
            ["dog" if index else "cat", self.labels[3], ""],
            [0.8125, np.nan, np.nan],
        )
        masks, found = masks if has_masks else None, found if index % 2 == 0 else None
        return dataclasses.replace(StepResult.of(frame), detections=found, masks=masks)

    def record(self, folder: Path, stages: tuple[str, ...] = ("detect", "segment"), status: str = "complete") -> Path:
        """Write the run; with the status "killed" one that nobody closed."""
        size, rate = (self.width, self.height), Fraction(25)
        info = SourceInfo("clip", "video", "clip.mp4", *size, rate, self.count, self.count / 25, False, 1 / rate)
        run = RunDirectory(folder, info, {"stages": stages}, {}, config=OutputConfig(overlay=False, masks=False))
        for index in range(self.count):
            result = self.result_at(index, "segment" in stages)
            run.write(Frame("s", index, index / 25, np.zeros((self.height, self.width, 3), np.uint8)), result)
        if status == "killed":
            run.checkpoint({})
            run._lock.release()
        else:
            run.close(status)
        return folder


@pytest.fixture
def recorded() -> RecordedClip:
    return RecordedClip()


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
