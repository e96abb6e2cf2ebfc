"""Persistent structure: the part of the world that stays, as voxel-hashed points.

Points live in preallocated slots; a point's voxel is packed into one integer, and the integers are kept sorted, so
that a batch of points finds its voxels by binary search. A point that falls into a taken voxel is merged into it
(mean weighted by confidence); when the slots are full the least confident points go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from memory_bank.scene import policy
from streamvos.errors import InputError

_AXIS_BITS = 17  # 131,072 voxels an axis: 2.6 km at 2 cm
_MAP_BITS = 63 - 3 * _AXIS_BITS
POINT_BYTES = 8 + 12 + 3 + 4 + 4 + 4  # key, coordinates, colour, confidence, observations, map
_MAX_OBSERVATIONS = 30  # that weigh against a new one: an old point can still move
_FREE_ONE_IN = 10  # a tenth is freed at once, so that a full memory does not sort at every write


@dataclass(frozen=True)
class WriteCounts:
    """What one write did with the voxels of a batch, and what it cost.

    Args:
        voxels: that the measured points fell into.
        new: of these, those that got a point of their own.
        merged: voxels whose point was known.
        evicted: points that made room.
        refused: voxels without room, and measured points too far from the map's origin to be addressed.
    """

    voxels: int
    new: int
    merged: int
    evicted: int
    refused: int


class PersistentStructure:
    """Points of the static world under a byte budget.

    Args:
        budget_bytes: all slots together take no more.

    Raises:
        InputError: the budget does not hold one point.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.capacity = budget_bytes // POINT_BYTES
        if self.capacity < 1:
            raise InputError(
                f"scene memory: {budget_bytes} bytes do not hold one static point; raise memory.scene_mib, or lower "
                "the shares in reconstruct.memory"
            )
        self._keys = np.zeros(self.capacity, np.int64)
        self._xyz = np.zeros((self.capacity, 3), np.float32)
        self._rgb = np.zeros((self.capacity, 3), np.uint8)
        self._confidence = np.zeros(self.capacity, np.float32)
        self._count = np.zeros(self.capacity, np.int32)
        self._map_id = np.zeros(self.capacity, np.int32)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def bytes(self) -> int:
        return self._size * POINT_BYTES

    def write(self, xyz: np.ndarray, rgb: np.ndarray, confidence: np.ndarray, map_id: int, voxel: float) -> WriteCounts:
        """Merge points into their voxels and give the others a slot; the least confident make room.

        Args:
            xyz: (N, 3) world coordinates of map `map_id`.
            rgb: (N, 3) uint8.
            confidence: (N,) in (0, 1], of this observation.
            map_id: maps never share voxels.
            voxel: side of a voxel in units of the map.
        """
        keys, inside = voxel_keys(xyz, map_id, voxel)
        batch = _Batch.merged(
            keys[inside], xyz[inside], rgb[inside].astype(np.float64), confidence[inside].astype(np.float64)
        )
        place = np.searchsorted(self._keys[: self._size], batch.keys)
        known = np.zeros(len(batch.keys), bool)
        within = place < self._size
        known[within] = self._keys[place[within]] == batch.keys[within]
        self._merge(place[known], batch.take(known))
        new, evicted = self._insert(batch.take(~known), map_id)
        refused = int((~known).sum()) - new + int((~inside).sum())
        return WriteCounts(len(batch.keys), new, int(known.sum()), evicted, refused)

    def _merge(self, rows: np.ndarray, batch: _Batch) -> None:
        weight_old = (self._confidence[rows] * np.minimum(self._count[rows], _MAX_OBSERVATIONS)).astype(np.float64)
        share = (batch.confidence / (batch.confidence + weight_old))[:, None]
        self._xyz[rows] = (1 - share) * self._xyz[rows] + share * batch.xyz
        self._rgb[rows] = np.rint((1 - share) * self._rgb[rows] + share * batch.rgb)
        self._confidence[rows] = policy.fuse_confidence(self._confidence[rows], batch.confidence)
        self._count[rows] += 1

    def _insert(self, batch: _Batch, map_id: int) -> tuple[int, int]:
        """Give points slots; returns how many got one, and how many known ones were evicted for them."""
        room = self.capacity - self._size
        evicted = 0
        if len(batch.keys) > room:
            target = max(self.capacity - max(len(batch.keys), self.capacity // _FREE_ONE_IN), 0)
            keep = policy.rows_to_keep(self._confidence[: self._size], self._map_id[: self._size], map_id, target)
            evicted = self._size - len(keep)
            self._keep(keep)
            best = policy.rows_to_keep(
                batch.confidence, np.full(len(batch.keys), map_id), map_id, self.capacity - self._size
            )
            batch = batch.take(best)
        old, new = self._size, self._size + len(batch.keys)
        order = np.argsort(np.concatenate([self._keys[:old], batch.keys]), kind="stable")
        fresh = (
            (self._keys, batch.keys),
            (self._xyz, batch.xyz),
            (self._rgb, np.rint(batch.rgb)),
            (self._confidence, batch.confidence),
            (self._count, np.ones(new - old, np.int32)),
            (self._map_id, np.full(new - old, map_id, np.int32)),
        )
        for array, values in fresh:
            array[old:new] = values
            array[:new] = array[:new][order]
        self._size = new
        return new - old, evicted

    def _keep(self, rows: np.ndarray) -> None:
        for array in self._arrays():
            array[: len(rows)] = array[rows]
        self._size = len(rows)

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self._keys, self._xyz, self._rgb, self._confidence, self._count, self._map_id

    def rows_of_map(self, map_id: int) -> np.ndarray:
        """Rows of the points of one map."""
        return np.flatnonzero(self._map_id[: self._size] == map_id)

    def weaken(self, rows: np.ndarray) -> int:
        """Lower the confidence of points that the camera looked through; returns how many fell so low that they go."""
        self._confidence[rows] = policy.weaken_confidence(self._confidence[rows])
        keep = np.ones(self._size, bool)
        keep[rows[self._confidence[rows] < policy.DROP_CONFIDENCE]] = False
        dropped = self._size - int(keep.sum())
        if dropped:
            self._keep(np.flatnonzero(keep))
        return dropped

    def read(self, rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Copies of the points: `xyz`, `rgb`, `confidence`, `count`, `map_id`; all, or the given rows."""
        chosen = slice(0, self._size) if rows is None else rows
        return {
            "xyz": self._xyz[chosen].copy(),
            "rgb": self._rgb[chosen].copy(),
            "confidence": self._confidence[chosen].copy(),
            "count": self._count[chosen].copy(),
            "map_id": self._map_id[chosen].copy(),
        }

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """(N, 3) float32 coordinates of the given rows."""
        return self._xyz[rows]

    def reset(self) -> None:
        self._size = 0

    def state_dict(self) -> dict[str, Any]:
        return {"keys": self._keys[: self._size].copy(), **self.read()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._size = len(state["keys"])
        names = ("keys", "xyz", "rgb", "confidence", "count", "map_id")
        for name, array in zip(names, self._arrays(), strict=True):
            array[: self._size] = state[name]


def voxel_keys(xyz: np.ndarray, map_id: int, voxel: float) -> tuple[np.ndarray, np.ndarray]:
    """One integer (N,) for each point's voxel and map, and which points (N,) lie inside the addressable cube."""
    half = 1 << (_AXIS_BITS - 1)
    with np.errstate(invalid="ignore"):
        scaled = np.floor(np.asarray(xyz, np.float64) / voxel)
        inside = (np.abs(scaled) < half).all(axis=1)
    cells = np.where(inside[:, None], scaled, 0).astype(np.int64) + half
    key = np.full(len(cells), map_id % (1 << _MAP_BITS), np.int64)
    for axis in range(3):
        key = (key << _AXIS_BITS) | cells[:, axis]
    return key, inside


@dataclass(frozen=True)
class _Batch:
    """New points, one for each voxel, ascending by key."""

    keys: np.ndarray
    xyz: np.ndarray
    rgb: np.ndarray
    confidence: np.ndarray

    @classmethod
    def merged(cls, keys: np.ndarray, xyz: np.ndarray, rgb: np.ndarray, confidence: np.ndarray) -> _Batch:
        unique, group = np.unique(keys, return_inverse=True)
        weight = np.bincount(group, confidence, len(unique))
        best = np.zeros(len(unique))
        np.maximum.at(best, group, confidence)  # many pixels of one picture are one observation

        def mean(values: np.ndarray) -> np.ndarray:
            sums = [np.bincount(group, confidence * column, len(unique)) for column in values.T]
            return np.stack(sums, axis=1) / weight[:, None]

        return cls(unique, mean(xyz), mean(rgb), best)

    def take(self, rows: np.ndarray) -> _Batch:
        return _Batch(*(getattr(self, name)[rows] for name in ("keys", "xyz", "rgb", "confidence")))
