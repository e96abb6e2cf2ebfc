"""Scene memory: two memories instead of one, after Mem4D (Cai et al., 2508.07908, 2025).

The paper keeps a Persistent Structure Memory of the static world and a Transient Dynamics Memory of recent motion
and queries them in turn; its sizes and weights are not public. We keep explicit points instead of learned tokens:
`PersistentStructure` (voxel-hashed, merged, compressed under a budget) with `Places` to relocalise against, and
`TransientDynamics` (a short ring of each object, carried to the time that is asked for).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from memory_bank.protocol import MemoryStats
from memory_bank.scene.dynamic import MovingPoints, TransientDynamics
from memory_bank.scene.places import Place, Places
from memory_bank.scene.static import PersistentStructure
from streamvos.errors import InputError
from streamvos.records import MemoryAction, MemoryEvent


@dataclass(frozen=True)
class SceneMemoryConfig:
    """Sizes of the scene memory."""

    budget_bytes: int = 24 << 20  # all three stores; larger maps more of the world before old points go
    transient_share: float = 0.15  # part for moving objects; larger remembers more of them at once
    places_share: float = 0.1  # part for key frames; larger finds more viewpoints back after a loss
    transient_window: int = 8  # frames of each moving object; longer smooths its velocity, reacts later
    transient_points: int = 256  # points of an object in a frame; more draw its shape more finely
    place_points: int = 300  # points of a key frame; more find back more surely, fewer key frames fit
    max_carry_s: float = 1.0  # an unseen object is carried on for this long, then forgotten
    drop_confidence: float = 0.15  # a point looked through until it is below this is dropped

    def __post_init__(self) -> None:
        if self.budget_bytes < 1 << 20:
            raise InputError(f"budget_bytes: expected at least {1 << 20} (1 MiB), got {self.budget_bytes}")
        if not 0 < self.transient_share + self.places_share < 1:
            raise InputError(
                "transient_share + places_share: expected between 0 and 1, got "
                f"{self.transient_share} + {self.places_share}"
            )


class SceneMemory:
    """What is known of the scene: static points, key frames, and moving objects.

    Args:
        config: sizes.
    """

    name = "scene"

    def __init__(self, config: SceneMemoryConfig | None = None) -> None:
        self.config = config = config or SceneMemoryConfig()
        transient_bytes = int(config.budget_bytes * config.transient_share)
        places_bytes = int(config.budget_bytes * config.places_share)
        self.static = PersistentStructure(config.budget_bytes - transient_bytes - places_bytes)
        self.places = Places(places_bytes, config.place_points)
        self.dynamic = TransientDynamics(
            transient_bytes, config.transient_window, config.transient_points, config.max_carry_s
        )
        self._events: list[MemoryEvent] = []

    def write(
        self,
        frame_index: int,
        xyz: np.ndarray,
        rgb: np.ndarray,
        confidence: np.ndarray,
        map_id: int,
        voxel: float,
    ) -> None:
        """Write static points (N, 3) of a key frame; see `PersistentStructure.write`."""
        if not len(xyz):
            self._tell("skip", frame_index, f"map {map_id}", "the key frame brought no point that can be trusted")
            return
        counts = self.static.write(xyz, rgb, confidence, map_id, voxel)
        reason = f"{counts.new} new points, {counts.merged} seen again, of {len(xyz)} measured"
        self._tell("write" if counts.new else "merge", frame_index, f"map {map_id}", reason)
        if counts.evicted:
            reason = f"budget reached: the {counts.evicted} least confident points made room"
            self._tell("evict", frame_index, f"map {map_id}", reason)

    def write_place(self, place: Place) -> None:
        """Write a key frame to relocalise against."""
        dropped = self.places.write(place)
        entry = f"map {place.map_id}, key frame {place.frame_index}"
        self._tell("write", place.frame_index, entry, f"{len(place.descriptors)} points to find back by")
        if dropped is not None:
            self._tell("evict", place.frame_index, f"key frame {dropped}", "its viewpoint is covered best by others")

    def write_moving(
        self, frame_index: int, time_s: float, object_id: int, xyz: np.ndarray, rgb: np.ndarray, source: str
    ) -> None:
        """Write the points (N, 3) of a moving object; `source` says where their depth comes from."""
        if not len(xyz):
            return
        known = object_id in self.dynamic.object_ids
        evicted = self.dynamic.write(object_id, time_s, xyz, rgb)
        if evicted is not None:
            self._tell("evict", frame_index, f"object {evicted}", "all slots taken; it was unseen for longest")
        if not known:
            reason = f"moving object enters the transient memory with {len(xyz)} points, depth from {source}"
            self._tell("write", frame_index, f"object {object_id}", reason)

    def expire(self, frame_index: int, time_s: float) -> None:
        """Forget the moving objects unseen for too long."""
        for object_id in self.dynamic.expire(time_s):
            reason = f"unseen for more than {self.config.max_carry_s:g} s"
            self._tell("evict", frame_index, f"object {object_id}", reason)

    def look_through(self, frame_index: int, rows: np.ndarray, map_id: int) -> None:
        """The camera saw through the static points of these rows: doubt them, drop the doubtful."""
        dropped = self.static.weaken(rows, self.config.drop_confidence) if len(rows) else 0
        if dropped:
            reason = f"{dropped} of {len(rows)} points that the camera looked through are given up"
            self._tell("reject", frame_index, f"map {map_id}", reason)

    def start_map(self, frame_index: int, map_id: int, why: str) -> None:
        """A new map begins: moving objects are forgotten, static points stay under their own map."""
        self.dynamic.reset()
        self._tell("reset", frame_index, f"map {map_id}", f"{why}: new map, transient memory cleared")

    def read(self, time_s: float) -> tuple[dict[str, np.ndarray], MovingPoints]:
        """Query both in turn: the static points, and the moving ones carried to `time_s`."""
        return self.static.read(), self.dynamic.at_time(time_s)

    def remove(self, object_id: int, frame_index: int = -1) -> None:
        """Forget one moving object; static points belong to none."""
        count = self.dynamic.remove(object_id)
        if count:
            self._tell("remove", frame_index, f"object {object_id}", f"removed on request, {count} points")

    def reset(self) -> None:
        self.static.reset()
        self.places.reset()
        self.dynamic.reset()
        self._events.clear()

    def stats(self) -> MemoryStats:
        return MemoryStats(len(self.static) + len(self.dynamic), self._bytes(), self.config.budget_bytes)

    def state_dict(self) -> dict[str, Any]:
        return {part: getattr(self, part).state_dict() for part in ("static", "places", "dynamic")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for part in ("static", "places", "dynamic"):
            getattr(self, part).load_state_dict(state[part])
        self._events.clear()

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _bytes(self) -> int:
        return self.static.bytes + self.places.bytes + self.dynamic.bytes

    def _tell(
        self,
        action: MemoryAction | Literal["remove"],
        frame_index: int,
        entry: str,
        reason: str,
    ) -> None:
        self._events.append(MemoryEvent("scene", action, frame_index, entry, reason, self._bytes()))
