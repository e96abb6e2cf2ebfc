"""Appearance memory: what each followed object and the background look like, in a fixed number of bytes.

After HQ-SMem (Kazemi et al., 2025), whose dynamic appearance model follows an object as it changes shape. An object is
kept as the first and second moments of its cells, once over the views that were confirmed and once as a running mean
of the views since; so is the background of the whole video. However long the video is, the bytes are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError
from streamvos.records import MemoryAction, MemoryEvent


@dataclass
class Look:
    """What is kept of one object.

    Args:
        confirmed: (D, D) float32 moments of the confirmed views; the last row and column are the first moment, for
            features end in a constant.
        running: likewise, the running mean of the views since; zeros before there is one.
        num_confirmed, num_views: how many views are in either.
        seen: index of the latest frame in either.
    """

    confirmed: torch.Tensor
    running: torch.Tensor
    num_confirmed: int = 1
    num_views: int = 0
    seen: int = 0


class AppearanceMemory:
    """Moments of objects and of the background. When it is full, the object that was seen longest ago is forgotten.

    Args:
        budget_bytes: of all objects and the background together.
        follow_rate: least weight of a new view; larger follows changes faster and forgets sooner.
        device: where tensors live.
    """

    name = "appearance"

    def __init__(self, budget_bytes: int, follow_rate: float, device: torch.device) -> None:
        self._budget_bytes, self._follow_rate, self._device = budget_bytes, follow_rate, device
        self.reset()

    def reset(self) -> None:
        self._looks: dict[int, Look] = {}
        self._background: torch.Tensor | None = None
        self._num_backgrounds = 0
        self._events: list[MemoryEvent] = []

    @property
    def background(self) -> torch.Tensor | None:
        """(D, D) mean moments over frames; None where there was no background yet."""
        return self._background

    def read(self) -> dict[int, Look]:
        """What is known, by object, in the order of their first views."""
        return dict(self._looks)

    def write(self, frame_index: int, object_id: int, moments: torch.Tensor, replace: bool) -> None:
        """Keep a confirmed view, (D, D) moments; `replace` forgets what was known before.

        Raises:
            InputError: the budget holds no single object beside the background.
        """
        look = None if replace else self._looks.get(object_id)
        if look is not None:
            look.num_confirmed += 1
            look.confirmed = torch.lerp(look.confirmed, moments, 1.0 / look.num_confirmed)
            look.seen = frame_index
            self._tell("merge", frame_index, object_id, f"confirmed view {look.num_confirmed} joins its looks")
            return
        if object_id not in self._looks:
            self._make_room(frame_index, moments)
        self._looks[object_id] = Look(moments, torch.zeros_like(moments), seen=frame_index)
        self._tell("write", frame_index, object_id, "learns anew what it looks like" if replace else "first look")

    def follow(self, frame_index: int, object_id: int, moments: torch.Tensor) -> None:
        """Carry a sure view, (D, D) moments, into the running mean of a known object."""
        look = self._looks.get(object_id)
        if look is None:
            return
        look.num_views += 1
        look.seen = frame_index
        look.running = torch.lerp(look.running, moments, max(1.0 / look.num_views, self._follow_rate))
        self._tell("merge", frame_index, object_id, f"sure view {look.num_views} joins its looks")

    def follow_background(self, moments: torch.Tensor) -> None:
        """Carry the background of a frame, (D, D) moments, into its running mean."""
        self._num_backgrounds += 1
        rate = max(1.0 / self._num_backgrounds, self._follow_rate)
        self._background = moments if self._background is None else torch.lerp(self._background, moments, rate)

    def remove(self, object_id: int) -> None:
        """Forget an object; an unknown id is fine."""
        self._looks.pop(object_id, None)

    def stats(self) -> MemoryStats:
        one = [self._background] if self._background is not None else []
        tensors = one + [part for look in self._looks.values() for part in (look.confirmed, look.running)]
        taken = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return MemoryStats(len(self._looks), taken, self._budget_bytes)

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        looks = {
            object_id: (_plain(look.confirmed), _plain(look.running), look.num_confirmed, look.num_views, look.seen)
            for object_id, look in self._looks.items()
        }
        return {"looks": looks, "background": _plain(self._background), "num_backgrounds": self._num_backgrounds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self._looks = {
            object_id: Look(self._tensor(confirmed), self._tensor(running), *counts)
            for object_id, (confirmed, running, *counts) in state["looks"].items()
        }
        self._background, self._num_backgrounds = self._tensor(state["background"]), state["num_backgrounds"]

    def _make_room(self, frame_index: int, moments: torch.Tensor) -> None:
        """Room for one more object, at the cost of those seen longest ago."""
        size = moments.numel() * moments.element_size()
        max_objects = (self._budget_bytes // size - 1) // 2  # the background takes one, an object two
        if max_objects < 1:
            raise InputError(
                f"memory.appearance_mib: {self._budget_bytes} bytes hold no object, each takes {2 * size} beside the "
                f"background's {size}; raise it"
            )
        while len(self._looks) >= max_objects:
            oldest = min(self._looks, key=lambda key: (self._looks[key].seen, key))
            del self._looks[oldest]
            self._tell("evict", frame_index, oldest, "its looks are forgotten: no room, and it was seen longest ago")

    def _tell(self, action: MemoryAction, frame_index: int, object_id: int, reason: str) -> None:
        event = MemoryEvent(self.name, action, frame_index, f"object {object_id}", reason, self.stats().bytes)
        self._events.append(event)

    def _tensor(self, array: np.ndarray | None) -> torch.Tensor | None:
        return None if array is None else torch.tensor(array, device=self._device)


def _plain(tensor: torch.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.cpu().numpy().copy()
