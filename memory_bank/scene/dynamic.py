"""Transient dynamics: where the moving objects were in the last few frames, carried to the time that is asked for.

A ring of frames for each object. Old positions are of no use by themselves (a pilot measured no gain from them);
what pays is to carry them forward by the object's own motion, so `at_time` is the only way to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from memory_bank.scene import policy
from streamvos.errors import InputError


@dataclass(frozen=True)
class MovingPoints:
    """Points of moving objects at one time.

    Args:
        xyz: (N, 3) float32 world coordinates.
        rgb: (N, 3) uint8.
        object_id: (N,) int32.
    """

    xyz: np.ndarray
    rgb: np.ndarray
    object_id: np.ndarray


class TransientDynamics:
    """The last frames' points of each moving object, in preallocated slots.

    Args:
        budget_bytes: all slots together take no more; sets how many objects are remembered at once.
        window: frames remembered of each object.
        max_points: points of an object in a frame; more are thinned out evenly.
        max_carry_s: an object unseen for longer is forgotten, its motion no longer to be trusted.

    Raises:
        InputError: the budget does not hold one object.
    """

    def __init__(
        self,
        budget_bytes: int,
        window: int = policy.TRANSIENT_WINDOW,
        max_points: int = policy.TRANSIENT_POINTS,
        max_carry_s: float = policy.MAX_CARRY_S,
    ) -> None:
        self.window, self.max_points, self.max_carry_s = window, max_points, max_carry_s
        self.object_bytes = 8 + 8 + window * (max_points * 15 + 4 + 8 + 24)
        self.capacity = budget_bytes // self.object_bytes
        if self.capacity < 1:
            raise InputError(
                f"scene memory: {budget_bytes} bytes do not hold one moving object of {self.object_bytes}; "
                "raise memory.scene_mib or reconstruct.memory.transient_share"
            )
        shape = (self.capacity, window)
        self._object_id = np.zeros(self.capacity, np.int64)  # 0: free
        self._written = np.zeros(self.capacity, np.int64)  # frames of the object so far
        self._xyz = np.zeros((*shape, max_points, 3), np.float32)
        self._rgb = np.zeros((*shape, max_points, 3), np.uint8)
        self._num = np.zeros(shape, np.int32)  # 0: nothing in this frame
        self._time_s = np.zeros(shape)
        self._centre = np.zeros((*shape, 3))

    def __len__(self) -> int:
        return int(self._num.sum())

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Objects that are remembered now, ascending."""
        return tuple(sorted(int(one) for one in self._object_id if one))

    @property
    def bytes(self) -> int:
        return int((self._object_id > 0).sum()) * self.object_bytes

    def write(self, object_id: int, time_s: float, xyz: np.ndarray, rgb: np.ndarray) -> int | None:
        """Remember where an object is now; returns the id of the object that made room, or None.

        Args:
            object_id: >= 1.
            time_s: presentation time; times of one object ascend.
            xyz: (N, 3) world coordinates, N >= 1.
            rgb: (N, 3) uint8.
        """
        evicted = None
        slot = self._slot(object_id)
        if slot is None:
            free = np.flatnonzero(self._object_id == 0)
            slot = int(free[0]) if len(free) else int(np.argmin(self._last_seen()))
            if not len(free):
                evicted = int(self._object_id[slot])
            self._clear(slot)
            self._object_id[slot] = object_id
        rows = np.linspace(0, len(xyz) - 1, min(len(xyz), self.max_points)).astype(np.int64)
        place = int(self._written[slot] % self.window)
        self._xyz[slot, place, : len(rows)] = xyz[rows]
        self._rgb[slot, place, : len(rows)] = rgb[rows]
        self._num[slot, place] = len(rows)
        self._time_s[slot, place] = time_s
        self._centre[slot, place] = np.median(xyz, axis=0)
        self._written[slot] += 1
        return evicted

    def expire(self, time_s: float) -> tuple[int, ...]:
        """Forget the objects unseen for longer than `max_carry_s`; returns their ids."""
        gone = [
            slot
            for slot, last_s in enumerate(self._last_seen())
            if self._object_id[slot] and time_s - last_s > self.max_carry_s
        ]
        ids = tuple(int(self._object_id[slot]) for slot in gone)
        for slot in gone:
            self._clear(slot)
        return ids

    def velocity(self, object_id: int) -> np.ndarray:
        """Velocity (3,) in units of the map per second; zeros where too little was seen."""
        slot = self._slot(object_id)
        if slot is None:
            return np.zeros(3)
        used = np.flatnonzero(self._num[slot])
        return policy.velocity_of(self._time_s[slot, used], self._centre[slot, used])

    def at_time(self, time_s: float, carry: bool = True) -> MovingPoints:
        """All remembered points, each carried from the time it was seen to `time_s` at constant velocity.

        Args:
            time_s: presentation time asked for.
            carry: False leaves the points where they were seen (for the ablation).
        """
        xyz, rgb, ids = [], [], []
        for object_id in self.object_ids:
            slot = self._slot(object_id)
            assert slot is not None
            velocity = self.velocity(object_id) if carry else np.zeros(3)
            for place in np.flatnonzero(self._num[slot]):
                count = self._num[slot, place]
                ahead_s = np.clip(time_s - self._time_s[slot, place], -self.max_carry_s, self.max_carry_s)
                xyz.append((self._xyz[slot, place, :count] + velocity * ahead_s).astype(np.float32))
                rgb.append(self._rgb[slot, place, :count].copy())
                ids.append(np.full(count, object_id, np.int32))
        if not xyz:
            return MovingPoints(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32))
        return MovingPoints(np.concatenate(xyz), np.concatenate(rgb), np.concatenate(ids))

    def remove(self, object_id: int) -> int:
        """Forget one object; returns how many points it had."""
        slot = self._slot(object_id)
        if slot is None:
            return 0
        count = int(self._num[slot].sum())
        self._clear(slot)
        return count

    def reset(self) -> None:
        for slot in range(self.capacity):
            self._clear(slot)

    def _slot(self, object_id: int) -> int | None:
        slots = np.flatnonzero(self._object_id == object_id)
        return int(slots[0]) if len(slots) else None

    def _last_seen(self) -> np.ndarray:
        return np.where(self._num > 0, self._time_s, -np.inf).max(axis=1)

    def _clear(self, slot: int) -> None:
        self._object_id[slot] = 0
        self._written[slot] = 0
        for array in (self._xyz, self._rgb, self._num, self._time_s, self._centre):
            array[slot] = 0

    def state_dict(self) -> dict[str, Any]:
        names = ("object_id", "written", "xyz", "rgb", "num", "time_s", "centre")
        used = np.flatnonzero(self._object_id)
        return {"slots": used, **{name: getattr(self, f"_{name}")[used] for name in names}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        for name, values in state.items():
            if name != "slots":
                getattr(self, f"_{name}")[state["slots"]] = values
