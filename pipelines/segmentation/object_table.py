"""Who is followed: the objects' states and ids, in step with what the tracker holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memory_bank.appearance import RetiredObjects
from memory_bank.protocol import MemoryStats
from pipelines.segmentation.track_state import Track
from pipelines.trackers.protocol import BaseTracker
from streamvos.errors import InputError
from streamvos.records import Frame, MemoryAction, MemoryEvent


class ObjectTable:
    """The objects of one stream; an id is given once and never again.

    A memory, too: what is kept of each object from frame to frame, mostly by the tracker, has a budget beside the
    number of objects.

    Args:
        tracker: forgets what the table drops.
        retired: keeps what the table retires.
        max_objects: followed at once.
        budget_bytes: of what is kept of all of them beside the key frames.
        first_found_id: what is found gets this id or a higher one; those below are for the user to give.
    """

    name = "objects"

    def __init__(
        self,
        tracker: BaseTracker,
        retired: RetiredObjects,
        max_objects: int,
        budget_bytes: int,
        first_found_id: int = 1,
    ) -> None:
        self._tracker, self._retired = tracker, retired
        self._max_objects, self._budget_bytes, self._first_found_id = max_objects, budget_bytes, first_found_id
        self.reset()

    def reset(self) -> None:
        self._retired.reset()
        self.tracks: dict[int, Track] = {}
        self.next_id = self._first_found_id
        self._largest_bytes = 0.0  # mean of all objects, in the frame in which it was largest
        self._events: list[MemoryEvent] = []

    def enter(self, object_id: int, track: Track) -> None:
        """Take up an object, new or known."""
        self.tracks[object_id] = track
        self.next_id = max(self.next_id, object_id + 1)
        self._retired.remove(object_id)

    def forget(self, object_id: int) -> None:
        """Drop an object and all that is known of it; an unknown id is fine."""
        self._tracker.remove(object_id)
        self.tracks.pop(object_id, None)
        self._retired.remove(object_id)

    def retire(self, frame_index: int, object_id: int) -> None:
        """Stop following an object, but recognise it should it return."""
        track = self.tracks.pop(object_id)
        self._retired.write(frame_index, object_id, track.leading_class, self._tracker.appearances(object_id))
        self._tracker.remove(object_id)

    def retire_long_lost(self, frame: Frame, after_s: float) -> None:
        """Retire found objects that were not seen for longer than `after_s`."""
        for object_id, track in list(self.tracks.items()):
            if not track.prompted and frame.time_s - track.seen_s > after_s:
                self.retire(frame.index, object_id)

    def end_shot(self, frame_index: int) -> None:
        """Found objects end and may be recognised later; the user's stay, lost until they are seen again."""
        for object_id, track in list(self.tracks.items()):
            if track.prompted:
                track.state, track.score = "lost", 0.0
            else:
                self.retire(frame_index, object_id)
        self._tracker.start_shot()
        self._retired.start_shot()

    def make_room(self, object_id: int) -> None:
        """Room for one more object of the user's, made by dropping a found one where need be.

        Raises:
            InputError: all are the user's.
        """
        if self._holds_another():
            return
        droppable = [(track.seen_s, key) for key, track in self.tracks.items() if not track.prompted]
        if not droppable:
            raise InputError(
                f"object {object_id}: {len(self.tracks)} objects are followed already (segment.max_objects, "
                "memory.objects_mib); remove one first or raise the limit"
            )
        self.forget(min(droppable)[1])

    def has_room(self, frame_index: int, class_name: str) -> bool:
        """Whether one more found object has room; the one lost longest is retired for it."""
        if self._holds_another():
            return True
        lost = [
            (track.seen_s, key) for key, track in self.tracks.items() if track.state == "lost" and not track.prompted
        ]
        if not lost:
            self.tell("skip", frame_index, class_name, f"{len(self.tracks)} objects are followed already")
            return False
        self.retire(frame_index, min(lost)[1])
        return True

    def tell(
        self,
        action: MemoryAction,
        frame_index: int,
        entry: str,
        reason: str,
        numbers: Mapping[str, float] | None = None,
    ) -> None:
        """Note a decision about an object."""
        self._events.append(MemoryEvent(self.name, action, frame_index, entry, reason, self._bytes(), numbers or {}))

    def stats(self) -> dict[str, MemoryStats]:
        """Size of what is kept of objects that are followed, and of those that are not any more."""
        followed = MemoryStats(len(self.tracks), self._bytes(), self._budget_bytes)
        return {self.name: followed, self._retired.name: self._retired.stats()}

    def note_size(self) -> None:
        """Learn, after a frame, how many bytes an object takes."""
        if self.tracks:
            self._largest_bytes = max(self._largest_bytes, self._bytes() / len(self.tracks))

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        """Hand over the decisions since the last call."""
        events, self._events = tuple(self._events), []
        return events + self._retired.drain_events()

    def state_dict(self) -> dict[str, Any]:
        tracks = {object_id: track.state_dict() for object_id, track in self.tracks.items()}
        return {"tracks": tracks, "next_id": self.next_id, "largest_bytes": self._largest_bytes} | {
            "retired": self._retired.state_dict()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.tracks = {object_id: Track.of_state(track) for object_id, track in state["tracks"].items()}
        self.next_id, self._largest_bytes, self._events = state["next_id"], state["largest_bytes"], []
        self._retired.load_state_dict(state["retired"])

    def _bytes(self) -> int:
        return self._tracker.state_bytes() - self._tracker.stats().bytes

    def _holds_another(self) -> bool:
        """Whether neither the number nor the bytes of the objects stand in the way of one more."""
        count = len(self.tracks) + 1
        return count <= self._max_objects and count * self._largest_bytes <= self._budget_bytes
