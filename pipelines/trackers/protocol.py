"""What a base tracker is: it carries masks from frame to frame. HQ-SMem's other parts stand above it.

The protocol is neutral to the model (ridge head, Cutie, SAM 2), as HQ-SMem's paper builds on any of them: the stage
decides what is seen, what is confident and what may be remembered; the tracker only does it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from memory_bank.protocol import MemoryStats
from streamvos.config import Settings
from streamvos.device import Precision
from streamvos.errors import InputError
from streamvos.records import MemoryEvent
from streamvos.registry import Registry

_LEAST_SIZE = 32  # two cells at stride 16, the coarsest grid of any tracker here


@dataclass(frozen=True, eq=False)
class Propagation:
    """Where the tracker sees its objects in one frame; its arrays become read-only.

    Args:
        object_ids: (N,) int64, ascending.
        probabilities: (N, h, w) float32 in [0, 1] at the tracker's working size; they sum to at most 1 over N.
    """

    object_ids: np.ndarray
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        if self.probabilities.ndim != 3 or self.object_ids.shape != self.probabilities.shape[:1]:
            raise InputError(
                "Propagation: expected (N,) object_ids and (N, h, w) probabilities, "
                f"got {self.object_ids.shape} and {self.probabilities.shape}"
            )
        for array in (self.object_ids, self.probabilities):
            array.setflags(write=False)

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Propagation:
        """Of no object, at a working size (h, w)."""
        return cls(np.zeros(0, np.int64), np.zeros((0, *size), np.float32))

    def __len__(self) -> int:
        return len(self.object_ids)

    @property
    def size(self) -> tuple[int, int]:
        """The working size (h, w)."""
        return self.probabilities.shape[1:]

    def items(self) -> Iterator[tuple[int, np.ndarray]]:
        """Each object's id and (h, w) map."""
        return zip(self.object_ids.tolist(), self.probabilities, strict=True)

    def maps(self) -> np.ndarray:
        """A copy of the (N, h, w) maps that may be written into; `with_maps` takes it."""
        return self.probabilities.copy()

    def with_maps(self, probabilities: np.ndarray) -> Propagation:
        """The same objects with other (N, h, w) maps."""
        return Propagation(self.object_ids, probabilities)

    def with_some(self, maps: Mapping[int, np.ndarray]) -> Propagation:
        """With other (h, w) maps of some of its objects."""
        return self.with_maps(np.stack([maps.get(key, own) for key, own in self.items()])) if maps else self

    def without(self, object_ids: Container[int]) -> Propagation:
        """Without some objects."""
        kept = np.array([key not in object_ids for key in self.object_ids.tolist()], bool)
        return Propagation(self.object_ids[kept], self.probabilities[kept])


class CellMap(NamedTuple):
    """Features of a frame, one vector for each cell of a grid.

    `features` (C, h, w) float32. `padding` (above, below, left, right): pixels of the working size that the grid
    covers beyond the maps of `Propagation`.
    """

    features: torch.Tensor
    padding: tuple[int, int, int, int]


class BaseTracker(Protocol):
    """One stream's tracker. `observe` a frame first; the other verbs speak of that frame.

    `confidence_is_calibrated`: whether its mean probability inside a mask tells right from wrong as `IdentityConfig`
    expects; true only of trackers on which that was measured.
    """

    confidence_is_calibrated: bool

    def observe(self, image: np.ndarray) -> None:
        """Take (H, W, 3) uint8 RGB as the current frame; all frames of a stream have one size."""

    def propagate(self) -> Propagation:
        """Find all objects in the current frame."""

    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        """Learn from the current frame: motion from all objects, appearance from those that are confident."""

    def add(self, frame_index: int, object_id: int, mask: np.ndarray, replace: bool = False) -> None:
        """Start an object with its (H, W) bool mask in the current frame, or tell where a known one is.

        `replace` forgets the views of a known object: what it learned before the correction may be wrong. A mask
        that cannot be followed raises `InputError` and changes nothing.
        """

    def remove(self, object_id: int) -> None:
        """Forget an object; an unknown id is fine."""

    def picture(self) -> np.ndarray:
        """(h, w, 3) uint8 RGB, the current frame at the working size: what is scaled once, all may use."""

    def cells(self) -> CellMap:
        """What the tracker's backbone sees in the current frame, whatever the object."""

    def appearance(self, mask: np.ndarray) -> np.ndarray:
        """(C,) float32 unit vector of what the current frame shows under an (H, W) bool mask."""

    def appearances(self, object_id: int) -> np.ndarray:
        """(n, C) float32 unit vectors of the object's remembered views."""

    def start_shot(self) -> None:
        """The frames before are of another shot: motion is void, appearance stays."""

    def reset(self) -> None: ...

    def stats(self) -> MemoryStats: ...

    def state_bytes(self) -> int:
        """Bytes of all state of all objects, the memory's and what the tracker keeps beside it."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def drain_events(self) -> tuple[MemoryEvent, ...]: ...


@dataclass(frozen=True)
class TrackerSetup:
    """What a tracker must know of the run that it is for.

    Args:
        size: working short side in pixels.
        device: where tensors live.
        budget_bytes: of its memory, all objects together.
        object_budget_bytes: of one object, where the memory counts by object.
        precision: of frozen networks.

    Raises:
        InputError: a size that no tracker can use.
    """

    size: int
    device: torch.device
    budget_bytes: int
    object_budget_bytes: int
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if self.size < _LEAST_SIZE:
            raise InputError(f"size: expected a working short side of at least {_LEAST_SIZE} pixels, got {self.size}")


class TrackerKind(Protocol):
    """A class of trackers as it is registered: made of its settings and the setup, with all weights it needs.

    `settings`: its table. `keyframes_mib`: what its memory may take where nobody says (`MemoryBudgets`).
    """

    settings: type[Settings]
    keyframes_mib: float

    def __call__(self, config: Any, setup: TrackerSetup) -> BaseTracker: ...


TRACKERS: Registry[TrackerKind] = Registry("base tracker")
