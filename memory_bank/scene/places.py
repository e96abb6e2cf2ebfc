"""Places to relocalise by: binary descriptors of map points as a key frame saw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from memory_bank.scene import policy
from streamvos.errors import InputError

THUMBNAIL_SIZE = (12, 16)  # rows, columns
_POINT_BYTES = 32 + 12  # descriptor, coordinates
_PLACE_BYTES = THUMBNAIL_SIZE[0] * THUMBNAIL_SIZE[1] + 3 * 8 + 3 * 8 + 8  # thumbnail, centre, numbers, its turn
_MIN_PLACES = 2  # the first of a map and the newest are never dropped


@dataclass(frozen=True)
class Place:
    """A key frame as relocalisation needs it.

    Args:
        frame_index: when it was seen.
        map_id: the map that `xyz` and `centre` belong to.
        descriptors: (N, 32) uint8 binary descriptors.
        xyz: (N, 3) float32 world coordinates of the same points.
        thumbnail: (12, 16) uint8 grey, for a first choice among places.
        centre: (3,) float64 position of the camera.
    """

    frame_index: int
    map_id: int
    descriptors: np.ndarray
    xyz: np.ndarray
    thumbnail: np.ndarray
    centre: np.ndarray


class Places:
    """Key frames in preallocated slots, oldest first.

    Args:
        budget_bytes: all slots together take no more.
        max_points: points kept of each key frame; more relocalise more surely, and cost slots.

    Raises:
        InputError: the budget does not hold two key frames.
    """

    def __init__(self, budget_bytes: int, max_points: int = policy.PLACE_POINTS) -> None:
        self.max_points = max_points
        self.slot_bytes = max_points * _POINT_BYTES + _PLACE_BYTES
        self.capacity = budget_bytes // self.slot_bytes
        if self.capacity < _MIN_PLACES:
            raise InputError(
                f"scene memory: {budget_bytes} bytes do not hold {_MIN_PLACES} key frames of {self.slot_bytes}; "
                "raise memory.scene_mib or reconstruct.memory.places_share"
            )
        self._descriptors = np.zeros((self.capacity, max_points, 32), np.uint8)
        self._xyz = np.zeros((self.capacity, max_points, 3), np.float32)
        self._thumbnails = np.zeros((self.capacity, *THUMBNAIL_SIZE), np.uint8)
        self._centres = np.zeros((self.capacity, 3))
        self._meta = np.zeros((self.capacity, 3), np.int64)  # frame index, map id, number of points
        self._slots = np.zeros(0, np.int64)  # taken slots, oldest first

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def bytes(self) -> int:
        return len(self._slots) * self.slot_bytes

    def write(self, place: Place) -> tuple[int, int] | None:
        """Store a key frame; returns frame index and map of the one that made room, or None."""
        dropped = None
        if len(self._slots) == self.capacity:
            meta = self._meta[self._slots]
            position = policy.key_frame_to_drop(meta[:, 1], self._centres[self._slots], place.map_id)
            dropped = int(meta[position, 0]), int(meta[position, 1])
            self._slots = np.delete(self._slots, position)
        slot = int(np.setdiff1d(np.arange(self.capacity), self._slots)[0])
        count = min(len(place.descriptors), self.max_points)
        self._descriptors[slot, :count] = place.descriptors[:count]
        self._xyz[slot, :count] = place.xyz[:count]
        self._thumbnails[slot] = place.thumbnail
        self._centres[slot] = place.centre
        self._meta[slot] = place.frame_index, place.map_id, count
        self._slots = np.append(self._slots, slot)
        return dropped

    def nearest(self, thumbnail: np.ndarray, map_id: int, count: int) -> list[Place]:
        """The `count` key frames of a map that are most similar to a thumbnail (12, 16) uint8, best first."""
        slots = self._slots[self._meta[self._slots, 1] == map_id]
        if not len(slots):
            return []
        similarity = _normalised(self._thumbnails[slots]) @ _normalised(thumbnail[None])[0]
        return [self._place(slots[row]) for row in np.argsort(-similarity, kind="stable")[:count]]

    def _place(self, slot: int) -> Place:
        frame_index, map_id, count = (int(value) for value in self._meta[slot])
        return Place(
            frame_index,
            map_id,
            self._descriptors[slot, :count].copy(),
            self._xyz[slot, :count].copy(),
            self._thumbnails[slot].copy(),
            self._centres[slot].copy(),
        )

    def reset(self) -> None:
        self._slots = np.zeros(0, np.int64)

    def state_dict(self) -> dict[str, Any]:
        arrays = ("descriptors", "xyz", "thumbnails", "centres", "meta")
        return {name: getattr(self, f"_{name}")[self._slots] for name in arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._slots = np.arange(len(state["meta"]))
        for name, values in state.items():
            getattr(self, f"_{name}")[self._slots] = values


def _normalised(thumbnails: np.ndarray) -> np.ndarray:
    """Flatten (K, 12, 16) to (K, 192) float64 rows of zero mean and unit length."""
    rows = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
