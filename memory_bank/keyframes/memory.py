"""Key-frame memory: a few views of each object, chosen, in a fixed number of bytes.

After HQ-SMem (Kazemi et al., 2025): relevant key frames stay, redundant ones go. The first view of an object, which
the user or the detector confirms, is permanent. What a view consists of belongs to the tracker (a payload of tensors);
when to write and what to drop belongs to a policy (`policy.py`), where views lie to `slots.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from memory_bank.keyframes.config import KeyFrameConfig
from memory_bank.keyframes.policy import KeptViews, View, WriteDecision
from memory_bank.keyframes.slots import Slots, bytes_of_slot, example_of
from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError
from streamvos.records import MemoryAction, MemoryEvent


class Comparison(NamedTuple):
    """See `View`, whose fields these are."""

    novelty: float
    similarity: float
    nearest_other: float


class KeyFrameMemory:
    """A bounded memory of views.

    Args:
        config: see `KeyFrameConfig`.
        budget_bytes: of all objects together; larger keeps more views of more objects.
        object_budget_bytes: of each object; larger keeps more views of it.
        device: where the payload lives.
    """

    name = "keyframes"

    def __init__(
        self, config: KeyFrameConfig, budget_bytes: int, object_budget_bytes: int, device: torch.device
    ) -> None:
        self._config, self._policy, self._device = config, config.rules, device
        self._budget_bytes, self._object_budget_bytes = budget_bytes, object_budget_bytes
        self.reset()

    @property
    def reads_attention(self) -> bool:
        """Whether the policy looks at what `note_use` is told; where not, nobody need tell it."""
        return self._policy.reads_attention

    def trusts(self, view: View) -> bool:
        """Whether the policy takes a view for the object's, so that its appearance may be learned."""
        return self._policy.trusts(view)

    def write(
        self,
        frame_index: int,
        object_id: int,
        payload: Mapping[str, torch.Tensor],
        descriptor: np.ndarray,
        view: View,
        confirmed: bool = False,
    ) -> bool:
        """Offer a view; whether it is taken is the policy's decision.

        Args:
            frame_index, object_id: which view.
            payload: tensors of the same names, shapes and types at every call.
            descriptor: (C,) float32 unit vector of appearance, for redundancy.
            view: what the policy looks at.
            confirmed: the user or the detector says that this is the object: take it whatever the policy says; the
                first such view is never dropped.

        Returns:
            True where the view was stored.

        Raises:
            InputError: the budget holds no single view, or only permanent ones of other objects.
        """
        if self._slots is None:
            self._slots = self._allocated(payload, descriptor)
        slots = self._slots
        permanent = confirmed and self._config.keeps_first
        permanent = permanent and not slots.table["permanent"][slots.rows_of(object_id)].any()
        decision = WriteDecision(True, "it is confirmed") if confirmed else self._policy.judge(view)
        entry = f"object {object_id}"
        if not decision.taken:
            self._tell("skip", frame_index, entry, f"no view of {entry}: {decision.reason}", decision.numbers)
            return False
        row = self._free_row(slots, frame_index, object_id, descriptor, decision.anchor)
        if row is None:
            self._tell("skip", frame_index, entry, f"no view of {entry}: its slots hold only views that stay", {})
            return False
        slots.put(row, object_id, frame_index, payload, descriptor, permanent, decision.anchor)
        kept = "kept the first view" if permanent else "kept a view"
        why = "it stays for good" if permanent else decision.reason
        self._tell("write", frame_index, f"{entry}, slot {row}", f"{kept} of {entry}: {why}", decision.numbers)
        return True

    def compare(self, object_id: int, descriptor: np.ndarray) -> Comparison:
        """How a (C,) unit descriptor stands to the object's views, and to other objects'."""
        rows = self._rows(object_id)
        if not len(rows):
            return Comparison(1.0, 1.0, 0.0)
        slots = self._slots
        cosines = slots.descriptors[rows] @ descriptor
        ids = np.unique(slots.table["object_id"])
        others = [slots.rows_of(other)[0] for other in ids if other not in (0, object_id)]
        nearest = float((slots.descriptors[others] @ descriptor).max()) if others else 0.0
        return Comparison(1.0 - float(cosines.max()), float(cosines[0]), max(0.0, nearest))

    def last_written(self, object_id: int) -> int | None:
        """Frame of the object's latest key frame, None where it has none."""
        rows = self._rows(object_id)
        return int(self._slots.table["frame_index"][rows].max()) if len(rows) else None

    def count(self, object_id: int) -> int:
        """How many views of the object there are."""
        return len(self._rows(object_id))

    def read(
        self, object_id: int, names: Iterable[str] | None = None, chosen: np.ndarray | None = None
    ) -> dict[str, torch.Tensor]:
        """The payload of the object's views, each tensor (n, ...) in ascending frame order; empty where none.

        Args:
            object_id: of the object.
            names: parts of the payload; None for all. Parts that are not wanted need not be copied.
            chosen: (n,) which of its views, counted in ascending frame order; None for all.
        """
        rows = self._rows(object_id)
        return self._slots.read(rows if chosen is None else rows[chosen], names) if len(rows) else {}

    def note_use(self, object_id: int, shares: np.ndarray, chosen: np.ndarray | None = None) -> None:
        """Be told how much of the tracker's attention views received in a frame; some policies keep what is used.

        Args:
            object_id: of the object.
            shares: (n,) in [0, 1].
            chosen: which views they are of, as in `read`.
        """
        rows = self._rows(object_id)
        rows = rows if chosen is None else rows[chosen]
        if len(rows):
            self._slots.table["attention"][rows] += shares
            self._slots.table["num_reads"][rows] += 1

    def descriptors(self, object_id: int) -> np.ndarray:
        """(n, C) float32 unit descriptors of the object's views, in ascending frame order; (0, 0) before any view."""
        return np.zeros((0, 0), np.float32) if self._slots is None else self._slots.descriptors[self._rows(object_id)]

    def remove(self, object_id: int) -> None:
        if self._slots is not None:
            self._slots.free(self._rows(object_id))

    def reset(self) -> None:
        self._slots: Slots | None = None
        self._events: list[MemoryEvent] = []

    def stats(self) -> MemoryStats:
        if self._slots is None:
            return MemoryStats(0, 0, self._budget_bytes)
        entries = self._slots.num_taken
        return MemoryStats(entries, entries * self._slots.slot_bytes, self._budget_bytes)

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        return {} if self._slots is None else self._slots.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        if state:
            self._slots = self._allocated(*example_of(state))
            self._slots.load(state)

    def _allocated(self, payload: Mapping[str, torch.Tensor], descriptor: np.ndarray) -> Slots:
        size = bytes_of_slot(payload, descriptor)
        budgets = {"keyframes_mib": self._budget_bytes, "object_keyframes_mib": self._object_budget_bytes}
        for name, budget in budgets.items():
            if budget < size:
                raise InputError(
                    f"memory.{name}: {budget} bytes hold no view of {size} bytes; "
                    "give a larger budget or a smaller working size (setting size)"
                )
        return Slots(self._budget_bytes // size, payload, descriptor, self._device)

    def _rows(self, object_id: int) -> np.ndarray:
        return np.zeros(0, np.int64) if self._slots is None else self._slots.rows_of(object_id)

    def _free_row(self, slots: Slots, frame_index: int, object_id: int, now: np.ndarray, is_anchor: bool) -> int | None:
        """A free slot, made by dropping a view of this object, or of the one with most views, where need be."""
        most = min(self._config.max_per_object, self._object_budget_bytes // slots.slot_bytes)
        rows, permanent = slots.rows_of(object_id), slots.table["permanent"]
        num_slots = most - int(permanent[rows].sum())
        if num_slots < 1 and len(rows):
            return None
        row = self._make_room(slots, frame_index, object_id, num_slots, now, is_anchor)
        row = slots.first_free() if row is None else row
        if row is not None:
            return row
        owners, counts = np.unique(slots.table["object_id"][~permanent], return_counts=True)
        if not len(owners):
            if len(rows):
                return None
            raise InputError(
                f"memory.keyframes_mib: all {len(slots)} slots hold permanent first views; "
                f"remove an object before adding object {object_id}, or give a larger budget"
            )
        most_views = counts == counts.max()
        owner = object_id if object_id in owners[most_views] else int(owners[most_views][0])
        if owner != object_id:
            now, is_anchor = slots.descriptors[slots.rows_of(owner)[-1]], False
        return self._make_room(slots, frame_index, owner, int(counts.max()), now, is_anchor)

    def _make_room(
        self, slots: Slots, frame_index: int, object_id: int, num_slots: int, now: np.ndarray, is_anchor: bool
    ) -> int | None:
        """Drop a view of an object where its policy says so; the slot that it leaves."""
        table, rows = slots.table, slots.rows_of(object_id)
        fixed, rows = rows[table["permanent"][rows]], rows[~table["permanent"][rows]]
        kept = KeptViews(
            table["frame_index"][rows],
            slots.descriptors[rows],
            table["anchor"][rows],
            table["attention"][rows] / np.maximum(table["num_reads"][rows], 1),
            table["num_reads"][rows],
            now,
            slots.descriptors[fixed],
        )
        drop = self._policy.drop(kept, is_anchor, num_slots)
        if drop is None:
            return None
        row = int(rows[drop.row])
        entry = f"object {object_id}, slot {row}, frame {table['frame_index'][row]}"
        slots.free(row)
        self._tell("evict", frame_index, entry, f"dropped a view of object {object_id}: {drop.reason}", drop.numbers)
        return row

    def _tell(
        self, action: MemoryAction, frame_index: int, entry: str, reason: str, numbers: Mapping[str, float]
    ) -> None:
        event = MemoryEvent(self.name, action, frame_index, entry, reason, self.stats().bytes, numbers)
        self._events.append(event)
