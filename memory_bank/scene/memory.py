"""Scene memory: two memories instead of one, after Mem4D (Cai et al., 2508.07908, 2025).

The paper keeps a Persistent Structure Memory of the static world and a Transient Dynamics Memory of recent motion
and queries them in turn; its sizes and weights are not public. We keep explicit points instead of learned tokens:
`PersistentStructure` (voxel-hashed, merged, compressed under a budget) with `Places` to relocalise by, and
`TransientDynamics` (a short ring of each object, carried to the time that is asked for).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memory_bank.protocol import MemoryStats
from memory_bank.scene.dynamic import MovingPoints, TransientDynamics
from memory_bank.scene.places import Place, Places
from memory_bank.scene.policy import SceneMemoryConfig
from memory_bank.scene.static import PersistentStructure
from streamvos.answers import plural
from streamvos.records import MemoryAction, MemoryEvent


class SceneMemory:
    """What is known of the scene: static points, key frames, and moving objects.

    A moving object is one entry: its coming and going are told, the frames of its ring, of fixed number, are not.

    Args:
        config: how the bytes are divided.
        budget_bytes: of all three stores.

    Raises:
        InputError: the budget is too small for one of them.
    """

    name = "scene"

    def __init__(self, config: SceneMemoryConfig, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        transient_bytes = int(budget_bytes * config.transient_share)
        places_bytes = int(budget_bytes * config.places_share)
        self.static = PersistentStructure(budget_bytes - transient_bytes - places_bytes)
        self.places = Places(places_bytes)
        self.dynamic = TransientDynamics(transient_bytes)
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
        entry = _static_points(map_id)
        if not len(xyz):
            self._tell("skip", frame_index, entry, "the key frame measured no point that can be trusted")
            return
        counts = self.static.write(xyz, rgb, confidence, map_id, voxel)
        if counts.evicted:
            reason = f"all {self.static.capacity} points are taken: the {counts.evicted} least confident made room"
            self._tell("evict", frame_index, "static points", reason)
        measured = f"{plural('point', len(xyz))} measured in {plural('voxel', counts.voxels)}"
        reason = f"{measured}: {counts.new} new, {counts.merged} merged with known ones"
        self._tell("write" if counts.new else "merge", frame_index, entry, reason)
        if counts.refused:
            reason = f"{counts.refused} found no room, or are too far away to be kept"
            self._tell("reject", frame_index, entry, reason)

    def write_place(self, place: Place) -> None:
        """Write a key frame to relocalise by."""
        dropped = self.places.write(place)
        if dropped is not None:
            frame_index, map_id = dropped
            why = (
                "it belongs to an earlier map" if map_id != place.map_id else "key frames beside it see nearly the same"
            )
            reason = f"all {self.places.capacity} key frames are taken: {why}"
            self._tell("evict", place.frame_index, _key_frame(frame_index, map_id), reason)
        num_points = min(len(place.descriptors), self.places.max_points)
        reason = f"{plural('point', num_points)} to relocalise by"
        self._tell("write", place.frame_index, _key_frame(place.frame_index, place.map_id), reason)

    def write_moving(
        self, frame_index: int, time_s: float, object_id: int, xyz: np.ndarray, rgb: np.ndarray, source: str
    ) -> None:
        """Write the points (N, 3) of a moving object; `source` says where their depth comes from."""
        if not len(xyz):
            return  # its distance is not known in this frame: what is known of it is carried on
        known = object_id in self.dynamic.object_ids
        evicted = self.dynamic.write(object_id, time_s, xyz, rgb)
        if evicted is not None:
            reason = f"all places of {self.dynamic.capacity} moving objects are taken: it was unseen for longest"
            self._tell("evict", frame_index, _moving(evicted), reason)
        if not known:
            reason = f"enters with {plural('point', len(xyz))}, whose depth comes from {source}"
            self._tell("write", frame_index, _moving(object_id), reason)

    def expire(self, frame_index: int, time_s: float) -> None:
        """Forget the moving objects unseen for too long."""
        for object_id in self.dynamic.expire(time_s):
            reason = f"not placed for more than {self.dynamic.max_carry_s:g} s: its motion is no longer known"
            self._tell("evict", frame_index, _moving(object_id), reason)

    def look_through(self, frame_index: int, rows: np.ndarray, map_id: int) -> None:
        """The camera saw through the static points of these rows: doubt them, drop the doubtful."""
        dropped = self.static.weaken(rows) if len(rows) else 0
        if dropped:
            reason = f"the camera looked through {plural('point', len(rows))}: {dropped} are dropped as doubtful"
            self._tell("evict", frame_index, _static_points(map_id), reason)

    def start_map(self, frame_index: int, map_id: int, why: str) -> None:
        """A new map begins: moving objects are forgotten, static points stay under their own map."""
        forgotten = plural("moving object", len(self.dynamic.object_ids))
        self.dynamic.reset()
        self._tell("reset", frame_index, f"map {map_id}", f"{why}: a new map begins, {forgotten} forgotten")

    def read(self, time_s: float) -> tuple[dict[str, np.ndarray], MovingPoints]:
        """Query both in turn: the static points, and the moving ones carried to `time_s`."""
        return self.static.read(), self.dynamic.at_time(time_s)

    def remove(self, object_id: int, frame_index: int = -1) -> None:
        """Forget one moving object; static points belong to none."""
        count = self.dynamic.remove(object_id)
        if count:
            self._tell("remove", frame_index, _moving(object_id), f"removed on request: {plural('point', count)}")

    def reset(self) -> None:
        self.static.reset()
        self.places.reset()
        self.dynamic.reset()
        self._events.clear()

    def stats(self) -> MemoryStats:
        """Entries are static and moving points, and key frames."""
        entries = len(self.static) + len(self.places) + len(self.dynamic)
        return MemoryStats(entries, self._bytes(), self.budget_bytes)

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

    def _tell(self, action: MemoryAction, frame_index: int, entry: str, reason: str) -> None:
        self._events.append(MemoryEvent(self.name, action, frame_index, entry, reason, self._bytes()))


def _static_points(map_id: int) -> str:
    return f"static points of map {map_id}"


def _key_frame(frame_index: int, map_id: int) -> str:
    return f"key frame {frame_index} of map {map_id}"


def _moving(object_id: int) -> str:
    return f"moving object {object_id}"
