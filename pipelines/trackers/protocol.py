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
from streamvos.records import MemoryEvent


@dataclass(frozen=True)
class Propagation:
    """Where the tracker sees its objects in one frame.

    Args:
        object_ids: (N,) int64, ascending.
        probabilities: (N, h, w) float32 in [0, 1] at the tracker's working size; they sum to at most 1 over N.
    """

    object_ids: np.ndarray
    probabilities: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the maps."""
        return self.probabilities.shape[1], self.probabilities.shape[2]

    def items(self) -> Iterator[tuple[int, np.ndarray]]:
        """Each object with its (h, w) map."""
        return zip(self.object_ids.tolist(), self.probabilities, strict=True)

    def maps(self) -> np.ndarray:
        """A copy of all maps, to be edited."""
        return self.probabilities.copy()

    def with_maps(self, probabilities: np.ndarray) -> Propagation:
        """The same objects with other (N, h, w) maps."""
        return Propagation(self.object_ids, probabilities)

    def with_some(self, maps: Mapping[int, np.ndarray]) -> Propagation:
        """With other maps of some objects."""
        if not maps:
            return self
        return self.with_maps(np.stack([maps.get(object_id, own) for object_id, own in self.items()]))

    def without(self, object_ids: Container[int]) -> Propagation:
        """Without some objects."""
        kept = np.array([object_id not in object_ids for object_id in self.object_ids.tolist()], bool)
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

    `knows_doubt`: whether its mean probability inside a mask tells right from wrong as `IdentityConfig` expects; true
    only of trackers on which that was measured.
    """

    knows_doubt: bool

    def observe(self, image: np.ndarray) -> None:
        """Take (H, W, 3) uint8 RGB as the current frame; all frames of a stream have one size."""

    def propagate(self) -> Propagation:
        """Find all objects in the current frame."""

    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        """Learn from the current frame: motion from all objects, appearance from those that are confident."""

    def add(self, frame_index: int, object_id: int, mask: np.ndarray, afresh: bool = False) -> None:
        """Start an object with its (H, W) bool mask in the current frame, or tell where a known one is.

        `afresh` forgets the views of a known object: what it learned before the correction may be wrong. A mask
        that cannot be followed raises `InputError` and changes nothing.
        """

    def remove(self, object_id: int) -> None:
        """Forget an object; an unknown id is fine."""

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
