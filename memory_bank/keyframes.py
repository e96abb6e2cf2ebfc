"""Key-frame memory: a few views of each object, chosen, in a fixed number of bytes.

After HQ-SMem (Kazemi et al., 2025): relevant key frames stay, redundant ones go. The first view of an object, which
the user or the detector vouches for, is permanent. What a view consists of belongs to the tracker (a payload of
tensors); when to write and what to drop belongs to `memory_bank.keyframe_policies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from memory_bank.keyframe_policies import View, WriteRule, eviction, judge_write
from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError
from streamvos.records import MemoryAction, MemoryEvent


@dataclass(frozen=True)
class KeyFrameConfig:
    """How much the key-frame memory may hold, and by which rules."""

    budget_bytes: int = 96 * 2**20  # of all objects together; larger keeps more views of more objects
    max_per_object: int = 8  # larger remembers more views, and costs time when the appearance is fitted anew
    policy: str = "smart"  # which view goes when the memory is full: "smart" the most redundant, "fifo" the oldest
    rule: WriteRule = field(default_factory=WriteRule)


class KeyFrameMemory:
    """Preallocated slots, one view of one object each.

    Args:
        config: see `KeyFrameConfig`.
        device: where the payload lives.
    """

    name = "keyframes"

    def __init__(self, config: KeyFrameConfig, device: torch.device) -> None:
        if config.max_per_object < 1:
            raise InputError(f"keyframes.max_per_object: expected at least 1, got {config.max_per_object}")
        self._config, self._device = config, device
        self._drop = eviction(config.policy)
        self.reset()

    def write(
        self,
        frame_index: int,
        object_id: int,
        payload: Mapping[str, torch.Tensor],
        descriptor: np.ndarray,
        view: View,
        vouched: bool = False,
    ) -> bool:
        """Offer a view; whether it is taken is the policy's decision.

        Args:
            frame_index, object_id: which view.
            payload: tensors of the same names, shapes and types at every call.
            descriptor: (C,) float32 unit vector of appearance, for redundancy.
            view: what the write rule looks at; its novelty is measured here.
            vouched: the user or the detector says that this is the object: take it whatever the rule says; the first
                such view is never dropped.

        Returns:
            True where the view was stored.

        Raises:
            InputError: the budget holds no single view, or only permanent ones of other objects.
        """
        if self._slots is None:
            self._allocate(payload, descriptor)
        rows = self._rows(object_id)
        permanent = vouched and not self._permanent[rows].any()
        if permanent:
            taken, reason = True, "first view, permanent"
        else:
            taken, reason = (True, "vouched for") if vouched else judge_write(view, self._config.rule)
        if not taken:
            self._tell("skip", frame_index, f"object {object_id}", reason)
            return False
        row = self._free_row(frame_index, object_id, rows)
        if row is None:
            self._tell("skip", frame_index, f"object {object_id}", "its slots hold only permanent views")
            return False
        for name, tensor in payload.items():
            self._slots[name][row].copy_(tensor)
        self._descriptor[row] = descriptor
        self._object_id[row], self._frame_index[row], self._permanent[row] = object_id, frame_index, permanent
        self._tell("write", frame_index, f"object {object_id}, slot {row}", reason)
        return True

    def novelty(self, object_id: int, descriptor: np.ndarray) -> float:
        """1 - cosine of a (C,) unit descriptor to the nearest key frame of the object; 1 where it has none."""
        rows = self._rows(object_id)
        return 1.0 - float((self._descriptor[rows] @ descriptor).max()) if len(rows) else 1.0

    def last_written(self, object_id: int) -> int | None:
        """Frame of the object's latest key frame, None where it has none."""
        rows = self._rows(object_id)
        return int(self._frame_index[rows].max()) if len(rows) else None

    def read(self, object_id: int) -> dict[str, torch.Tensor]:
        """The payload of the object's views, each tensor (n, ...) in ascending frame order; empty where none."""
        rows = self._rows(object_id)
        if not len(rows):
            return {}
        index = torch.from_numpy(rows).to(self._device)
        return {name: slots[index] for name, slots in self._slots.items()}

    def descriptors(self, object_id: int) -> np.ndarray:
        """(n, C) float32 unit descriptors of the object's views, in ascending frame order."""
        return self._descriptor[self._rows(object_id)].copy()

    def remove(self, object_id: int) -> None:
        self._object_id[self._rows(object_id)] = 0

    def reset(self) -> None:
        self._slots: dict[str, torch.Tensor] | None = None
        self._slot_bytes = 0
        self._object_id = np.zeros(0, np.int64)  # 0: the slot is free
        self._frame_index = np.zeros(0, np.int64)
        self._permanent = np.zeros(0, bool)
        self._descriptor = np.zeros((0, 0), np.float32)
        self._events: list[MemoryEvent] = []

    def stats(self) -> MemoryStats:
        entries = int((self._object_id > 0).sum())
        return MemoryStats(entries, entries * self._slot_bytes, self._config.budget_bytes)

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        rows = np.flatnonzero(self._object_id)
        taken = {} if self._slots is None else self._slots
        return {
            "num_slots": len(self._object_id),
            "rows": rows,
            "object_id": self._object_id[rows],
            "frame_index": self._frame_index[rows],
            "permanent": self._permanent[rows],
            "descriptor": self._descriptor[rows],
            "slots": {name: slots[torch.from_numpy(rows)].cpu().numpy() for name, slots in taken.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        if not state["slots"]:
            return
        example = {
            name: torch.from_numpy(np.empty(stored.shape[1:], stored.dtype)) for name, stored in state["slots"].items()
        }
        self._allocate(example, np.zeros(state["descriptor"].shape[1], np.float32))
        if len(self._object_id) != state["num_slots"]:
            raise InputError(
                f"snapshot of {state['num_slots']} key-frame slots does not fit a memory of {len(self._object_id)}; "
                "use the configuration it was made with"
            )
        rows = state["rows"]
        for name, stored in state["slots"].items():
            self._slots[name][torch.tensor(rows)] = torch.tensor(stored, device=self._device)
        self._object_id[rows], self._frame_index[rows] = state["object_id"], state["frame_index"]
        self._permanent[rows], self._descriptor[rows] = state["permanent"], state["descriptor"]

    def _allocate(self, payload: Mapping[str, torch.Tensor], descriptor: np.ndarray) -> None:
        self._slot_bytes = sum(tensor.numel() * tensor.element_size() for tensor in payload.values())
        self._slot_bytes += descriptor.nbytes + 17  # id, frame, permanent
        num_slots = self._config.budget_bytes // self._slot_bytes
        if num_slots < 1:
            raise InputError(
                f"keyframes.budget_bytes: {self._config.budget_bytes} holds no view of {self._slot_bytes} bytes; "
                "give a larger budget or a smaller --size"
            )
        self._slots = {
            name: torch.empty((num_slots, *tensor.shape), dtype=tensor.dtype, device=self._device)
            for name, tensor in payload.items()
        }
        self._object_id = np.zeros(num_slots, np.int64)
        self._frame_index = np.zeros(num_slots, np.int64)
        self._permanent = np.zeros(num_slots, bool)
        self._descriptor = np.zeros((num_slots, len(descriptor)), np.float32)

    def _rows(self, object_id: int) -> np.ndarray:
        rows = np.flatnonzero(self._object_id == object_id)
        return rows[np.argsort(self._frame_index[rows], kind="stable")]

    def _free_row(self, frame_index: int, object_id: int, rows: np.ndarray) -> int | None:
        """A free slot, made by dropping a view of this object, or of the one with most views, where need be."""
        is_full = len(rows) >= self._config.max_per_object
        free = np.flatnonzero(self._object_id == 0)
        if len(free) and not is_full:
            return int(free[0])
        droppable = rows[~self._permanent[rows]]
        if is_full and not len(droppable):
            return None
        if not len(droppable):
            owners, counts = np.unique(self._object_id[(self._object_id > 0) & ~self._permanent], return_counts=True)
            if not len(owners):
                raise InputError(
                    f"keyframes: all {len(self._object_id)} slots hold permanent first views; "
                    f"remove an object before adding object {object_id}, or give a larger keyframes.budget_bytes"
                )
            rows = self._rows(int(owners[np.argmax(counts)]))
            droppable = rows[~self._permanent[rows]]
        place, reason = self._drop(self._frame_index[droppable], self._descriptor[droppable])
        row = int(droppable[place])
        entry = f"object {self._object_id[row]}, slot {row}, frame {self._frame_index[row]}"
        self._object_id[row] = 0
        self._tell("evict", frame_index, entry, reason)
        return row

    def _tell(self, action: MemoryAction, frame_index: int, entry: str, reason: str) -> None:
        self._events.append(MemoryEvent(self.name, action, frame_index, entry, reason, self.stats().bytes))
