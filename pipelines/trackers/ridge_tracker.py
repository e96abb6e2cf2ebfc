"""What the trackers on frozen EfficientNet-Lite0 features share: a ridge head and key frames for each object.

The head of an object (what it looks like) is fitted anew every few frames to its key frames and to a running mean of
recent frames. Masks are sharpened before they enter any memory: soft ones decay. How masks come from this is what
`embedded.py` and `trained.py` add.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from memory_bank.keyframes.config import KeyFrameConfig
from memory_bank.keyframes.memory import KeyFrameMemory
from memory_bank.keyframes.policy import View, choose_views
from memory_bank.protocol import MemoryStats
from pipelines.trackers.affinity import RADIUS_CELLS, key_map
from pipelines.trackers.checks import checked_size, expect_size, too_small
from pipelines.trackers.objects import TrackedObject
from pipelines.trackers.protocol import CellMap, Propagation, TrackerSetup
from pipelines.trackers.recall import distractor_score, similarity_of_views
from pipelines.trackers.ridge import REGULARISATION, Normaliser, PixelSums, describe, pack, solve
from streamvos.config import Settings, setting, table
from streamvos.device import pick_precision
from streamvos.errors import InputError
from streamvos.models.efficientnet_lite import EfficientNetLite0
from streamvos.records import MemoryEvent

# Slope that hardens a mask before it is remembered; chosen on the eight DAVIS sequences of docs/architecture.md.
SHARPNESS = 16.0
_LEAST_CELL_SHARE = 0.05  # of some stride-8 cell that a first mask must cover, or there is nothing to fit


@dataclass(frozen=True)
class RidgeTrackerConfig(Settings):
    """How fast the appearance follows, and what is remembered of it."""

    fit_every: int = setting(
        2, "frames between updates of the appearance; larger is faster and follows changes later", low=1
    )
    radius_cells: int = setting(
        RADIUS_CELLS, "cells of 8 pixels that an object may move between frames; larger follows faster motion", low=1
    )
    views_chosen: Literal["latest", "similar"] = setting(
        "latest", "which key frames are read beside the first: the latest, or those most like what is seen now"
    )
    keyframes: KeyFrameConfig = table(KeyFrameConfig)


class RidgeTracker(ABC):
    """A `BaseTracker` but for `propagate`.

    Args:
        config: see there.
        setup: see there.
    """

    confidence_is_calibrated = False
    keyframes_mib = 96.0  # a hundred views and more at the default size: eight of each of twelve objects

    def __init__(self, config: RidgeTrackerConfig, setup: TrackerSetup) -> None:
        self._config, self._size, self._device = config, setup.size, setup.device
        self._dtype = pick_precision(setup.precision, setup.device)
        self._encoder = EfficientNetLite0(setup.device, self._dtype)
        self.memory = KeyFrameMemory(config.keyframes, setup.budget_bytes, setup.object_budget_bytes, setup.device)
        self.reset()

    def reset(self) -> None:
        self.memory.reset()
        self._objects: dict[int, TrackedObject] = {}
        self._normalise: Normaliser | None = None
        self._last_key: torch.Tensor | None = None  # stride-8 keys of the frame before
        self._full: tuple[int, int] | None = None
        self._since_fit = 0

    def start_shot(self) -> None:
        self._last_key = None
        for item in self._objects.values():
            item.last_probability = None

    @torch.inference_mode()
    def observe(self, image: np.ndarray) -> None:
        self._full = checked_size(image, self._full)
        features = self._encoder.encode(image, self._size)
        self._features = features
        self._key8 = key_map(features.stride16_at_8, features.stride8)
        description = describe(features)
        self._normalise = self._normalise or Normaliser.fitted(description)
        self._pixels = self._normalise(description)  # (D, P)
        self._sums: PixelSums | None = None

    @abstractmethod
    def propagate(self) -> Propagation: ...

    @torch.inference_mode()
    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        self._since_fit += 1
        is_due = self._since_fit >= self._config.fit_every
        if is_due:
            self._since_fit = 0
        for object_id, probability in propagation.items():
            item = self._objects[object_id]
            area_px = int((probability > 0.5).sum())
            item.last_probability = probability if area_px else None
            if is_due and area_px and confident.get(object_id, False):
                self._learn(frame_index, object_id, item, probability, area_px)
        self._last_key = self._key8

    @torch.inference_mode()
    def add(self, frame_index: int, object_id: int, mask: np.ndarray, replace: bool = False) -> None:
        expect_size(object_id, mask, self._full)
        probability = self._shrunk(mask)
        target = self._to_cells(probability)
        if float(target.max()) < _LEAST_CELL_SHARE:
            raise too_small(object_id, mask, self._size)
        if replace:
            self.memory.remove(object_id)
        is_new = object_id not in self._objects
        gram, moment = self._pixel_sums().of(target.flatten())
        self._objects[object_id] = TrackedObject(solve(gram, moment, REGULARISATION), gram, moment, probability)
        view = View(int((probability > 0.5).sum()), confidence=1.0, area_ratio=1.0, gap_frames=0, novelty=1.0)
        try:
            self._store(frame_index, object_id, gram, moment, probability, target, view, confirmed=True)
        except InputError:  # no room for its first view, without which it cannot be found again
            if is_new:
                self.remove(object_id)
            raise
        self._last_key = self._key8

    def remove(self, object_id: int) -> None:
        self._objects.pop(object_id, None)
        self.memory.remove(object_id)

    def picture(self) -> np.ndarray:
        return self._features.picture

    @torch.inference_mode()
    def cells(self) -> CellMap:
        features = self._features
        (padded_height, padded_width), (height, width) = features.padded, features.valid
        joined = torch.cat([features.stride16_at_8, features.stride8], dim=1)[0]
        return CellMap(joined, (0, padded_height - height, 0, padded_width - width))

    def appearance(self, mask: np.ndarray) -> np.ndarray:
        return self._descriptor(self._shrunk(mask))

    def appearances(self, object_id: int) -> np.ndarray:
        return self.memory.descriptors(object_id)

    def stats(self) -> MemoryStats:
        return self.memory.stats()

    def state_bytes(self) -> int:
        return self.memory.stats().bytes + sum(item.bytes() for item in self._objects.values())

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        return self.memory.drain_events()

    def state_dict(self) -> dict[str, Any]:
        return {
            "memory": self.memory.state_dict(),
            "objects": {object_id: item.state_dict() for object_id, item in self._objects.items()},
            "normaliser": None if self._normalise is None else self._normalise.state_dict(),
            "last_key": None if self._last_key is None else self._last_key.cpu().numpy(),
            "full": self._full,
            "since_fit": self._since_fit,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self.memory.load_state_dict(state["memory"])
        self._objects = {
            object_id: TrackedObject.from_state(item, self._device) for object_id, item in state["objects"].items()
        }
        if state["normaliser"] is not None:
            self._normalise = Normaliser.from_state(state["normaliser"], self._device)
        if state["last_key"] is not None:
            self._last_key = torch.tensor(state["last_key"], device=self._device)
        self._full, self._since_fit = state["full"], state["since_fit"]

    @abstractmethod
    def _payload(
        self, object_id: int, probability: np.ndarray, target: torch.Tensor, view: View, confirmed: bool
    ) -> dict[str, torch.Tensor]:
        """What `propagate` reads of a view: of the current frame, whose (h, w) mask covers (h8, w8) cells."""

    def _recall(self, object_id: int, most: int) -> np.ndarray:
        """Which of an object's key frames to read, at most so many."""
        similarity = None
        if self._config.views_chosen == "similar":
            similarity = similarity_of_views(self.memory.descriptors(object_id), self._key8)
        return choose_views(self.memory.count(object_id), most, similarity)

    def _learn(
        self, frame_index: int, object_id: int, item: TrackedObject, probability: np.ndarray, area_px: int
    ) -> None:
        """Offer the view as a key frame and, where it is the object's, follow its appearance and fit the head anew."""
        target = self._sharp_cells(probability)
        gram, moment = self._pixel_sums().of(target.flatten())
        last_written = self.memory.last_written(object_id)
        view = View(
            area_px,
            float(probability[probability > 0.5].mean()),
            area_px / item.usual_area_px(),
            frame_index - last_written if last_written is not None else frame_index,
            *self.memory.compare(object_id, self._descriptor(probability)),
            distractor_score((item.head @ self._pixels).view(target.shape).cpu().numpy(), target.cpu().numpy() > 0.5),
        )
        self._store(frame_index, object_id, gram, moment, probability, target, view)
        if not self.memory.trusts(view):
            return
        item.note_area(area_px)
        item.follow(gram, moment)
        views = self.memory.read(object_id, ("gram", "moment"))
        item.fit(views["gram"], views["moment"])

    def _store(
        self,
        frame_index: int,
        object_id: int,
        gram: torch.Tensor,
        moment: torch.Tensor,
        probability: np.ndarray,
        target: torch.Tensor,
        view: View,
        confirmed: bool = False,
    ) -> None:
        payload = {"gram": pack(gram), "moment": moment}
        payload |= self._payload(object_id, probability, target, view, confirmed)
        self.memory.write(frame_index, object_id, payload, self._descriptor(probability), view, confirmed)

    def _pixel_sums(self) -> PixelSums:
        self._sums = self._sums or PixelSums(self._pixels)
        return self._sums

    def _shrunk(self, mask: np.ndarray) -> np.ndarray:
        """(H, W) bool to float32 shares at the working size (h, w)."""
        return cv2.resize(mask.astype(np.float32), self._features.valid[::-1], interpolation=cv2.INTER_AREA)

    def _sharp_cells(self, probability: np.ndarray) -> torch.Tensor:
        return self._to_cells(1.0 / (1.0 + np.exp(-SHARPNESS * (probability - 0.5))))

    def _to_cells(self, probability: np.ndarray, stride: int = 8) -> torch.Tensor:
        """(h, w) at the working size to the cells of a stride, with the frame's padding."""
        height, width = probability.shape
        padded_height, padded_width = self._features.padded
        below, right = padded_height - height, padded_width - width
        padded = cv2.copyMakeBorder(probability, 0, below, 0, right, cv2.BORDER_REPLICATE)
        cells = cv2.resize(padded, (padded_width // stride, padded_height // stride), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(cells.astype(np.float32)).to(self._device)

    def _descriptor(self, probability: np.ndarray) -> np.ndarray:
        """(C,) float32 unit vector: mean stride-8 key under the mask."""
        cells = self._to_cells((probability > 0.5).astype(np.float32))
        mean = (self._key8 * cells).sum(dim=(1, 2))
        return functional.normalize(mean, dim=0).cpu().numpy()
