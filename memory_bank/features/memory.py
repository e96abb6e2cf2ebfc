"""Feature memory: single feature vectors of detected things, and what is expected where.

After MAMBA (Sun et al., AAAI 2021, 2401.09923): a bank of feature vectors, not frames, for each level of the
detector, written and erased vector by vector, read through a small random key set by multi-head attention
(GEO). What we changed: no weights are trained, so projections are the identity, heads compare by cosine at a
fixed sharpness, and the residual is a blend that keeps the values in the range that the detector's heads
know; reading is causal, frames in order, from an empty bank. The instance level remembers, for each thing,
its box, motion and class evidence, and reads them by place instead of appearance, because on degraded frames
appearance is what is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from memory_bank.features import policy
from memory_bank.features.instances import Expectations
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError
from streamvos.records import MemoryEvent


class FeatureMemory:
    """A bounded bank of feature vectors for each level, and the things expected in the next frame.

    Args:
        config: sizes and trust.
        levels: channels of each feature map by the level's name; the bytes are shared out evenly.
        seed: of the random keys, cells and erasures.
    """

    name = "features"

    def __init__(self, config: FeatureMemoryConfig, levels: Mapping[str, int], seed: int = 0) -> None:
        self.config = config
        self.seed = seed
        self.things = Expectations(config)
        left = config.budget_bytes - self.things.capacity_bytes
        pixel = levels if config.blend > 0 else {}
        self._levels = {name: _Level(channels, left // len(pixel)) for name, channels in pixel.items()}
        small = [name for name, level in self._levels.items() if level.capacity < 1]
        if left < 0 or small:
            raise InputError(
                f"feature memory: budget_bytes {config.budget_bytes} cannot hold {config.max_things} "
                f"things and one vector for each of {list(pixel)}; raise budget_bytes or lower max_things"
            )
        for name, channels in pixel.items():
            if channels % config.heads:
                raise InputError(
                    f"feature memory: level {name!r} has {channels} channels, "
                    f"which {config.heads} heads cannot share evenly"
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
            object_ids: (M,) int64, -1 where nobody named the thing yet.
        """
        for number, (name, level) in enumerate(self._levels.items()):
            features = maps[name]
            rng = policy.generator(self.seed, frame_index, 2 * number)
            grid = features.shape[:2]
            cells, owner = policy.cells_of_boxes(rng, boxes_xyxy, size, grid, self.config.cells_per_box)
            if not len(cells):
                continue
            erased = level.put(rng, features.reshape(-1, features.shape[2])[cells], object_ids[owner])
            made_room = f"; full, so {erased} random ones were erased" if erased else ""
            reason = f"{len(cells)} random cells inside {len(boxes_xyxy)} boxes{made_room}"
            self._note("write", frame_index, f"{name}, {level.used} of {level.capacity} vectors", reason)

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
                remembered = attend(cells, keys, self.config.heads, self.config.sharpness)
                blended = cells + np.float32(self.config.blend) * (remembered - cells)
                enhanced[name] = blended.reshape(maps[name].shape)
        return enhanced

    def expect(
        self,
        frame_index: int,
        boxes_xyxy: np.ndarray,
        class_ids: np.ndarray,
        scores: np.ndarray,
        object_ids: np.ndarray,
        degraded: bool,
    ) -> np.ndarray:
        """Update the expected things by what was found; see `Expectations.update` for details."""
        names, decisions = self.things.update(frame_index, boxes_xyxy, class_ids, scores, object_ids, degraded)
        for action, entry, reason in decisions:
            self._note(action, frame_index, entry, reason)
        return names

    def start_shot(self, frame_index: int) -> None:
        """A cut: nothing is expected anywhere any more; vectors stay, a thing may return."""
        if self.things.count:
            reason = f"a cut: {self.things.count} expected places are void"
            self.things.reset()
            self._note("evict", frame_index, "expected things", reason)

    def skip(self, frame_index: int, reason: str) -> None:
        """Leave word that a frame was not written."""
        self._note("skip", frame_index, "all levels", reason)

    def remove(self, object_id: int) -> None:
        """Forget every vector and expectation of one object."""
        vectors = sum(level.remove(object_id) for level in self._levels.values())
        things = self.things.remove(object_id)
        if vectors or things:
            reason = f"asked for: {vectors} vectors and {things} expected places"
            self._note("remove", self.things.last_frame, f"object {object_id}", reason)

    def reset(self) -> None:
        """Forget everything, events included."""
        for level in self._levels.values():
            level.used = 0
        self.things.reset()
        self.things.last_frame = 0
        self._events.clear()

    def stats(self) -> MemoryStats:
        """Entries are feature vectors and expected things."""
        vectors = sum(level.used for level in self._levels.values())
        taken = sum(level.used * level.slot_bytes for level in self._levels.values())
        return MemoryStats(vectors + self.things.count, taken + self.things.bytes, self.config.budget_bytes)

    def state_dict(self) -> dict[str, Any]:
        levels = {
            name: {
                "vectors": level.vectors[: level.used].copy(),
                "object_ids": level.object_ids[: level.used].copy(),
            }
            for name, level in self._levels.items()
        }
        return {"levels": levels, "things": self.things.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if set(state["levels"]) != set(self._levels):
            raise InputError(
                f"feature memory snapshot: expected levels {sorted(self._levels)}, "
                f"got {sorted(state['levels'])}; resume with the configuration that wrote it"
            )
        for name, level in self._levels.items():
            level.load(state["levels"][name]["vectors"], state["levels"][name]["object_ids"])
        self.things.load_state_dict(state["things"])
        self._events.clear()

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _note(self, action: Any, frame_index: int, entry: str, reason: str) -> None:
        self._events.append(MemoryEvent(self.name, action, frame_index, entry, reason, self.stats().bytes))


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


class _Level:
    """Preallocated slots for the vectors of one level; the first `used` are filled."""

    def __init__(self, channels: int, budget_bytes: int) -> None:
        self.slot_bytes = channels * np.dtype(np.float16).itemsize + np.dtype(np.int64).itemsize
        self.capacity = max(budget_bytes // self.slot_bytes, 0)
        self.vectors = np.zeros((self.capacity, channels), np.float16)
        self.object_ids = np.full(self.capacity, -1, np.int64)
        self.used = 0

    def put(self, rng: np.random.Generator, vectors: np.ndarray, object_ids: np.ndarray) -> int:
        """Write vectors into free slots, then over random ones; returns how many were erased."""
        if len(vectors) > self.capacity:
            rows = policy.draw_rows(rng, len(vectors), self.capacity)
            vectors, object_ids = vectors[rows], object_ids[rows]
        free = min(self.capacity - self.used, len(vectors))
        erased = policy.draw_rows(rng, self.used, len(vectors) - free)
        slots = np.concatenate([np.arange(self.used, self.used + free), erased])
        self.vectors[slots], self.object_ids[slots] = vectors, object_ids
        self.used += free
        return len(erased)

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
