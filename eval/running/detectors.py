"""Detectors as evaluations run them: the graph's detect stage over one video, frame by frame, and its controls.

A control runs the same stage, gate and all, with another memory in its hands: an empty one, or that of another video
at the same point of time. What a memory is good for is the difference to these, not to a stage without any.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from eval.datasets.cocovid import Video
from pipelines.graph.build import GraphConfig, StreamSetup, resolve
from pipelines.graph.local_runner import LocalRunner
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, StepResult
from streamvos.video.images import read_image

METHODS = ("memory", "single frame", "empty memory", "memory of another video")
# (H, W, 3) uint8 RGB in, what is in it out; frames of one video, in order, from an empty memory
Detector = Callable[[np.ndarray], Detections]
_FRAME_S = Fraction(1, 30)  # pictures of such data sets carry no times


def make_detector(method: str, config: GraphConfig, others: Sequence[Video]) -> Detector:
    """Make a detector for one video.

    Args:
        method: out of `METHODS`.
        config: of the graph, with the detect stage alone.
        others: videos that may lend their memory, the best first.

    Raises:
        InputError: the memory of another video is asked for, and there is no other.
    """
    if method == "memory":
        return _SessionDetector(config)
    if method == "single frame":
        return _SessionDetector(dataclasses.replace(config, detect=dataclasses.replace(config.detect, memory=False)))
    if method == "empty memory":
        return _Control(config, None)
    if not others:
        raise InputError("the memory of another video needs a data set of at least two videos")
    return _Control(config, others[0])


class _SessionDetector:
    def __init__(self, config: GraphConfig) -> None:
        self._session = Session(config)

    def __call__(self, image: np.ndarray) -> Detections:
        return self._session.step(image, float(self._session.next_index * _FRAME_S)).detections


class _Control:
    """The stage on its own frames, with what it remembers replaced before each of them.

    Args:
        config: of the graph.
        donor: the video whose memory is lent, played over and over; None: nothing is remembered.
    """

    def __init__(self, config: GraphConfig, donor: Video | None) -> None:
        self._stage, self._lender = _Stage(config), _Stage(config)
        self._lent: Iterator[np.ndarray] | None = None
        if donor is not None:
            self._lent = (read_image(frame.file) for frame in itertools.cycle(donor.frames))

    def __call__(self, image: np.ndarray) -> Detections:
        self._stage.memory = self._lender.memory
        found = self._stage(image)
        if self._lent is not None:
            self._lender(next(self._lent))
        return found


class _Stage:
    """The detect stage behind the shot boundaries, with its memory in reach."""

    def __init__(self, config: GraphConfig) -> None:
        self._runner = LocalRunner(resolve(config), StreamSetup("video", "frames of a data set"))
        self._index = 0

    def __call__(self, image: np.ndarray) -> Detections:
        frame = Frame("video", self._index, float(self._index * _FRAME_S), image)
        self._index += 1
        return self._runner.step(frame, StepResult.of(frame)).detections

    @property
    def memory(self) -> dict:
        """A snapshot of what the feature memory holds."""
        return self._runner.state_dict()["detect"]["memory"]

    @memory.setter
    def memory(self, memory: dict) -> None:
        state = self._runner.state_dict()
        self._runner.load_state_dict({**state, "detect": {**state["detect"], "memory": memory}})
