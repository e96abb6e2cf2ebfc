"""Semi-supervised trackers as evaluations run them: each object's first mask in, a label map out for each frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np

from pipelines.graph.build import GraphConfig
from pipelines.session import Session
from streamvos.masks import VOID, ids_in, label_map, tight_box
from streamvos.records import Prompt

FRAME_S = Fraction(1, 24)  # pictures of such data sets carry no times


class Tracker(Protocol):
    """Follows the objects of one sequence.

    Takes a frame, (H, W, 3) uint8 RGB, and the label map of the objects that are given in it, (H, W) uint8, or None.
    Returns the label map of all objects seen, (H, W) uint8, 0 the background. One with key frames has the attribute
    `key_frame_bytes`, the most that they took so far.
    """

    def __call__(self, image: np.ndarray, given: np.ndarray | None) -> np.ndarray: ...


@dataclass(frozen=True)
class SessionTracker:
    """Makes trackers that are a session of the graph's segment stage.

    Args:
        config: of the graph; `stages` must hold "segment".
        first: what the session is told of an object that is given, its mask or only the tight box around it.
    """

    config: GraphConfig = field(default_factory=lambda: GraphConfig(stages=("segment",)))
    first: Literal["mask", "box"] = "mask"

    def __call__(self) -> Tracker:
        return _SessionRun(Session(self.config, discover=False), self.first)


class _SessionRun:
    """See `SessionTracker`."""

    def __init__(self, session: Session, first: Literal["mask", "box"]) -> None:
        self._session, self._first = session, first
        self.key_frame_bytes = 0

    def __call__(self, image: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        index = self._session.next_index
        for prompt in prompts_of(given, index, self._first):
            self._session.add(prompt)
        result = self._session.step(image, float(index * FRAME_S))
        self.key_frame_bytes = max(self.key_frame_bytes, self._session.stats()["keyframes"].bytes)
        return label_map(result.masks).astype(np.uint8)


@dataclass(frozen=True)
class CopyFirstMask:
    """Makes the baseline that every tracker must beat: each object's first mask, or its first box, unmoved."""

    first: Literal["mask", "box"] = "mask"

    def __call__(self) -> Tracker:
        labels = np.zeros((0, 0), np.uint8)

        def track(image: np.ndarray, given: np.ndarray | None) -> np.ndarray:
            nonlocal labels
            if labels.shape != image.shape[:2]:
                labels = np.zeros(image.shape[:2], np.uint8)
            if given is not None:
                shown = given if self.first == "mask" else _boxes(given)
                labels = np.where((shown > 0) & (shown != VOID), shown, labels)
            return labels

        return track


class TimedRun:
    """One pass of a tracker over a sequence, with the time that the tracker alone takes.

    Args:
        make_tracker: called once for the sequence; its time is not counted.
        keep_given: whether what is given for a frame is its result there; not where only boxes of it are shown.
    """

    def __init__(self, make_tracker: Callable[[], Tracker], keep_given: bool = True) -> None:
        self._track = make_tracker()
        self._keep_given = keep_given
        self.num_frames = 0
        self.seconds = 0.0

    @property
    def key_frame_bytes(self) -> int | None:
        """The most that the tracker's key frames took so far, None where it has none."""
        return getattr(self._track, "key_frame_bytes", None)

    def __call__(self, frames: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> Iterator[np.ndarray]:
        """Label maps of (image, given labels), one at a time."""
        for image, given in frames:
            start = time.perf_counter()
            labels = self._track(image, given)
            self.seconds += time.perf_counter() - start
            self.num_frames += 1
            if given is not None and self._keep_given:
                labels = np.where((given > 0) & (given != VOID), given, labels)
            yield labels


def prompts_of(given: np.ndarray | None, index: int, first: Literal["mask", "box"]) -> list[Prompt]:
    """The user's words at a frame: the objects of a label map, each by its mask or by the tight box around it."""
    prompts = []
    for object_id in [] if given is None else ids_in(given):
        mask = given == object_id
        prompts.append(Prompt(index, object_id, **{"mask": mask} if first == "mask" else {"box": tight_box(mask)}))
    return prompts


def _boxes(labels: np.ndarray) -> np.ndarray:
    """The objects' tight boxes, filled; small ones over large ones."""
    picture = np.zeros_like(labels)
    for object_id in sorted(ids_in(labels), key=lambda key: -np.count_nonzero(labels == key)):
        left, top, right, bottom = tight_box(labels == object_id).astype(int)
        picture[top:bottom, left:right] = object_id
    return picture
