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

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from memory_bank.protocol import MemoryStats
from pipelines.trackers.cutie_memory import CutieMemory, Encoded
from pipelines.trackers.descriptors import Descriptors, check_frame, check_mask, check_size, mean_descriptor
from pipelines.trackers.protocol import CellMap, Propagation
from streamvos.errors import InputError
from streamvos.models.cutie import CutieSize, cutie_settings, load_cutie, random_cutie
from streamvos.models.efficientnet_lite import scale_to_short_side
from streamvos.records import MemoryEvent

_STRIDE = 16


@dataclass(frozen=True)
class CutieConfig:
    """Which network, and how much it may remember."""

    model: CutieSize = "small"  # "base" is finer and about three times slower
    memorize_every: int = 5  # frames between writes; smaller remembers more views and is slower
    budget_bytes: int = 768 * 2**20  # of all objects; at 854x480 up to 46 MB alone, 29 MB more that shares keys
    max_long_term_tokens: int = 10_000  # of a group of objects; larger knows older views, takes bytes and time
    max_descriptors: int = 8  # remembered looks of an object, for recognition; more tells apart more views


@dataclass(frozen=True)
class _Look:
    """The network's view of the current frame, and where the frame lies in its padded picture."""

    pixels: torch.Tensor  # (1, 3, H, W) in [0, 1], padded to whole strides
    scales: tuple[torch.Tensor, ...]  # feature maps at strides 16, 8 and 4
    features: torch.Tensor
    key: torch.Tensor
    shrinkage: torch.Tensor
    selection: torch.Tensor
    valid: tuple[int, int]
    padding: tuple[int, int, int, int]  # left, right, top, bottom


class CutieTracker:
    """A `BaseTracker` on Cutie's network.

    Args:
        config: see `CutieConfig`.
        size: working short side in pixels.
        device: where tensors live.
        weights: a checkpoint; None: the catalogue's.

    Raises:
        InputError: the extra `cutie` is not installed, or a setting is out of range.
        MissingWeightsError: the weights are not here; says the command that fetches them. Nothing is downloaded.
    """

    knows_doubt = False

    def __init__(self, config: CutieConfig, size: int, device: torch.device, weights: Path | None = None) -> None:
        self._check(config, size)
        self._ready(config, size, device, load_cutie(config.model, weights, device))

    @classmethod
    def randomly_initialised(cls, seed: int, config: CutieConfig, size: int, device: torch.device) -> CutieTracker:
        """The same network with random weights: costs the same, finds nothing; for tests and for timing."""
        cls._check(config, size)
        tracker = cls.__new__(cls)
        tracker._ready(config, size, device, random_cutie(config.model, seed, device))
        return tracker

    def reset(self) -> None:
        self._memory.reset()
        self._descriptors.reset()
        self._full: tuple[int, int] | None = None
        self._look: _Look | None = None
        self._masks: dict[int, torch.Tensor] = {}  # (H, W) of each object where it was last decided, padded
        self._given: dict[int, int] = {}  # object -> frame of a mask that was given and is not yet written
        self._sensory: dict[int, torch.Tensor] = {}  # what the look at this frame makes of the sensory memory
        self._since_write = 0

    def start_shot(self) -> None:
        self._memory.drop_sensory()
        self._masks = {object_id: torch.zeros_like(mask) for object_id, mask in self._masks.items()}

    @torch.inference_mode()
    def observe(self, image: np.ndarray) -> None:
        self._settle()
        self._full = check_frame(image, self._full)
        small = scale_to_short_side(image, self._size)
        height, width = small.shape[:2]
        extra_rows, extra_columns = -height % _STRIDE, -width % _STRIDE
        padding = extra_columns // 2, extra_columns - extra_columns // 2, extra_rows // 2, extra_rows - extra_rows // 2
        pixels = torch.from_numpy(small).to(self._device).permute(2, 0, 1)[None].float().div_(255.0)
        pixels = functional.pad(pixels, padding)
        scales, features = self._network.encode_image(pixels)
        self._look = _Look(pixels, scales, features, *self._network.transform_key(scales[0]), (height, width), padding)
        self._sensory = {}

    @torch.inference_mode()
    def propagate(self) -> Propagation:
        self._settle()
        look, rows = self._look, self._memory.object_ids
        if not rows:
            return Propagation(np.zeros(0, np.int64), np.zeros((0, *look.valid), np.float32))
        readout = self._memory.read(self._network, look.features, look.key, look.selection, self._stacked(rows))
        sensory = self._memory.sensory(look.key)
        sensory, _, shares = self._network.segment(look.scales, readout, sensory, update_sensory=True)
        self._sensory = {object_id: sensory[:, row] for row, object_id in enumerate(rows)}
        order = np.argsort(rows)
        probabilities = self._cut(shares[0, 1:])[order.tolist()]
        return Propagation(np.array(rows, np.int64)[order], probabilities.cpu().numpy())

    @torch.inference_mode()
    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        self._since_write += bool(self._memory.groups)  # the first frame counts from its own write
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            if object_id not in self._given:
                self._masks[object_id] = self._padded(probability)
        followed = [object_id for object_id in self._sensory if object_id not in self._given]
        self._memory.keep_sensory(followed, [self._sensory[object_id] for object_id in followed])
        self._sensory = {}
        is_due = self._since_write >= self._config.memorize_every
        if is_due or self._given:
            self._learn(frame_index, is_due, confident)
        if is_due:
            self._since_write = 0

    @torch.inference_mode()
    def add(self, frame_index: int, object_id: int, mask: np.ndarray, afresh: bool = False) -> None:
        look = self._look
        cells = (look.pixels.shape[-2] // _STRIDE, look.pixels.shape[-1] // _STRIDE)
        check_mask(object_id, mask, self._full, cells, self._size)
        if object_id not in self._memory.object_ids:
            self._memory.admit(object_id, cells[0] * cells[1])
        elif afresh:
            self.remove(object_id)
            self._memory.admit(object_id, cells[0] * cells[1])
        target = self._padded(cv2.resize(mask.astype(np.float32), look.valid[::-1], interpolation=cv2.INTER_AREA))
        for other in self._given:  # what is given last lies on top
            self._masks[other] = self._masks[other] * (1.0 - target)
        self._masks[object_id], self._given[object_id] = target, frame_index
        self._descriptors.add(object_id, self._descriptor(target))

    def remove(self, object_id: int) -> None:
        self._memory.remove(object_id)
        self._descriptors.remove(object_id)
        for kept in (self._masks, self._given, self._sensory):
            kept.pop(object_id, None)

    @torch.inference_mode()
    def cells(self) -> CellMap:
        left, right, above, below = self._look.padding
        return CellMap(self._look.key[0].float(), (above, below, left, right))

    @torch.inference_mode()
    def appearance(self, mask: np.ndarray) -> np.ndarray:
        small = cv2.resize(mask.astype(np.float32), self._look.valid[::-1], interpolation=cv2.INTER_AREA)
        return self._descriptor(self._padded(small))

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

    @staticmethod
    def _check(config: CutieConfig, size: int) -> None:
        check_size(size)
        if config.memorize_every < 1:
            raise InputError(f"cutie.memorize_every: expected at least 1, got {config.memorize_every}")
        if config.max_long_term_tokens < 512:
            got = config.max_long_term_tokens
            raise InputError(f"cutie.max_long_term_tokens: expected at least 512, four merges of 128, got {got}")

    def _ready(self, config: CutieConfig, size: int, device: torch.device, network: torch.nn.Module) -> None:
        self._config, self._size, self._device, self._network = config, size, device, network
        self._memory = CutieMemory(cutie_settings(config.model, config.max_long_term_tokens), config.budget_bytes)
        self._descriptors = Descriptors(config.max_descriptors)
        self.reset()

    def _settle(self) -> None:
        """Write given masks of a frame that nobody closed by `memorize`."""
        if self._given:
            self._learn(max(self._given.values()), False, {})

    def _learn(self, frame_index: int, is_due: bool, confident: Mapping[int, bool]) -> None:
        """Write the current frame for those that may learn it."""
        look, given = self._look, self._given
        rows = self._memory.object_ids
        allowed = {object_id for object_id in rows if object_id in given or confident.get(object_id, False)}
        absent = {object_id for object_id in rows if not (self._masks[object_id] > 0.5).any()} - set(given)
        new = [object_id for object_id in rows if not any(object_id in group for group in self._memory.groups)]
        learners = [group for group in self._memory.groups if any(is_due or key in given for key in group)]
        learners = [group for group in learners if (allowed - absent).intersection(group)]
        if new or learners:
            masks, sensory = self._stacked(rows), self._memory.sensory(look.key)
            value, sensory, summary, _ = self._network.encode_mask(look.pixels, look.features, sensory, masks)
            frame = Encoded(look.key, look.shrinkage, look.selection, value, summary, tuple(rows))
        for group in learners:
            self._write(frame_index, group, frame, sensory, allowed, absent)
        if new:
            self._memory.write(frame_index, new, frame, "first view, permanent")
            self._memory.keep_sensory(new, [sensory[:, rows.index(key)] for key in new])
        self._given = {}

    def _write(
        self,
        frame_index: int,
        group: list[int],
        frame: Encoded,
        sensory: torch.Tensor,
        allowed: set[int],
        absent: set[int],
    ) -> None:
        """Write a frame for the objects of a bucket, after those that must not learn it have left the bucket."""
        learning = [key for key in group if key in allowed or key in absent]
        for key in set(group).difference(learning):
            self._memory.split(key)
        reason = "given" if set(learning).intersection(self._given) else f"{len(set(learning) - absent)} confident"
        if gone := sorted(absent.intersection(learning)):
            reason += f"; absent: {', '.join(map(str, gone))}"
        self._memory.write(frame_index, learning, frame, reason)
        self._memory.keep_sensory(learning, [sensory[:, frame.object_ids.index(key)] for key in learning])
        for key in set(learning) - absent - set(self._given):
            self._descriptors.add(key, self._descriptor(self._masks[key]))

    def _stacked(self, rows: list[int]) -> torch.Tensor:
        """(1, N, H, W) masks in the order of the network's rows."""
        return torch.stack([self._masks[object_id] for object_id in rows])[None]

    def _padded(self, probability: np.ndarray) -> torch.Tensor:
        """(h, w) at the working size to the (H, W) of the padded picture."""
        return functional.pad(torch.from_numpy(probability).to(self._device), self._look.padding)

    def _cut(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, H, W) of the padded picture to (N, h, w)."""
        left, _, top, _ = self._look.padding
        height, width = self._look.valid
        return maps[:, top : top + height, left : left + width]

    def _descriptor(self, probability: torch.Tensor) -> np.ndarray:
        share = functional.avg_pool2d((probability > 0.5).float()[None, None], _STRIDE)[0, 0]
        return mean_descriptor(self._look.key[0], share)
