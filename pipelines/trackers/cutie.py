"""Cutie (Cheng et al., "Putting the Object Back into Video Object Segmentation", CVPR 2024) as a base tracker.

The network and its memories are `rf-cutie`'s; its `InferenceCore.step`, which looks, decides and remembers in one go,
is taken apart here: `propagate` only looks, and what is remembered is the stage's decision. Every few frames the
objects that are confident are written, with the masks that the stage handed back; a doubtful object that shares keys
with confident ones gets its own first. Objects out of sight are written as absent beside the others, as in Cutie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from memory_bank.protocol import MemoryStats
from pipelines.trackers.checks import check_mask, checked_size
from pipelines.trackers.cutie_frame import CutieFrame
from pipelines.trackers.cutie_memory import CutieMemory, Encoded
from pipelines.trackers.descriptors import MAX_DESCRIPTORS, Descriptors
from pipelines.trackers.protocol import TRACKERS, CellMap, Propagation, TrackerSetup
from streamvos.config import Settings, setting
from streamvos.models.cutie import LEAST_LONG_TERM_TOKENS, CutieSize, cutie_settings, load_cutie, random_cutie
from streamvos.records import MemoryEvent


@dataclass(frozen=True)
class CutieConfig(Settings, at="segment.cutie"):
    """Which network, and how much it may remember."""

    model: CutieSize = setting("small", "which network; base is finer and about three times slower")
    memorize_every: int = setting(5, "frames between writes; smaller remembers more views and is slower", low=1)
    max_long_term_tokens: int = setting(
        10_000, "of a group of objects; larger knows older views, takes bytes and time", low=LEAST_LONG_TERM_TOKENS
    )
    max_descriptors: int = setting(8, MAX_DESCRIPTORS, low=1)


@TRACKERS.register("cutie")
class CutieTracker:
    """A `BaseTracker` on Cutie's network.

    Args:
        config: see `CutieConfig`.
        setup: see there.
        weights: a checkpoint; None: the catalogue's.

    Raises:
        InputError: the extra `cutie` is not installed.
        MissingWeightsError: the weights are not here; says the command that fetches them. Nothing is downloaded.
    """

    settings = CutieConfig
    keyframes_mib = 768.0  # at 854x480 an object takes up to 46 MB alone, 29 MB more that shares keys
    confidence_is_calibrated = False

    def __init__(self, config: CutieConfig, setup: TrackerSetup, weights: Path | None = None) -> None:
        self._ready(config, setup, load_cutie(config.model, weights, setup.device))

    @classmethod
    def randomly_initialised(cls, seed: int, config: CutieConfig, setup: TrackerSetup) -> CutieTracker:
        """The same network with random weights: costs the same, finds nothing; for tests and for timing."""
        tracker = cls.__new__(cls)
        tracker._ready(config, setup, random_cutie(config.model, seed, setup.device))
        return tracker

    def reset(self) -> None:
        self._memory.reset()
        self._descriptors.reset()
        self._full: tuple[int, int] | None = None
        self._frame: CutieFrame | None = None
        self._masks: dict[int, torch.Tensor] = {}  # (H, W) of each object where it was last decided, padded
        self._given: dict[int, int] = {}  # object -> frame of a mask that was given and is not yet written
        self._sensory: dict[int, torch.Tensor] = {}  # what this frame makes of the sensory memory
        self._since_write = 0

    def start_shot(self) -> None:
        self._memory.drop_sensory()
        self._masks = {object_id: torch.zeros_like(mask) for object_id, mask in self._masks.items()}

    @torch.inference_mode()
    def observe(self, image: np.ndarray) -> None:
        self._settle()
        self._full = checked_size(image, self._full)
        self._frame = CutieFrame.encoded(image, self._size, self._network, self._device)
        self._sensory = {}

    @torch.inference_mode()
    def propagate(self) -> Propagation:
        self._settle()
        frame, rows = self._frame, self._memory.object_ids
        if not rows:
            return Propagation.empty(frame.valid)
        readout = self._memory.read(self._network, frame.features, frame.key, frame.selection, self._stacked(rows))
        sensory = self._memory.sensory(frame.key)
        sensory, _, shares = self._network.segment(frame.scales, readout, sensory, update_sensory=True)
        self._sensory = {object_id: sensory[:, row] for row, object_id in enumerate(rows)}
        order = np.argsort(rows)
        probabilities = frame.cut(shares[0, 1:])[order.tolist()]
        return Propagation(np.array(rows, np.int64)[order], probabilities.cpu().numpy())

    @torch.inference_mode()
    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        self._since_write += bool(self._memory.groups)  # the first frame counts from its own write
        for object_id, probability in propagation.items():
            if object_id not in self._given:
                self._masks[object_id] = self._frame.padded(probability)
        followed = [object_id for object_id in self._sensory if object_id not in self._given]
        self._memory.keep_sensory(followed, [self._sensory[object_id] for object_id in followed])
        self._sensory = {}
        is_due = self._since_write >= self._config.memorize_every
        if is_due or self._given:
            self._learn(frame_index, is_due, confident)
        if is_due:
            self._since_write = 0

    @torch.inference_mode()
    def add(self, frame_index: int, object_id: int, mask: np.ndarray, replace: bool = False) -> None:
        rows, columns = self._frame.grid
        check_mask(object_id, mask, self._full, (rows, columns), self._size)
        if object_id not in self._memory.object_ids:
            self._memory.admit(object_id, rows * columns)
        elif replace:
            self.remove(object_id)
            self._memory.admit(object_id, rows * columns)
        target = self._frame.padded_mask(mask)
        for other in self._given:  # what is given last lies on top
            self._masks[other] = self._masks[other] * (1.0 - target)
        self._masks[object_id], self._given[object_id] = target, frame_index
        self._descriptors.add(object_id, self._frame.descriptor(target))

    def remove(self, object_id: int) -> None:
        self._memory.remove(object_id)
        self._descriptors.remove(object_id)
        for kept in (self._masks, self._given, self._sensory):
            kept.pop(object_id, None)

    def picture(self) -> np.ndarray:
        return self._frame.picture

    @torch.inference_mode()
    def cells(self) -> CellMap:
        return self._frame.cells()

    @torch.inference_mode()
    def appearance(self, mask: np.ndarray) -> np.ndarray:
        return self._frame.descriptor(self._frame.padded_mask(mask))

    def appearances(self, object_id: int) -> np.ndarray:
        return self._descriptors.of(object_id)

    def stats(self) -> MemoryStats:
        return self._memory.stats()

    def state_bytes(self) -> int:
        masks = sum(mask.numel() * mask.element_size() for mask in self._masks.values())
        return self._memory.bytes() + masks + self._descriptors.bytes()

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        return self._memory.drain_events()

    @torch.inference_mode()
    def state_dict(self) -> dict[str, Any]:
        self._settle()
        return {
            "memory": self._memory.state_dict(),
            "descriptors": self._descriptors.state_dict(),
            "masks": {object_id: mask.cpu().numpy().copy() for object_id, mask in self._masks.items()},
            "full": self._full,
            "since_write": self._since_write,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self._memory.load_state_dict(state["memory"], self._device)
        self._descriptors.load_state_dict(state["descriptors"])
        self._masks = {key: torch.tensor(mask, device=self._device) for key, mask in state["masks"].items()}
        self._full = None if state["full"] is None else tuple(state["full"])
        self._since_write = state["since_write"]

    def _ready(self, config: CutieConfig, setup: TrackerSetup, network: torch.nn.Module) -> None:
        self._config, self._size, self._device, self._network = config, setup.size, setup.device, network
        self._memory = CutieMemory(cutie_settings(config.model, config.max_long_term_tokens), setup.budget_bytes)
        self._descriptors = Descriptors(config.max_descriptors)
        self.reset()

    def _settle(self) -> None:
        """Write given masks of a frame that nobody closed by `memorize`."""
        if self._given:
            self._learn(max(self._given.values()), False, {})

    def _learn(self, frame_index: int, is_due: bool, confident: Mapping[int, bool]) -> None:
        """Write the current frame for those that may learn it."""
        frame, given = self._frame, self._given
        rows = self._memory.object_ids
        allowed = {object_id for object_id in rows if object_id in given or confident.get(object_id, False)}
        absent = {object_id for object_id in rows if not (self._masks[object_id] > 0.5).any()} - set(given)
        new = [object_id for object_id in rows if not any(object_id in group for group in self._memory.groups)]
        learners = [group for group in self._memory.groups if any(is_due or key in given for key in group)]
        learners = [group for group in learners if (allowed - absent).intersection(group)]
        if new or learners:
            masks, sensory = self._stacked(rows), self._memory.sensory(frame.key)
            value, sensory, summary, _ = self._network.encode_mask(frame.pixels, frame.features, sensory, masks)
            stored = Encoded(frame.key, frame.shrinkage, frame.selection, value, summary, tuple(rows))
        for group in learners:
            self._write(frame_index, group, stored, sensory, allowed, absent)
        if new:
            self._memory.write(frame_index, new, stored, "the first, it stays for good", {})
            self._memory.keep_sensory(new, [sensory[:, rows.index(key)] for key in new])
        self._given = {}

    def _write(
        self,
        frame_index: int,
        group: list[int],
        stored: Encoded,
        sensory: torch.Tensor,
        allowed: set[int],
        absent: set[int],
    ) -> None:
        """Write a frame for the objects of a bucket, after those that must not learn it have left the bucket."""
        learning = [key for key in group if key in allowed or key in absent]
        for key in set(group).difference(learning):
            self._memory.split(key)
        why = "it was given" if set(learning).intersection(self._given) else "the masks are confident"
        gone = sorted(absent.intersection(learning))
        why += f"; absent: {', '.join(map(str, gone))}" if gone else ""
        numbers = {"confident": len(set(learning) - absent), "absent": len(gone)}
        self._memory.write(frame_index, learning, stored, why, numbers)
        self._memory.keep_sensory(learning, [sensory[:, stored.object_ids.index(key)] for key in learning])
        for key in set(learning) - absent - set(self._given):
            self._descriptors.add(key, self._frame.descriptor(self._masks[key]))

    def _stacked(self, rows: list[int]) -> torch.Tensor:
        """(1, N, H, W) masks in the order of the network's rows."""
        return torch.stack([self._masks[object_id] for object_id in rows])[None]
