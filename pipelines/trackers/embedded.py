"""The embedded tracker: no trained weights of ours, several objects, a CPU.

Three cues on frozen EfficientNet-Lite0 features, mixed at stride 8: the ridge head of each object (what it looks
like), local affinity to the frame before (where it was), global affinity to its key frames (where it may be). A prior
far from the last mask keeps look-alikes out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from memory_bank.keyframes.policy import View
from pipelines.trackers.affinity import global_affinity, key_map, local_affinity
from pipelines.trackers.protocol import TRACKERS, Propagation
from pipelines.trackers.ridge_tracker import RidgeTracker, RidgeTrackerConfig
from pipelines.trackers.sharing import share_out
from streamvos.config import setting

# Chosen on the eight DAVIS sequences of docs/architecture.md, as all numbers of the embedded tracker.
_TOP_MATCHES = 20  # key-frame cells that vote for a cell by global affinity
_GAIN = 6.0  # slope from score to logit; larger is more decided
_PRIOR_WEIGHT = 0.5  # of the logit, by which it falls with each `_PRIOR_SCALE` of distance from the last mask
_PRIOR_FREE = 0.15  # distance, in object sizes, within which it does not fall
_PRIOR_SCALE = 0.15

_LOGIT_LIMIT = 30.0  # beyond it a probability is 0 or 1 in every way that matters, and exp would overflow in the end


@dataclass(frozen=True)
class EmbeddedTrackerConfig(RidgeTrackerConfig, at="segment.embedded"):
    """How the cues are mixed."""

    local_weight: float = setting(
        0.3, "of the affinity to the frame before; larger follows motion more, appearance less", low=0, high=1
    )
    global_weight: float = setting(
        0.1, "of the affinity to key frames; larger finds returns sooner, and look-alikes", low=0, high=1
    )
    views_compared: int = setting(5, "key frames of the global affinity; more costs time", low=1)


@TRACKERS.register("embedded")
class EmbeddedTracker(RidgeTracker):
    """A `BaseTracker`; see the module's head, and `RidgeTracker` for its arguments."""

    settings = EmbeddedTrackerConfig
    _config: EmbeddedTrackerConfig

    @torch.inference_mode()
    def observe(self, image: np.ndarray) -> None:
        super().observe(image)
        self._key16: torch.Tensor | None = None

    @torch.inference_mode()
    def propagate(self) -> Propagation:
        object_ids = sorted(self._objects)
        if not object_ids:
            return Propagation.empty(self._features.valid)
        heads = torch.stack([self._objects[object_id].head for object_id in object_ids])
        scores = (heads @ self._pixels).view(len(object_ids), *self._key8.shape[-2:])  # (N, h, w)
        scores = self._mix_affinities(object_ids, scores)
        probabilities = [
            self._probability(score, self._objects[object_id].last_probability)
            for object_id, score in zip(object_ids, scores.cpu().numpy(), strict=True)
        ]
        return Propagation(np.array(object_ids, np.int64), share_out(np.stack(probabilities)))

    def _payload(
        self, object_id: int, probability: np.ndarray, target: torch.Tensor, view: View, confirmed: bool
    ) -> dict[str, torch.Tensor]:
        return {"key": self._coarse_key().half(), "value": functional.avg_pool2d(target[None], 2)[0].half()}

    def _mix_affinities(self, object_ids: list[int], scores: torch.Tensor) -> torch.Tensor:
        """Blend the two affinities into the (N, h, w) head scores; an object not seen lately has no local one."""
        config, seen = self._config, []
        if self._last_key is not None:
            seen = [row for row, key in enumerate(object_ids) if self._objects[key].last_probability is not None]
        if seen:
            values = torch.stack([self._sharp_cells(self._objects[object_ids[row]].last_probability) for row in seen])
            carried = local_affinity(self._key8, self._last_key, values, config.radius_cells, dtype=self._dtype)
        for row, object_id in enumerate(object_ids):
            found = self._match_views(object_id)[None, None]
            found = functional.interpolate(found, scores.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
            local_weight = config.local_weight if row in seen else 0.0
            mixed = (1.0 - local_weight - config.global_weight) * scores[row] + config.global_weight * found
            scores[row] = mixed + local_weight * carried[seen.index(row)] if row in seen else mixed
        return scores

    def _match_views(self, object_id: int) -> torch.Tensor:
        """(h, w) at stride 16: what the object's key frames say by global affinity."""
        chosen = self._recall(object_id, self._config.views_compared)
        views = self.memory.read(object_id, ("key", "value"), chosen)
        keys, values = views["key"].float(), views["value"].float()
        if self.memory.reads_attention:  # a mark for each view carries the share of its votes
            marks = torch.eye(len(chosen), device=self._device)[:, :, None, None].expand(-1, -1, *values.shape[1:])
            values = torch.cat([values[None], marks])
        found = global_affinity(self._coarse_key(), keys, values, _TOP_MATCHES)
        if not self.memory.reads_attention:
            return found
        self.memory.note_use(object_id, found[1:].mean(dim=(1, 2)).cpu().numpy(), chosen)
        return found[0]

    def _probability(self, score: np.ndarray, last: np.ndarray | None) -> np.ndarray:
        """(h, w) score at stride 8 to probability at the working size, lower far from the last mask."""
        height, width = self._features.valid
        logit = cv2.resize(score, self._features.padded[::-1], interpolation=cv2.INTER_CUBIC)[:height, :width]
        logit = _GAIN * (logit - 0.5)
        mask = None if last is None else last > 0.5
        if mask is not None and mask.any():  # a first mask may be too thin for the working size
            side = float(np.sqrt(mask.sum()))  # a NumPy number would make the map float64
            distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) / side
            logit = logit - _PRIOR_WEIGHT * np.maximum(0.0, (distance - _PRIOR_FREE) / _PRIOR_SCALE)
        return 1.0 / (1.0 + np.exp(-np.clip(logit, -_LOGIT_LIMIT, _LOGIT_LIMIT)))

    def _coarse_key(self) -> torch.Tensor:
        """(C, h, w) unit keys at stride 16."""
        if self._key16 is None:
            self._key16 = key_map(self._features.stride16, functional.avg_pool2d(self._features.stride8, 2))
        return self._key16
