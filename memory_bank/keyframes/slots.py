"""Where key frames lie: preallocated slots, one view of one object each, written into and never moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from streamvos.errors import InputError

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


def bytes_of_slot(payload: Mapping[str, torch.Tensor], descriptor: np.ndarray) -> int:
    """What one view takes: its payload, its descriptor and its numbers."""
    tensors = sum(tensor.numel() * tensor.element_size() for tensor in payload.values())
    return tensors + descriptor.nbytes + _SLOT.itemsize


class Slots:
    """A fixed number of them; the payload's names, shapes and types are those of the first view.

    Args:
        num_slots: how many.
        payload, descriptor: of any view, whose shapes all have.
        device: where the payload lives.
    """

    def __init__(
        self, num_slots: int, payload: Mapping[str, torch.Tensor], descriptor: np.ndarray, device: torch.device
    ) -> None:
        self._device = device
        self.slot_bytes = bytes_of_slot(payload, descriptor)
        self.payload = {
            name: torch.empty((num_slots, *tensor.shape), dtype=tensor.dtype, device=device)
            for name, tensor in payload.items()
        }
        self.descriptors = np.zeros((num_slots, len(descriptor)), np.float32)
        self.table = np.zeros(num_slots, _SLOT)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def num_taken(self) -> int:
        return int((self.table["object_id"] > 0).sum())

    def rows_of(self, object_id: int) -> np.ndarray:
        """The object's slots in ascending frame order."""
        rows = np.flatnonzero(self.table["object_id"] == object_id)
        return rows[np.argsort(self.table["frame_index"][rows], kind="stable")]

    def first_free(self) -> int | None:
        free = np.flatnonzero(self.table["object_id"] == 0)
        return int(free[0]) if len(free) else None

    def put(
        self,
        row: int,
        object_id: int,
        frame_index: int,
        payload: Mapping[str, torch.Tensor],
        descriptor: np.ndarray,
        permanent: bool,
        anchor: bool,
    ) -> None:
        for name, tensor in payload.items():
            self.payload[name][row].copy_(tensor)
        self.descriptors[row] = descriptor
        self.table[row] = (object_id, frame_index, permanent, anchor, 0.0, 0)

    def free(self, rows: np.ndarray | int) -> None:
        self.table["object_id"][rows] = 0

    def read(self, rows: np.ndarray, names: Iterable[str] | None) -> dict[str, torch.Tensor]:
        """Parts of the payload, or all of it, of some slots, each tensor (n, ...)."""
        index = torch.from_numpy(rows).to(self._device)
        return {name: self.payload[name][index] for name in (self.payload if names is None else names)}

    def state_dict(self) -> dict[str, Any]:
        """Of the slots that are taken."""
        rows = np.flatnonzero(self.table["object_id"])
        return {
            "num_slots": len(self.table),
            "rows": rows,
            **{name: self.table[name][rows] for name in _SLOT.names},
            "descriptor": self.descriptors[rows],
            "slots": {name: slots[torch.from_numpy(rows)].cpu().numpy() for name, slots in self.payload.items()},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Fill empty slots; raises `InputError` where there were more or fewer."""
        if len(self.table) != state["num_slots"]:
            raise InputError(
                f"snapshot of {state['num_slots']} key-frame slots does not fit a memory of {len(self.table)}; "
                "use the configuration it was made with"
            )
        rows = state["rows"]
        for name, stored in state["slots"].items():
            self.payload[name][torch.tensor(rows)] = torch.tensor(stored, device=self._device)
        for name in _SLOT.names:
            self.table[name][rows] = state[name]
        self.descriptors[rows] = state["descriptor"]


def example_of(state: dict[str, Any]) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """A payload and a descriptor of the shapes that a snapshot has."""
    payload = {
        name: torch.from_numpy(np.empty(stored.shape[1:], stored.dtype)) for name, stored in state["slots"].items()
    }
    return payload, np.zeros(state["descriptor"].shape[1], np.float32)
