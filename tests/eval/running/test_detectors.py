"""Controls of the detector's memory: what is lent is really used, and nothing else differs."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from eval.datasets.cocovid import Video, VideoFrame
from eval.running.detectors import METHODS, make_detector
from pipelines.detect import DetectConfig
from pipelines.graph.build import GraphConfig
from pipelines.scores import ScoreThresholds
from streamvos.errors import InputError
from streamvos.video.sources import open_source

CONFIG = GraphConfig(stages=("detect",), threads=1, detect=DetectConfig(every=1), scores=ScoreThresholds(detect=0.05))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """A shot of cars whose last two frames are blurred."""
    with open_source("sample:bikes", start_index=30, max_frames=38) as source:
        clean = [frame.image for frame in source]
    return clean[:6] + [cv2.GaussianBlur(image, (0, 0), 4) for image in clean[6:]]


def video(folder: Path, pictures: list[np.ndarray]) -> Video:
    frames = []
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index}.png")
        frames.append(VideoFrame(index + 1, index, folder / f"{index}.png"))
    return Video("other", tuple(frames), list)


def run(method: str, pictures: list[np.ndarray], others: tuple[Video, ...] = ()) -> list[tuple[bytes, bytes]]:
    detect = make_detector(method, CONFIG, others)
    return [(found.boxes_xyxy.tobytes(), found.scores.tobytes()) for found in map(detect, pictures)]


def test_empty_memory_is_a_single_frame_and_ones_own_is_more(pictures: list[np.ndarray], tmp_path: Path):
    single, memory = run("single frame", pictures), run("memory", pictures)
    assert run("empty memory", pictures) == single
    assert memory[:6] == single[:6] and memory[6:] != single[6:]  # only blurred frames are touched
    # lent by a video that is the same, the memory is one's own
    assert run("memory of another video", pictures, (video(tmp_path, pictures),)) == memory


def test_a_foreign_memory_shows_on_blurred_frames_only(pictures: list[np.ndarray], tmp_path: Path):
    other = video(tmp_path, [np.ascontiguousarray(image[:, ::-1]) for image in pictures[:5]])  # shorter: played again
    foreign = run("memory of another video", pictures, (other,))
    assert foreign[:6] == run("single frame", pictures)[:6]
    assert foreign[6:] != run("memory", pictures)[6:]


def test_needs_another_video():
    with pytest.raises(InputError, match="at least two videos"):
        make_detector(METHODS[3], CONFIG, ())
