"""The pixel level of the feature memory: single feature vectors of detected instances, for each level of the detector.

As in MAMBA (see `memory.py`), a small random key set is read by multi-head attention (GEO). What we changed: no weights
are trained, so projections are the identity, heads compare by cosine at a fixed sharpness, and the residual is a blend
that keeps the values in the range that the detector's heads know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from memory_bank.features import policy
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.protocol import MemoryStats
from streamvos.answers import plural
from streamvos.errors import InputError
from streamvos.records import MemoryAction, MemoryEvent


class FeatureVectors:
    """A bounded bank of feature vectors for each level.

    Args:
        config: `keys` and `blend`; with a blend of 0 nothing is kept.
        budget_bytes: shared out evenly among the levels.
        levels: channels of each feature map by the level's name.
        seed: of the random keys, cells and erasures.

    Raises:
        InputError: a level has no room for a single vector, or channels that the heads cannot share evenly.
    """

    name = "features"

    def __init__(
        self, config: FeatureMemoryConfig, budget_bytes: int, levels: Mapping[str, int], seed: int = 0
    ) -> None:
        self.config, self.budget_bytes, self.seed = config, budget_bytes, seed
        kept = levels if config.blend > 0 else {}
        self._levels = {name: _Level(channels, budget_bytes // len(kept)) for name, channels in kept.items()}
        small = [name for name, level in self._levels.items() if level.capacity < 1]
        if small:
            raise InputError(
                f"feature memory: {budget_bytes} bytes do not hold one vector of level {', '.join(small)}; "
                "raise memory.features_mib or lower detect.features.max_instances"
            )
        self._events: list[MemoryEvent] = []

    def write(
        self,
        frame_index: int,
        size: tuple[int, int],
        maps: Mapping[str, np.ndarray],
        boxes_xyxy: np.ndarray,
        object_ids: np.ndarray,
    ) -> None:
        """Store random cells inside boxes, level by level; a full level erases as many random ones.

        Args:
            frame_index: the frame that is written.
            size: (H, W) of the frame in pixels.
            maps: (h, w, C) float32 feature map of each level.
            boxes_xyxy: (M, 4) float32 pixels, best first.
            object_ids: (M,) int64, -1 where the instance is no object that is followed.
        """
        for number, (name, level) in enumerate(self._levels.items()):
            features = maps[name]
            rng = policy.generator(self.seed, frame_index, 2 * number)
            grid = features.shape[:2]
            cells, owner = policy.cells_of_boxes(rng, boxes_xyxy, size, grid, policy.CELLS_PER_BOX)
            if not len(cells):
                continue
            kept, erased = level.put(rng, features.reshape(-1, features.shape[2])[cells], object_ids[owner])
            reason = (
                f"{kept} vectors of random cells inside {plural('box', len(boxes_xyxy))}; "
                f"{level.used} of {level.capacity} are taken"
            )
            self._tell("write", frame_index, _entry(name), reason)
            if erased:
                reason = f"all {level.capacity} are taken: {erased} random ones made room for as many new ones"
                self._tell("evict", frame_index, _entry(name), reason)

    def read(self, frame_index: int, maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Enhance feature maps by what is remembered (MAMBA's GEO, without trained weights).

        Args:
            frame_index: the frame that asks; it decides which keys are drawn.
            maps: (h, w, C) float32 feature map of each level.

        Returns:
            Maps of the same shapes; a level without memories, or switched off, comes back as it went in.
        """
        enhanced = dict(maps)
        for number, (name, level) in enumerate(self._levels.items()):
            rng = policy.generator(self.seed, frame_index, 2 * number + 1)
            keys = level.vectors[policy.draw_rows(rng, level.used, self.config.keys)].astype(np.float32)
            if len(keys):
                cells = maps[name].reshape(-1, maps[name].shape[2])
                remembered = attend(cells, keys, policy.HEADS, policy.SHARPNESS)
                blended = cells + np.float32(self.config.blend) * (remembered - cells)
                enhanced[name] = blended.reshape(maps[name].shape)
        return enhanced

    def skip(self, frame_index: int, reason: str) -> None:
        """Leave word that a frame was not written."""
        self._tell("skip", frame_index, "feature vectors", reason)

    def remove(self, object_id: int, frame_index: int = -1) -> None:
        """Forget every vector of one object."""
        removed = sum(level.remove(object_id) for level in self._levels.values())
        if removed:
            reason = f"removed on request: {plural('feature vector', removed)}"
            self._tell("remove", frame_index, f"object {object_id}", reason)

    def reset(self) -> None:
        """Forget everything, events included."""
        for level in self._levels.values():
            level.used = 0
        self._events.clear()

    def stats(self) -> MemoryStats:
        """Entries are feature vectors."""
        levels = self._levels.values()
        return MemoryStats(sum(level.used for level in levels), self._bytes(), self.budget_bytes)

    def state_dict(self) -> dict[str, Any]:
        return {
            name: {
                "vectors": level.vectors[: level.used].copy(),
                "object_ids": level.object_ids[: level.used].copy(),
            }
            for name, level in self._levels.items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if set(state) != set(self._levels):
            raise InputError(
                f"feature memory snapshot: expected levels {sorted(self._levels)}, got {sorted(state)}; "
                "resume with the configuration that wrote it"
            )
        for name, level in self._levels.items():
            level.load(state[name]["vectors"], state[name]["object_ids"])
        self._events.clear()

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _bytes(self) -> int:
        return sum(level.used * level.slot_bytes for level in self._levels.values())

    def _tell(self, action: MemoryAction, frame_index: int, entry: str, reason: str) -> None:
        self._events.append(MemoryEvent(self.name, action, frame_index, entry, reason, self._bytes()))


def attend(cells: np.ndarray, keys: np.ndarray, heads: int, sharpness: float) -> np.ndarray:
    """Multi-head attention of cells over keys that are their own values, with identity projections.

    Args:
        cells: (N, C) float32 queries.
        keys: (K, C) float32, K >= 1.
        heads: C is divided among them.
        sharpness: multiplies the cosine before the softmax.

    Returns:
        (N, C) float32; every head's slice is a convex mix of the keys' slices.
    """
    depth = cells.shape[1] // heads
    query = cells.reshape(len(cells), heads, depth).transpose(1, 0, 2)  # (heads, N, depth)
    value = keys.reshape(len(keys), heads, depth).transpose(1, 0, 2)
    logits = np.float32(sharpness) * (_unit(query) @ _unit(value).transpose(0, 2, 1))  # (heads, N, K)
    weight = np.exp(logits - logits.max(axis=2, keepdims=True))
    weight /= weight.sum(axis=2, keepdims=True)
    return (weight @ value).transpose(1, 0, 2).reshape(cells.shape)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=2, keepdims=True) + np.float32(1e-6))


def _entry(level: str) -> str:
    return f"feature vectors, {level} level"


class _Level:
    """Preallocated slots for the vectors of one level; the first `used` are filled."""

    def __init__(self, channels: int, budget_bytes: int) -> None:
        if channels % policy.HEADS:
            raise InputError(f"feature memory: expected channels for {policy.HEADS} heads to share, got {channels}")
        self.slot_bytes = channels * np.dtype(np.float16).itemsize + np.dtype(np.int64).itemsize
        self.capacity = max(budget_bytes // self.slot_bytes, 0)
        self.vectors = np.zeros((self.capacity, channels), np.float16)
        self.object_ids = np.full(self.capacity, -1, np.int64)
        self.used = 0

    def put(self, rng: np.random.Generator, vectors: np.ndarray, object_ids: np.ndarray) -> tuple[int, int]:
        """Write vectors into free slots, then over random ones; returns how many were kept, and how many erased."""
        if len(vectors) > self.capacity:
            rows = policy.draw_rows(rng, len(vectors), self.capacity)
            vectors, object_ids = vectors[rows], object_ids[rows]
        free = min(self.capacity - self.used, len(vectors))
        erased = policy.draw_rows(rng, self.used, len(vectors) - free)
        slots = np.concatenate([np.arange(self.used, self.used + free), erased])
        self.vectors[slots], self.object_ids[slots] = vectors, object_ids
        self.used += free
        return len(vectors), len(erased)

    def remove(self, object_id: int) -> int:
        keep = np.flatnonzero(self.object_ids[: self.used] != object_id)
        removed = self.used - len(keep)
        if removed:
            self.load(self.vectors[keep], self.object_ids[keep])
        return removed

    def load(self, vectors: np.ndarray, object_ids: np.ndarray) -> None:
        if vectors.shape[1:] != self.vectors.shape[1:] or len(vectors) > self.capacity:
            raise InputError(
                f"feature memory snapshot: expected at most {self.vectors.shape} vectors, "
                f"got {vectors.shape}; resume with the configuration that wrote it"
            )
        self.used = len(vectors)
        self.vectors[: self.used], self.object_ids[: self.used] = vectors, object_ids
        self.object_ids[self.used :] = -1
        self.vectors[self.used :] = 0  # a removed object leaves nothing behind
