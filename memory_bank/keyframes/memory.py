"""Key-frame memory: a few views of each object, chosen, in a fixed number of bytes.

After HQ-SMem (Kazemi et al., 2025): relevant key frames stay, redundant ones go. The first view of an object, which
the user or the detector vouches for, is permanent. What a view consists of belongs to the tracker (a payload of
tensors); when to write and what to drop belongs to `memory_bank.keyframes.policy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from memory_bank.keyframes.policy import KeptViews, KeyFramePolicy, SmartPolicy, Verdict, View
from memory_bank.keyframes.published import Dam4SamPolicy, DmaotPolicy, FifoPolicy, GapPolicy, RmemPolicy
from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError, unknown_name
from streamvos.records import MemoryAction, MemoryEvent

# What is known of each slot beside its payload and descriptor.
_SLOT = np.dtype(
    [
        ("object_id", np.int64),  # 0: the slot is free
        ("frame_index", np.int64),
        ("permanent", np.bool_),
        ("anchor", np.bool_),
        ("attention", np.float64),  # received so far, summed over reads
        ("num_reads", np.int64),
    ]
)


class Comparison(NamedTuple):
    """See `View`, whose fields these are."""

    novelty: float
    likeness: float
    rival: float


@dataclass(frozen=True)
class KeyFrameConfig:
    """How much the key-frame memory may hold, and by which rules."""

    budget_bytes: int = 96 * 2**20  # of all objects together; larger keeps more views of more objects
    object_budget_bytes: int = 12 * 2**20  # of each object; larger keeps more views of it
    max_per_object: int = 8  # larger remembers more views, and costs time when the appearance is fitted anew
    keeps_first: bool = True  # whether the first view of an object stays for good; off shows what it is worth
    # What is written and what is dropped: "smart" is ours, the others are published, each with its numbers below.
    policy: Literal["smart", "fifo", "gap", "dmaot", "rmem", "dam4sam"] = "smart"
    smart: SmartPolicy = field(default_factory=SmartPolicy)
    fifo: FifoPolicy = field(default_factory=FifoPolicy)
    gap: GapPolicy = field(default_factory=GapPolicy)
    dmaot: DmaotPolicy = field(default_factory=DmaotPolicy)
    rmem: RmemPolicy = field(default_factory=RmemPolicy)
    dam4sam: Dam4SamPolicy = field(default_factory=Dam4SamPolicy)


POLICIES = ("smart", "fifo", "gap", "dmaot", "rmem", "dam4sam")


class KeyFrameMemory:
    """Preallocated slots, one view of one object each.

    Args:
        config: see `KeyFrameConfig`.
        device: where the payload lives.
    """

    name = "keyframes"

    def __init__(self, config: KeyFrameConfig, device: torch.device) -> None:
        if config.policy not in POLICIES:
            raise unknown_name("key-frame policy", config.policy, POLICIES)
        if config.max_per_object < 1:
            raise InputError(f"keyframes.max_per_object: expected at least 1, got {config.max_per_object}")
        self._config, self._device = config, device
        self._policy: KeyFramePolicy = getattr(config, config.policy)
        self.reset()

    @property
    def wants_use(self) -> bool:
        """Whether the policy looks at what `note_use` is told; where not, nobody need tell it."""
        return self._config.policy == "rmem"

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
        vouched: bool = False,
    ) -> bool:
        """Offer a view; whether it is taken is the policy's decision.

        Args:
            frame_index, object_id: which view.
            payload: tensors of the same names, shapes and types at every call.
            descriptor: (C,) float32 unit vector of appearance, for redundancy.
            view: what the policy looks at.
            vouched: the user or the detector says that this is the object: take it whatever the policy says; the first
                such view is never dropped.

        Returns:
            True where the view was stored.

        Raises:
            InputError: the budget holds no single view, or only permanent ones of other objects.
        """
        if self._slots is None:
            self._allocate(payload, descriptor)
        permanent = vouched and self._config.keeps_first and not self._table["permanent"][self._rows(object_id)].any()
        if vouched:
            verdict = Verdict(True, "first view, permanent" if permanent else "vouched for")
        else:
            verdict = self._policy.judge(view)
        entry = f"object {object_id}"
        if not verdict.taken:
            self._tell("skip", frame_index, entry, verdict.reason)
            return False
        row = self._free_row(frame_index, object_id, descriptor, verdict.anchor)
        if row is None:
            self._tell("skip", frame_index, entry, "its slots hold only permanent views")
            return False
        for name, tensor in payload.items():
            self._slots[name][row].copy_(tensor)
        self._descriptor[row] = descriptor
        self._table[row] = (object_id, frame_index, permanent, verdict.anchor, 0.0, 0)
        self._tell("write", frame_index, f"{entry}, slot {row}", verdict.reason)
        return True

    def compare(self, object_id: int, descriptor: np.ndarray) -> Comparison:
        """How a (C,) unit descriptor stands to the object's views, and to other objects'."""
        rows = self._rows(object_id)
        if not len(rows):
            return Comparison(1.0, 1.0, 0.0)
        cosines = self._descriptor[rows] @ descriptor
        others = [self._rows(other)[0] for other in np.unique(self._table["object_id"]) if other not in (0, object_id)]
        rival = float((self._descriptor[others] @ descriptor).max()) if others else 0.0
        return Comparison(1.0 - float(cosines.max()), float(cosines[0]), max(0.0, rival))

    def last_written(self, object_id: int) -> int | None:
        """Frame of the object's latest key frame, None where it has none."""
        rows = self._rows(object_id)
        return int(self._table["frame_index"][rows].max()) if len(rows) else None

    def count(self, object_id: int) -> int:
        """How many views of the object there are."""
        return int((self._table["object_id"] == object_id).sum())

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
        if not len(rows):
            return {}
        index = torch.from_numpy(rows if chosen is None else rows[chosen]).to(self._device)
        return {name: self._slots[name][index] for name in (self._slots if names is None else names)}

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
            self._table["attention"][rows] += shares
            self._table["num_reads"][rows] += 1

    def descriptors(self, object_id: int) -> np.ndarray:
        """(n, C) float32 unit descriptors of the object's views, in ascending frame order."""
        return self._descriptor[self._rows(object_id)].copy()

    def remove(self, object_id: int) -> None:
        self._table["object_id"][self._rows(object_id)] = 0

    def reset(self) -> None:
        self._slots: dict[str, torch.Tensor] | None = None
        self._slot_bytes = 0
        self._descriptor = np.zeros((0, 0), np.float32)
        self._table = np.zeros(0, _SLOT)
        self._events: list[MemoryEvent] = []

    def stats(self) -> MemoryStats:
        entries = int((self._table["object_id"] > 0).sum())
        return MemoryStats(entries, entries * self._slot_bytes, self._config.budget_bytes)

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        rows = np.flatnonzero(self._table["object_id"])
        taken = {} if self._slots is None else self._slots
        return {
            "num_slots": len(self._table),
            "rows": rows,
            **{name: self._table[name][rows] for name in _SLOT.names},
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
        if len(self._table) != state["num_slots"]:
            raise InputError(
                f"snapshot of {state['num_slots']} key-frame slots does not fit a memory of {len(self._table)}; "
                "use the configuration it was made with"
            )
        rows = state["rows"]
        for name, stored in state["slots"].items():
            self._slots[name][torch.tensor(rows)] = torch.tensor(stored, device=self._device)
        for name in _SLOT.names:
            self._table[name][rows] = state[name]
        self._descriptor[rows] = state["descriptor"]

    def _allocate(self, payload: Mapping[str, torch.Tensor], descriptor: np.ndarray) -> None:
        self._slot_bytes = sum(tensor.numel() * tensor.element_size() for tensor in payload.values())
        self._slot_bytes += descriptor.nbytes + _SLOT.itemsize
        for name in ("budget_bytes", "object_budget_bytes"):
            budget = getattr(self._config, name)
            if budget < self._slot_bytes:
                raise InputError(
                    f"keyframes.{name}: {budget} holds no view of {self._slot_bytes} bytes; "
                    "give a larger budget or a smaller working size (setting size)"
                )
        num_slots = self._config.budget_bytes // self._slot_bytes
        self._slots = {
            name: torch.empty((num_slots, *tensor.shape), dtype=tensor.dtype, device=self._device)
            for name, tensor in payload.items()
        }
        self._descriptor = np.zeros((num_slots, len(descriptor)), np.float32)
        self._table = np.zeros(num_slots, _SLOT)

    def _rows(self, object_id: int) -> np.ndarray:
        rows = np.flatnonzero(self._table["object_id"] == object_id)
        return rows[np.argsort(self._table["frame_index"][rows], kind="stable")]

    def _free_row(self, frame_index: int, object_id: int, now: np.ndarray, is_anchor: bool) -> int | None:
        """A free slot, made by dropping a view of this object, or of the one with most views, where need be."""
        most = min(self._config.max_per_object, self._config.object_budget_bytes // self._slot_bytes)
        rows = self._rows(object_id)
        num_slots = most - int(self._table["permanent"][rows].sum())
        if num_slots < 1 and len(rows):
            return None
        row = self._make_room(frame_index, object_id, num_slots, now, is_anchor)
        if row is not None:
            return row
        free = np.flatnonzero(self._table["object_id"] == 0)
        if len(free):
            return int(free[0])
        owners, counts = np.unique(self._table["object_id"][~self._table["permanent"]], return_counts=True)
        if not len(owners):
            raise InputError(
                f"keyframes: all {len(self._table)} slots hold permanent first views; "
                f"remove an object before adding object {object_id}, or give a larger keyframes.budget_bytes"
            )
        most_views = counts == counts.max()
        owner = object_id if object_id in owners[most_views] else int(owners[most_views][0])
        if owner != object_id:
            now, is_anchor = self._descriptor[self._rows(owner)[-1]], False
        return self._make_room(frame_index, owner, int(counts.max()), now, is_anchor)

    def _make_room(
        self, frame_index: int, object_id: int, num_slots: int, now: np.ndarray, is_anchor: bool
    ) -> int | None:
        """Drop a view of an object where its policy says so; the slot that it leaves."""
        rows = self._rows(object_id)
        fixed, rows = rows[self._table["permanent"][rows]], rows[~self._table["permanent"][rows]]
        kept = KeptViews(
            self._table["frame_index"][rows],
            self._descriptor[rows],
            self._table["anchor"][rows],
            self._table["attention"][rows] / np.maximum(self._table["num_reads"][rows], 1),
            self._table["num_reads"][rows],
            now,
            self._descriptor[fixed],
        )
        drop = self._policy.drop(kept, is_anchor, num_slots)
        if drop is None:
            return None
        row = int(rows[drop.row])
        entry = f"object {object_id}, slot {row}, frame {self._table['frame_index'][row]}"
        self._table["object_id"][row] = 0
        self._tell("evict", frame_index, entry, drop.reason)
        return row

    def _tell(self, action: MemoryAction, frame_index: int, entry: str, reason: str) -> None:
        self._events.append(MemoryEvent(self.name, action, frame_index, entry, reason, self.stats().bytes))
