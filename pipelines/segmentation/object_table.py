"""Who is followed: the objects' lives and ids, in step with what the tracker holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.segmentation.new_objects import Newcomers
from pipelines.segmentation.track_state import Life
from pipelines.trackers.protocol import BaseTracker
from streamvos.errors import InputError
from streamvos.records import MemoryAction, MemoryEvent


class Roster:
    """The objects of one stream; an id is given once and never again.

    Args:
        tracker: forgets what the roster drops.
        newcomers: recognises what the roster retires.
        max_objects: followed at once.
        first_found_id: what is found gets this id or a higher one; those below are for the user to give.
    """

    def __init__(self, tracker: BaseTracker, newcomers: Newcomers, max_objects: int, first_found_id: int = 1) -> None:
        self._tracker, self._newcomers, self._max_objects = tracker, newcomers, max_objects
        self.lives: dict[int, Life] = {}
        self.next_id = first_found_id
        self._events: list[MemoryEvent] = []

    def enter(self, object_id: int, life: Life) -> None:
        """Take up an object, new or known."""
        self.lives[object_id] = life
        self.next_id = max(self.next_id, object_id + 1)
        self._newcomers.forget(object_id)

    def forget(self, object_id: int) -> None:
        """Drop an object and all that is known of it; an unknown id is fine."""
        self._tracker.remove(object_id)
        self.lives.pop(object_id, None)
        self._newcomers.forget(object_id)

    def retire(self, object_id: int) -> None:
        """Stop following an object, but recognise it should it return."""
        life = self.lives.pop(object_id)
        self._newcomers.retire(object_id, life.class_name, self._tracker.appearances(object_id))
        self._tracker.remove(object_id)

    def retire_long_lost(self, time_s: float, after_s: float) -> None:
        """Retire found objects that were not seen for longer than `after_s`."""
        for object_id, life in list(self.lives.items()):
            if not life.prompted and time_s - life.seen_s > after_s:
                self.retire(object_id)

    def end_shot(self) -> None:
        """Found objects end and may be recognised later; the user's stay, lost until they are seen again."""
        for object_id, life in list(self.lives.items()):
            if life.prompted:
                life.state, life.score = "lost", 0.0
            else:
                self.retire(object_id)
        self._tracker.start_shot()
        self._newcomers.start_shot()

    def make_room(self, object_id: int) -> None:
        """Room for one more object of the user's, made by dropping a found one where need be.

        Raises:
            InputError: all are the user's.
        """
        if len(self.lives) < self._max_objects:
            return
        droppable = [(life.seen_s, key) for key, life in self.lives.items() if not life.prompted]
        if not droppable:
            raise InputError(
                f"object {object_id}: {len(self.lives)} objects are followed already (segment.max_objects); "
                "remove one first or raise the limit"
            )
        self.forget(min(droppable)[1])

    def has_room(self, frame_index: int, class_name: str) -> bool:
        """Whether one more found object has room; the one lost longest is retired for it."""
        if len(self.lives) < self._max_objects:
            return True
        lost = [(life.seen_s, key) for key, life in self.lives.items() if life.state == "lost" and not life.prompted]
        if not lost:
            self.tell("skip", frame_index, class_name, f"{len(self.lives)} objects are followed already")
            return False
        self.retire(min(lost)[1])
        return True

    def tell(
        self,
        action: MemoryAction,
        frame_index: int,
        entry: str,
        reason: str,
        numbers: Mapping[str, float] | None = None,
    ) -> None:
        """Note a decision as an event of the key-frame memory."""
        size = self._tracker.stats().bytes
        self._events.append(MemoryEvent("keyframes", action, frame_index, entry, reason, size, numbers or {}))

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        """Hand over the decisions since the last call."""
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        lives = {object_id: life.state_dict() for object_id, life in self.lives.items()}
        return {"lives": lives, "next_id": self.next_id}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.lives = {object_id: Life(**life) for object_id, life in state["lives"].items()}
        self.next_id, self._events = state["next_id"], []
