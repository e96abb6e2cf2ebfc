"""Controls of the key-frame memory: the same tracker on the same frames, with another memory in its hands.

What a memory is worth is the difference to these, not to a tracker that lacks the parts that read it. All that speaks
of the frame before stays as it is: the last mask, the local affinity to it, and the running mean that the ridge head
is fitted to.

- `no-memory`: one key frame for each object, always the latest, and not even the first view stays. What is lost against
  the whole is what choosing and keeping views brings.
- `other-video`: each object's key frame is the first view of an object of another video, and stays; nothing else is
  written. A tracker that follows the frame before alone does as well with it as with its own memory; one that relies on
  its memory is misled. So a result near the ordinary one says that the memory was hardly read.

A control that gave the first mask of another video to the tracker itself would tell nothing: there would be nothing of
this video to follow.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
import torch

from eval.running.trackers import FRAME_S, SessionTracker, Tracker, prompts_of
from memory_bank.keyframes.memory import KeyFrameMemory
from memory_bank.keyframes.policy import View
from pipelines.graph.build import GraphConfig, StreamSetup, all_names, build_stages, resolve
from pipelines.graph.chain import Pipeline, use_threads
from pipelines.segment import SegmentStage
from pipelines.trackers.protocol import BaseTracker
from pipelines.trackers.registry import make_tracker, tracker_settings
from streamvos import config as configuration
from streamvos.device import pick_device
from streamvos.errors import InputError
from streamvos.masks import ids_in, label_map
from streamvos.records import Frame, StepResult

logger = logging.getLogger(__name__)

Control = Literal["none", "no-memory", "other-video"]
CONTROLS: tuple[Control, ...] = ("none", "no-memory", "other-video")

_LATEST_ONLY = {"policy": "fifo", "max_per_object": 1, "keeps_first": False}


@dataclass(frozen=True)
class Lender:
    """What another video lends: the frame in which its first objects are given.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 ids.
    """

    image: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)


def controlled(config: GraphConfig, control: Control) -> GraphConfig:
    """The settings of a control; raises `InputError` where the base tracker's memory is not in reach."""
    base = config.segment.base
    if control == "none":
        return config
    if not hasattr(config.segment.tracker, "keyframes"):
        ours = [name for name, kind in tracker_settings().items() if hasattr(kind(), "keyframes")]
        raise InputError(
            f"--control {control}: the memory of base tracker {base!r} is inside its package; "
            f"choose one of {', '.join(ours)} (segment.base)"
        )
    if control == "other-video":
        return config
    return configuration.merge(config, {"segment": {base: {"keyframes": _LATEST_ONLY}}})


def lender_of(name: str, names: Sequence[str]) -> str:
    """The sequence out of `names` that lends its memory to another: the next one, the first to one not among them."""
    if all(other == name for other in names):
        raise InputError("--control other-video needs at least two sequences; name more (--sequences), or leave it")
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]


@dataclass(frozen=True)
class OtherVideo:
    """Makes trackers whose key frames are of another video; the control `other-video`.

    Args:
        tracker: what is controlled.
        lender: what the other video lends; its objects are lent in turn.
    """

    tracker: SessionTracker
    lender: Lender

    @property
    def first(self) -> Literal["mask", "box"]:
        return self.tracker.first

    def __call__(self) -> Tracker:
        return _ForeignRun(self.tracker, self.lender)


class _ForeignRun:
    """The graph in this process, with the tracker's memory exchanged."""

    def __init__(self, tracker: SessionTracker, lender: Lender) -> None:
        config = resolve(tracker.config)
        self._config = dataclasses.replace(config, segment=dataclasses.replace(config.segment, discover=False))
        self._first, self._lender = tracker.first, lender
        use_threads(config.threads)
        setup = StreamSetup("video", "frames of a data set")
        stages = build_stages(self._config, all_names(self._config), setup)
        self._pipeline = Pipeline(stages)
        (self._stage,) = (stage for stage in stages if isinstance(stage, SegmentStage))
        self._index = 0
        self.key_frame_bytes = 0

    def __call__(self, image: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        if self._index == 0:
            self._lend(image)
        frame = Frame("video", self._index, float(self._index * FRAME_S), image)
        prompts = tuple(prompts_of(given, self._index, self._first))
        result = self._pipeline.step(frame, StepResult.of(frame, prompts))
        self._index += 1
        self.key_frame_bytes = max(self.key_frame_bytes, self._stage.stats()["keyframes"].bytes)
        return label_map(result.masks).astype(np.uint8)

    def _lend(self, image: np.ndarray) -> None:
        """Fill the memory's pockets with views as the tracker itself would take them."""
        config, segment, device = self._config, self._config.segment, pick_device(self._config.device)
        taker = make_tracker(segment.base, segment.tracker, config.size, device, config.memory, config.precision)
        taker.observe(image)  # features are normalised by the first frame of this video
        taker.propagate()
        views = _views(taker, self._lender, image.shape[:2])
        budgets = config.memory.bytes_of("keyframes"), config.memory.bytes_of("object_keyframes")
        self._stage.tracker.memory = _LentMemory(views, segment.tracker.keyframes, *budgets, device)


class _LentMemory(KeyFrameMemory):
    """One view of another video for each object, from its start."""

    def __init__(self, views: Sequence[tuple[dict[str, torch.Tensor], np.ndarray]], *memory: Any) -> None:
        super().__init__(*memory)
        self._views = views

    def write(
        self,
        frame_index: int,
        object_id: int,
        payload: Mapping[str, torch.Tensor],
        descriptor: np.ndarray,
        view: View,
        confirmed: bool = False,
    ) -> bool:
        if not confirmed or self.count(object_id):
            return False
        lent, look = self._views[(object_id - 1) % len(self._views)]
        return super().write(frame_index, object_id, lent, look, view, confirmed=True)


def _views(
    taker: BaseTracker, lender: Lender, size: tuple[int, int]
) -> list[tuple[dict[str, torch.Tensor], np.ndarray]]:
    """Payload and descriptor of each object of the lender, in a frame of `size` (H, W)."""
    taker.observe(cv2.resize(lender.image, size[::-1], interpolation=cv2.INTER_AREA))
    taker.propagate()
    labels = cv2.resize(lender.labels, size[::-1], interpolation=cv2.INTER_NEAREST)
    views = []
    for object_id in ids_in(labels):
        try:
            taker.add(0, object_id, labels == object_id)
        except InputError as error:
            logger.info("object %d is not lent: %s", object_id, error)
            continue
        payload = {name: slots[0] for name, slots in taker.memory.read(object_id).items()}
        views.append((payload, taker.memory.descriptors(object_id)[0]))
    if not views:
        raise InputError(
            "--control other-video: the sequence that lends its memory shows no object that can be followed"
        )
    return views
