"""Cutie's memories of one stream in a fixed number of bytes, object by object.

The mechanism is the package's (`MemoryManager`: working, long-term, sensory and object memory; Cheng et al., 2024, and
XMem, 2022). What we add: objects that came together share one bucket of keys, and one of them leaves it for a bucket
of its own when it must not learn what the others learn; a removed object leaves nothing behind (the package's
`delete_objects` keeps `obj_v` and counters); small frames do not break its top-k; a byte budget; events; snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from memory_bank.protocol import MemoryStats
from pipelines.trackers.cutie_stores import (
    drop_bucket,
    finish_removal,
    load_state,
    prepare_removal,
    split_bucket,
    state_of,
    tensors_of,
)
from streamvos.errors import InputError
from streamvos.records import MemoryAction, MemoryEvent

_FLOAT32_BYTES = 4


@dataclass(frozen=True)
class Encoded:
    """What is stored of a frame: keys (1, C, h, w) of the picture, and values of each object beside them.

    Args:
        key, shrinkage, selection: of the picture.
        value: (1, N, C, h, w). summary: (1, N, Q, C + 1).
        object_ids: N ids in the order of `value`.
    """

    key: torch.Tensor
    shrinkage: torch.Tensor
    selection: torch.Tensor
    value: torch.Tensor
    summary: torch.Tensor
    object_ids: tuple[int, ...]


class CutieMemory:
    """Bounded; see the module's head.

    Args:
        settings: of the package (`cutie_settings`).
        budget_bytes: of all objects together.
    """

    name = "keyframes"

    def __init__(self, settings: Any, budget_bytes: int) -> None:
        self._settings, self._budget_bytes = settings, budget_bytes
        self.reset()

    def reset(self) -> None:
        from cutie.inference.memory_manager import MemoryManager
        from cutie.inference.object_manager import ObjectManager

        self._objects = ObjectManager()
        self._manager = MemoryManager(self._settings, self._objects)
        self._events: list[MemoryEvent] = []

    @property
    def object_ids(self) -> list[int]:
        """In the order of the network's rows."""
        return self._objects.all_obj_ids

    @property
    def _stores(self) -> tuple[Any, Any]:
        """Working and long-term memory."""
        return self._manager.work_mem, self._manager.long_mem

    @property
    def groups(self) -> list[list[int]]:
        """The objects of each bucket."""
        return [list(objects) for objects in self._manager.work_mem.buckets.values()]

    def admit(self, object_id: int, cells: int) -> None:
        """Let an object in that will be written in this frame; raises `InputError` where the budget has no room.

        Args:
            cells: of a frame at stride 16.
        """
        model = self._settings.model
        keys, summary = 2 * model.key_dim + 1, model.object_summarizer.num_summaries * (model.embed_dim + 1)
        values = cells * (keys + model.value_dim + model.sensory_dim) + summary
        least = _FLOAT32_BYTES * values  # of one permanent view
        count = len({*self.object_ids, object_id})
        if count * least > self._budget_bytes:
            raise InputError(
                f"memory.keyframes_mib: {self._budget_bytes} bytes hold the first views of "
                f"{self._budget_bytes // least} objects ({least} bytes each), not of {count}; remove an object, or "
                "give a larger budget or a smaller working size (setting size)"
            )
        self._objects.add_new_objects([object_id])

    def sensory(self, key: torch.Tensor) -> torch.Tensor:
        """(1, N, C, h, w) of all objects, zeros for those that have none yet; `key` gives size and device."""
        self._manager.initialize_sensory_if_needed(key, self.object_ids)
        return self._manager.get_sensory(self.object_ids)

    def keep_sensory(self, object_ids: Iterable[int], sensory: Iterable[torch.Tensor]) -> None:
        """Replace the sensory memory of some objects, each (1, C, h, w)."""
        known = set(self.object_ids)
        self._manager.sensory.update(
            {key: value.clone() for key, value in zip(object_ids, sensory, strict=True) if key in known}
        )

    def drop_sensory(self) -> None:
        """Motion of the frames before is void."""
        self._manager.clear_sensory_memory()

    def read(
        self,
        network: torch.nn.Module,
        pixels: torch.Tensor,
        key: torch.Tensor,
        selection: torch.Tensor,
        last_masks: torch.Tensor,
    ) -> torch.Tensor:
        """What the objects' memories say of a frame, (1, N, C, h, w)."""
        self.sensory(key)
        manager = self._manager
        smallest = min(manager.work_mem.size(bucket) for bucket in manager.work_mem.buckets)
        manager.top_k = min(self._settings.top_k, smallest)
        return self._objects.realize_dict(manager.read(pixels, key, selection, last_masks, network))

    def split(self, object_id: int) -> None:
        """Give an object a bucket of its own; what it has learned stays."""
        manager = self._manager
        old = next(bucket for bucket, objects in manager.work_mem.buckets.items() if object_id in objects)
        if manager.work_mem.buckets[old] == [object_id]:
            return
        new = manager.work_mem.global_bucket_id
        manager.work_mem.global_bucket_id += 1
        for store in self._stores:
            split_bucket(store, old, new, object_id)

    def write(
        self, frame_index: int, group: Sequence[int], frame: Encoded, why: str, numbers: Mapping[str, float]
    ) -> None:
        """Store a frame for objects that share a bucket, or that are all new and will share one; `why` is told."""
        rows = [frame.object_ids.index(object_id) for object_id in group]
        cells = frame.key.shape[-2] * frame.key.shape[-1]
        manager = self._manager
        manager.num_prototypes = min(self._settings.long_term.num_prototypes, cells)
        before, is_new = self._sizes(group), group[0] not in manager.work_mem.v
        manager.add_memory(
            frame.key,
            frame.shrinkage,
            frame.value[:, rows],
            frame.summary[:, rows],
            list(group),
            selection=frame.selection,
            as_permanent="first",
        )
        for object_id in group if is_new else ():  # views of what all share would keep it alive after a removal
            manager.obj_v[object_id] = manager.obj_v[object_id].clone()
            manager.work_mem.v[object_id] = manager.work_mem.v[object_id].clone()
        entry = f"objects {', '.join(map(str, group))}" if len(group) > 1 else f"object {group[0]}"
        after = self._sizes(group)
        self._tell("write", frame_index, entry, f"kept a view of {entry}: {why}", numbers)
        tokens = {"tokens_before": before[1], "tokens": after[1]}
        if after[1] > before[1]:
            reason = f"merged the oldest views of {entry} into the long-term memory: the working memory is full"
            self._tell("merge", frame_index, entry, reason, tokens)
        elif after[1] < before[1]:
            reason = f"dropped what is least used of {entry}: the long-term memory is full"
            self._tell("evict", frame_index, entry, reason, tokens)
        self._keep_within(frame_index, cells)

    def remove(self, object_id: int) -> None:
        if object_id not in self.object_ids:
            return
        if len(self.object_ids) == 1:
            events = self._events
            self.reset()
            self._events = events
            return
        self._objects.delete_objects([object_id])
        self._objects.all_historical_object_ids.remove(object_id)
        for store in self._stores:
            prepare_removal(store, object_id)
        self._manager.purge_except(self.object_ids)
        self._manager.obj_v.pop(object_id, None)  # the package keeps it
        for store in self._stores:
            finish_removal(store)

    def bytes(self) -> int:
        """Of all tensors that are held; a storage that several share counts once."""
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in self._tensors()}
        return sum(storage.nbytes() for storage in storages.values())

    def stats(self) -> MemoryStats:
        """Entries are views and prototypes: tokens by the cells of a frame, rounded up, of each bucket."""
        manager = self._manager
        if manager.H is None:
            return MemoryStats(0, 0, self._budget_bytes)
        tokens = [manager.work_mem.size(bucket) + manager.long_mem.size(bucket) for bucket in manager.work_mem.buckets]
        return MemoryStats(sum(-(-count // manager.HW) for count in tokens), self.bytes(), self._budget_bytes)

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        return {"object_ids": self.object_ids, **state_of(self._manager)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.reset()
        self._objects.add_new_objects(list(state["object_ids"]))
        load_state(self._manager, state, device)

    def _sizes(self, group: Sequence[int]) -> tuple[int, int]:
        """Tokens in working and long-term memory of the bucket of a group, 0 where it is new."""
        work, long = self._manager.work_mem, self._manager.long_mem
        bucket = next((bucket for bucket, objects in work.buckets.items() if group[0] in objects), None)
        return (0, 0) if bucket is None else (work.size(bucket), long.size(bucket))

    def _keep_within(self, frame_index: int, cells: int) -> None:
        """Drop the oldest working frames of the largest bucket, then its long-term tokens, down to the budget."""
        work, long = self._manager.work_mem, self._manager.long_mem
        while (size := self.bytes()) > self._budget_bytes:
            recent = {bucket: work.non_perm_size(bucket) * len(objects) for bucket, objects in work.buckets.items()}
            merged = {bucket: long.size(bucket) * len(objects) for bucket, objects in long.buckets.items()}
            source, store = (recent, work) if max(recent.values()) > 0 else (merged, long)
            if not source or max(source.values()) == 0:
                raise InputError(
                    f"memory.keyframes_mib: {self._budget_bytes} bytes do not hold the first views of "
                    f"{len(self.object_ids)} objects ({size} bytes); remove one or give a larger budget"
                )
            bucket = max(source, key=source.get)
            entry = f"objects {', '.join(map(str, store.buckets[bucket]))}"
            if store is work:
                work.remove_old_memory(bucket, max(0, work.non_perm_size(bucket) - cells))
            else:
                drop_bucket(long, bucket)
            oldest = "the oldest view" if store is work else "the long-term memory"
            reason = f"dropped {oldest} of {entry}: all objects together were over the budget"
            self._tell("evict", frame_index, entry, reason, {"bytes": size, "budget_bytes": self._budget_bytes})

    def _tensors(self) -> Iterable[torch.Tensor]:
        manager = self._manager
        yield from manager.sensory.values()
        yield from manager.obj_v.values()
        for store in self._stores:
            yield from tensors_of(store)

    def _tell(
        self, action: MemoryAction, frame_index: int, entry: str, reason: str, numbers: Mapping[str, float]
    ) -> None:
        self._events.append(MemoryEvent(self.name, action, frame_index, entry, reason, self.bytes(), numbers))
