"""The trained tracker: ridge heads and local affinity as the embedded tracker has them, joined by a trained network.

All that a `RidgeTracker` knows (heads, key frames, the last mask) it keeps; masks come from `PropagationNet`, which
reads trained values of the key frames and of the frame before and decides at stride 4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from memory_bank.keyframes.policy import View
from pipelines.trackers.affinity import local_affinity
from pipelines.trackers.propagation_net import (
    VALUE,
    Cues,
    PropagationNet,
    as_query,
    highest_of_others,
    others_of,
    read_memory,
)
from pipelines.trackers.protocol import TRACKERS, Propagation, TrackerSetup
from pipelines.trackers.recall import LOOK_ALIKE, near_cells
from pipelines.trackers.ridge_tracker import SHARPNESS, RidgeTracker, RidgeTrackerConfig
from streamvos.config import setting
from streamvos.device import autocast
from streamvos.models.catalogue import locate

WEIGHTS = "embedded-tracker"  # name in the catalogue
_LEAST_VIEWS = 2  # that an object reads, however many objects there are: its first view and another
_RIM_CELLS = 2  # read beside the object in key frames after the first (all of them beside look-alikes): `near_cells`


@dataclass(frozen=True)
class TrainedTrackerConfig(RidgeTrackerConfig, at="segment.trained"):
    """How many key frames are read."""

    fit_every: int = setting(  # on made-up clips 4 is no worse than the embedded tracker's 2
        4, "frames between updates of the appearance; larger is faster and follows changes later", low=1
    )
    views_read: int = setting(8, "key frames that the network reads at most; more costs some time", low=1)
    # On made-up clips with three or four objects, half of what each reads alone did as well.
    views_read_together: int = setting(
        20, "key frames that it reads of all objects, each of which has two; larger costs time with several", low=1
    )


@TRACKERS.register("trained")
class TrainedTracker(RidgeTracker):
    """A `BaseTracker`; see the module's head.

    Args:
        config: see `TrainedTrackerConfig`.
        setup: see there.
        weights: a file of `python -m pipelines.training.tracker`; None: those that come with StreamVOS.
    """

    settings = TrainedTrackerConfig
    confidence_is_calibrated = True
    _config: TrainedTrackerConfig

    def __init__(self, config: TrainedTrackerConfig, setup: TrackerSetup, weights: Path | None = None) -> None:
        self._net = PropagationNet.from_file(weights or locate(WEIGHTS), setup.device)
        super().__init__(config, setup)

    def reset(self) -> None:
        super().reset()
        self._last_key16: torch.Tensor | None = None  # (1, KEY, h, w) trained key of the frame before
        self._last_values: dict[int, torch.Tensor] = {}  # (1, VALUE, h, w) of each object that was visible there
        self._last_masks: dict[int, torch.Tensor] = {}  # (h4, w4) likewise
        self._masks: dict[int, torch.Tensor] = {}  # (h4, w4) of the current frame, as far as they are decided
        self._values: dict[int, torch.Tensor] = {}  # (1, VALUE, h, w) likewise

    def start_shot(self) -> None:
        super().start_shot()
        self._last_key16 = None
        self._last_values.clear()
        self._last_masks.clear()

    @torch.inference_mode()
    def observe(self, image: np.ndarray) -> None:
        super().observe(image)
        features = self._features
        with self._autocast():
            encoding = self._net.encode(features.stride4, features.stride8, features.stride16)
        self._encoding = dataclasses.replace(encoding, key16=encoding.key16.float())  # it is remembered, and compared
        self._masks.clear()
        self._values.clear()

    @torch.inference_mode()
    def propagate(self) -> Propagation:
        object_ids = sorted(self._objects)
        if not object_ids:
            return Propagation.empty(self._features.valid)
        group = torch.zeros(len(object_ids), dtype=torch.int64, device=self._device)
        query = as_query(self._encoding.key16, self._dtype)
        read = torch.cat([self._read(object_id, query) for object_id in object_ids])
        read = read.unflatten(2, self._encoding.key16.shape[-2:])
        cues = self._cues(object_ids, group)
        with self._autocast():
            logits = self._net.decode(self._encoding, read, cues).float()
        return Propagation(np.array(object_ids, np.int64), self._to_probabilities(logits))

    @torch.inference_mode()
    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        visible = {
            object_id: self._quarter(probability)
            for object_id, probability in propagation.items()
            if (probability > 0.5).any()
        }
        self._masks.update(visible)
        self._values.update(self._values_of(list(visible)))
        super().memorize(frame_index, propagation, confident)
        self._last_key16 = self._encoding.key16 if self._values else None
        self._last_values, self._last_masks = dict(self._values), dict(self._masks)

    @torch.inference_mode()
    def add(self, frame_index: int, object_id: int, mask: np.ndarray, replace: bool = False) -> None:
        super().add(frame_index, object_id, mask, replace)
        self._last_key16, self._last_values[object_id] = self._encoding.key16, self._values[object_id]
        self._last_masks[object_id] = self._masks[object_id]

    def remove(self, object_id: int) -> None:
        super().remove(object_id)
        for known in (self._last_values, self._last_masks, self._masks, self._values):
            known.pop(object_id, None)

    def state_bytes(self) -> int:
        kept = [*self._last_values.values(), *self._last_masks.values()]
        kept += [] if self._last_key16 is None else [self._last_key16]
        return super().state_bytes() + sum(tensor.numel() * tensor.element_size() for tensor in kept)

    def state_dict(self) -> dict[str, Any]:
        values, masks = (
            {object_id: one.cpu().numpy() for object_id, one in kept.items()}
            for kept in (self._last_values, self._last_masks)
        )
        last_key16 = None if self._last_key16 is None else self._last_key16.cpu().numpy()
        return {
            "ridge": super().state_dict(),
            "last_key16": last_key16,
            "last_values": values,
            "last_masks": masks,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state["ridge"])
        if state["last_key16"] is not None:
            self._last_key16 = torch.tensor(state["last_key16"], device=self._device)
        self._last_values, self._last_masks = (
            {object_id: torch.tensor(one, device=self._device) for object_id, one in state[name].items()}
            for name in ("last_values", "last_masks")
        )

    def _read(self, object_id: int, query: torch.Tensor) -> torch.Tensor:
        """(1, VALUE, P) from the object's key frames and the frame before."""
        share = max(_LEAST_VIEWS, self._config.views_read_together // len(self._objects))
        chosen = self._recall(object_id, min(self._config.views_read, share))
        views = self.memory.read(object_id, ("key", "value", "near"), chosen)
        near = views["near"].flatten(1)  # (n, P)
        near[0] = True
        cells = near.flatten()
        keys, values = ([views[name].flatten(0, 2)[cells].to(self._dtype)] for name in ("key", "value"))  # (M, C)
        if self._last_key16 is not None and object_id in self._last_values:
            keys.append(_by_cell(self._last_key16).flatten(0, 1).to(self._dtype))
            values.append(_by_cell(self._last_values[object_id]).flatten(0, 1).to(self._dtype))
        key, value = torch.cat(keys), torch.cat(values)
        if self.memory.reads_attention:  # a mark for each key frame, read as a value, is its share of the attention
            marks = torch.eye(len(near), dtype=self._dtype, device=self._device)
            marks = marks.repeat_interleave(near.sum(dim=1), dim=0)
            marks = functional.pad(marks, (0, 0, 0, len(value) - len(marks)))  # the frame before is none
            value = torch.cat([value, marks], dim=1)
        read = read_memory(query, key.T[None], value.T[None])
        if self.memory.reads_attention:
            self.memory.note_use(object_id, read[0, VALUE:].mean(dim=1).cpu().numpy(), chosen)
        return read[:, :VALUE]

    def _cues(self, object_ids: list[int], group: torch.Tensor) -> Cues:
        heads = torch.stack([self._objects[object_id].head for object_id in object_ids])
        height, width = self._key8.shape[-2:]
        ridge = (heads @ self._pixels).view(len(object_ids), 1, height, width)
        last = ridge.new_zeros(len(object_ids), 2 * height, 2 * width)
        carried = ridge.new_zeros(len(object_ids), 4, height, width)
        if self._last_key is not None:
            for row, object_id in enumerate(object_ids):
                if object_id in self._last_masks:
                    last[row] = self._last_masks[object_id]
            parts = functional.pixel_unshuffle(last[:, None], 2)
            held, radius = parts.flatten(0, 1), self._config.radius_cells
            found = local_affinity(self._key8, self._last_key, held, radius, dtype=self._dtype)
            carried = found.view(carried.shape)
        carried_others = others_of(carried.mean(dim=1, keepdim=True), group)
        both = torch.stack([last, others_of(last, group)], dim=1)
        return Cues(ridge, highest_of_others(ridge, group), carried, carried_others, both)

    def _payload(
        self, object_id: int, probability: np.ndarray, target: torch.Tensor, view: View, confirmed: bool
    ) -> dict[str, torch.Tensor]:
        if confirmed:
            self._masks[object_id] = self._quarter(probability)
            self._values.update(self._values_of([object_id]))
        return {
            "key": _by_cell(self._encoding.key16).half(),
            "value": _by_cell(self._values[object_id]).half(),
            "near": near_cells(self._masks[object_id], _RIM_CELLS) | (view.distractor >= LOOK_ALIKE),
        }

    def _values_of(self, object_ids: Sequence[int]) -> dict[int, torch.Tensor]:
        """(1, VALUE, h, w) of objects in the current frame, each among the others whose masks are decided."""
        if not object_ids:
            return {}
        decided = torch.stack(list(self._masks.values()))
        masks = torch.stack([self._masks[object_id] for object_id in object_ids])
        others = (decided.sum(dim=0) - masks).clamp(0.0, 1.0)
        with self._autocast():
            values = self._net.value(self._encoding, torch.stack([masks, others], dim=1)).float()
        return dict(zip(object_ids, values.split(1), strict=True))

    def _autocast(self) -> torch.autocast:
        """The network's convolutions in the precision of the features, as in training."""
        return autocast(self._device, self._dtype)

    def _quarter(self, probability: np.ndarray) -> torch.Tensor:
        """(h, w) at the working size to hardened (h / 4, w / 4), with the frame's padding."""
        return torch.sigmoid(SHARPNESS * (self._to_cells(probability, stride=4) - 0.5))

    def _to_probabilities(self, logits: torch.Tensor) -> np.ndarray:
        """(N, h4, w4) logits of objects on their own to (N, h, w) shares at the working size."""
        padded, (height, width) = self._features.padded, self._features.valid
        large = functional.interpolate(logits[:, None], padded, mode="bilinear", align_corners=False)
        with_background = functional.pad(large[:, 0, :height, :width], (0, 0, 0, 0, 1, 0))  # whose logit is 0
        return with_background.softmax(dim=0)[1:].cpu().numpy()


def _by_cell(maps: torch.Tensor) -> torch.Tensor:
    """(1, C, h, w) to (h, w, C): cells are read one by one."""
    return maps[0].permute(1, 2, 0)
