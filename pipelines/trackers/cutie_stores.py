"""The stores of Cutie's package (`KeyValueMemoryStore`: working and long-term memory), bucket by bucket; snapshots.

Objects that came together share a bucket of keys and have values of their own. The package offers no way to part them,
to drop a bucket, or to write down and restore what a `MemoryManager` holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

_TENSORS = ("k", "v", "s", "e", "use_cnt", "life_cnt")  # by bucket, but v by object
_COUNTERS = ("use_cnt", "life_cnt")  # written in place


def split_bucket(store: Any, old: int, new: int, object_id: int) -> None:
    """Move an object to a bucket of its own, which shares the keys that it has learned so far."""
    if old not in store.buckets:
        return
    store.buckets[old].remove(object_id)
    store.buckets[new] = [object_id]
    store.perm_end_pt[new] = store.perm_end_pt[old]
    for name in ("k", "s", "e", *_COUNTERS):
        tensors = getattr(store, name, {})
        if old in tensors:
            tensors[new] = tensors[old].clone() if name in _COUNTERS else tensors[old]


def drop_bucket(store: Any, bucket: int) -> None:
    """Forget a bucket and the values of its objects."""
    for object_id in store.buckets.pop(bucket):
        del store.v[object_id]
    for name in ("k", "s", "e", *_COUNTERS):
        getattr(store, name, {}).pop(bucket, None)
    store.perm_end_pt.pop(bucket, None)


def prepare_removal(store: Any, object_id: int) -> None:
    """Before the package purges an object: what it deletes must be there, even where only first masks were stored."""
    kept_of_views = ([store.e] if store.save_selection else []) + (
        [store.use_cnt, store.life_cnt] if store.save_usage else []
    )
    for bucket in [bucket for bucket, members in store.buckets.items() if members == [object_id]]:
        for parts in kept_of_views:
            parts.setdefault(bucket, None)


def finish_removal(store: Any) -> None:
    """After it: the package keeps counters of buckets that are gone."""
    for bucket in [bucket for bucket in store.perm_end_pt if bucket not in store.buckets]:
        del store.perm_end_pt[bucket]


def tensors_of(store: Any) -> Iterable[torch.Tensor]:
    for name in _TENSORS:
        yield from getattr(store, name, {}).values()


def state_of(manager: Any) -> dict[str, Any]:
    """What the package's `MemoryManager` holds, as plain containers and arrays."""
    return {
        "frame_cells": None if manager.H is None else (manager.H, manager.W),
        "widths": (manager.CK, manager.CV),
        "engaged": manager.engaged,
        "sensory": _to_numpy(manager.sensory),
        "summaries": _to_numpy(manager.obj_v),
        "working": _state_of_store(manager.work_mem),
        "long_term": _state_of_store(manager.long_mem),
    }


def load_state(manager: Any, state: dict[str, Any], device: torch.device) -> None:
    """Fill an empty `MemoryManager`, as if it had seen the frames itself."""
    manager.engaged, (manager.CK, manager.CV) = state["engaged"], state["widths"]
    if state["frame_cells"] is not None:
        manager.H, manager.W = state["frame_cells"]
        manager.HW = manager.H * manager.W
        manager.max_work_tokens = manager.max_mem_frames * manager.HW
        manager.min_work_tokens = manager.min_mem_frames * manager.HW
        manager.config_stale = False
    manager.sensory = _to_tensors(state["sensory"], device)
    manager.obj_v = _to_tensors(state["summaries"], device)
    _load_store(manager.work_mem, state["working"], device)
    _load_store(manager.long_mem, state["long_term"], device)


def _state_of_store(store: Any) -> dict[str, Any]:
    return {
        "next_bucket": store.global_bucket_id,
        "buckets": {bucket: list(objects) for bucket, objects in store.buckets.items()},
        "permanent": {bucket: store.perm_end_pt[bucket] for bucket in store.buckets},
        "tensors": {name: _to_numpy(getattr(store, name)) for name in _TENSORS if hasattr(store, name)},
    }


def _load_store(store: Any, state: dict[str, Any], device: torch.device) -> None:
    store.global_bucket_id = state["next_bucket"]
    store.buckets = {bucket: list(objects) for bucket, objects in state["buckets"].items()}
    store.perm_end_pt.update(state["permanent"])
    for name, tensors in state["tensors"].items():
        setattr(store, name, _to_tensors(tensors, device))


def _to_numpy(tensors: dict[int, torch.Tensor]) -> dict[int, np.ndarray]:
    return {key: tensor.cpu().numpy().copy() for key, tensor in tensors.items()}


def _to_tensors(arrays: dict[int, np.ndarray], device: torch.device) -> dict[int, torch.Tensor]:
    return {key: torch.tensor(array, device=device) for key, array in arrays.items()}
