"""The embedded tracker: no trained weights of ours, several objects, a CPU.

Three cues on frozen EfficientNet-Lite0 features, mixed at stride 8: the ridge head of each object (what it looks
like), local affinity to the frame before (where it was), global affinity to its key frames (where it may be). The
head is fitted anew every few frames to its key frames and to a running mean of recent frames; a prior far from
the last mask keeps look-alikes out. Masks are sharpened before they enter any memory: soft ones decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from memory_bank.keyframes.memory import KeyFrameConfig, KeyFrameMemory
from memory_bank.keyframes.policy import View, choose_views
from memory_bank.protocol import MemoryStats
from pipelines.trackers.affinity import global_affinity, key_map, local_affinity
from pipelines.trackers.objects import TrackedObject
from pipelines.trackers.protocol import CellMap, Propagation
from pipelines.trackers.recall import distractor_score, likeness_of_views
from pipelines.trackers.ridge import Normaliser, PixelSums, describe, pack, solve, unpack
from streamvos.device import Precision, pick_precision
from streamvos.errors import InputError
from streamvos.models.efficientnet_lite import EfficientNetLite0
from streamvos.records import MemoryEvent


@dataclass(frozen=True)
class EmbeddedTrackerConfig:
    """How the cues are mixed and how fast the appearance follows."""

    local_weight: float = 0.3  # of the affinity to the frame before; larger follows motion more, appearance less
    global_weight: float = 0.1  # of the affinity to key frames; larger finds returns sooner, and look-alikes
    radius_cells: int = 8  # window of the local affinity, in cells of 8 pixels; larger follows faster motion
    temperature: float = 0.07  # of the affinities; smaller trusts single matches more
    views_compared: int = 5  # key frames of the global affinity; more costs time
    # Which key frames are read: the first and either the latest or those most like what is seen now.
    views_chosen: Literal["latest", "alike"] = "latest"
    top_matches: int = 20  # how many key-frame cells vote for a cell
    gain: float = 6.0  # slope from score to probability; larger is more decided
    sharpness: float = 16.0  # slope that hardens a mask before it is remembered
    prior_weight: float = 0.5  # how fast the probability falls away from the last mask
    prior_free: float = 0.15  # distance, in object sizes, within which it does not fall
    prior_scale: float = 0.15  # distance, in object sizes, over which it falls by one weight
    fit_every: int = 2  # frames between updates of the appearance; larger is faster and follows changes later
    running_rate: float = 0.15  # of the running mean; larger forgets faster
    keyframe_weight: float = 0.4  # of the key frames against the running mean when the head is fitted
    regularisation: float = 1e-3  # of the ridge
    precision: Precision = "auto"  # of the frozen features; "auto": bfloat16 where the processor has it, twice as fast
    keyframes: KeyFrameConfig = field(default_factory=KeyFrameConfig)


class EmbeddedTracker:
    """A `BaseTracker` on frozen features.

    Args:
        config: see `EmbeddedTrackerConfig`.
        size: working short side in pixels.
        device: where tensors live.
    """

    knows_doubt = False

    def __init__(self, config: EmbeddedTrackerConfig, size: int, device: torch.device) -> None:
        if size < 32:
            raise InputError(f"size: expected a working short side of at least 32 pixels, got {size}")
        self._config, self._size, self._device = config, size, device
        self._dtype = pick_precision(config.precision, device)
        self._encoder = EfficientNetLite0(device, self._dtype)
        self.memory = KeyFrameMemory(config.keyframes, device)
        self.reset()

    def reset(self) -> None:
        self.memory.reset()
        self._objects: dict[int, TrackedObject] = {}
        self._normalise: Normaliser | None = None
        self._last_key: torch.Tensor | None = None  # stride-8 keys of the frame before
        self._full: tuple[int, int] | None = None
        self._since_fit = 0

    def start_shot(self) -> None:
        self._last_key = None
        for item in self._objects.values():
            item.last_probability = None

    @torch.inference_mode()
    def observe(self, image: np.ndarray) -> None:
        if self._full is not None and image.shape[:2] != self._full:
            raise InputError(
                f"frame size changed from {self._full} to {image.shape[:2]} (height, width) within a stream; "
                "start a new session for the new size"
            )
        self._full = image.shape[:2]
        features = self._encoder.encode(image, self._size)
        self._features = features
        self._key8 = key_map(features.stride16_at_8, features.stride8)
        self._key16: torch.Tensor | None = None
        description = describe(features)
        self._normalise = self._normalise or Normaliser(description)
        self._pixels = self._normalise(description)  # (D, P)
        self._sums: PixelSums | None = None

    @torch.inference_mode()
    def propagate(self) -> Propagation:
        object_ids = np.array(sorted(self._objects), np.int64)
        if not len(object_ids):
            return Propagation(object_ids, np.zeros((0, *self._features.valid), np.float32))
        heads = torch.stack([self._objects[object_id].head for object_id in object_ids])
        scores = (heads @ self._pixels).view(len(object_ids), *self._key8.shape[-2:])  # (N, h, w)
        scores = self._mix_affinities(object_ids, scores)
        probabilities = [
            self._probability(score, self._objects[object_id].last_probability)
            for object_id, score in zip(object_ids, scores.cpu().numpy(), strict=True)
        ]
        return Propagation(object_ids, share_out(np.stack(probabilities)))

    @torch.inference_mode()
    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        self._since_fit += 1
        is_due = self._since_fit >= self._config.fit_every
        if is_due:
            self._since_fit = 0
        for object_id, probability in zip(propagation.object_ids, propagation.probabilities, strict=True):
            item = self._objects[int(object_id)]
            area_px = int((probability > 0.5).sum())
            item.last_probability = probability if area_px else None
            if is_due and area_px and confident.get(int(object_id), False):
                self._learn(frame_index, int(object_id), item, probability, area_px)
        self._last_key = self._key8

    @torch.inference_mode()
    def add(self, frame_index: int, object_id: int, mask: np.ndarray, afresh: bool = False) -> None:
        if mask.shape != self._full:
            raise InputError(f"mask of object {object_id}: expected size {self._full}, got {mask.shape}")
        height, width = self._features.valid
        probability = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        target = self._to_cells(probability)
        if float(target.max()) < 0.05:
            raise InputError(
                f"mask of object {object_id}: {int(mask.sum())} pixels are too few to follow at a working size of "
                f"{self._size}; give a larger mask or a larger working size (setting size)"
            )
        if afresh:
            self.memory.remove(object_id)
        gram, moment = self._pixel_sums().of(target.flatten())
        item = TrackedObject(solve(gram, moment, self._config.regularisation), gram, moment, probability)
        self._objects[object_id] = item
        area_px = int((probability > 0.5).sum())
        view = View(area_px, 1.0, 1.0, 0, 1.0)
        self._store(frame_index, object_id, gram, moment, probability, target, view, vouched=True)
        self._last_key = self._key8

    def remove(self, object_id: int) -> None:
        self._objects.pop(object_id, None)
        self.memory.remove(object_id)

    @torch.inference_mode()
    def cells(self) -> CellMap:
        features = self._features
        (padded_height, padded_width), (height, width) = features.image.shape[:2], features.valid
        joined = torch.cat([features.stride16_at_8, features.stride8], dim=1)[0]
        return CellMap(joined, (0, padded_height - height, 0, padded_width - width))

    def appearance(self, mask: np.ndarray) -> np.ndarray:
        height, width = self._features.valid
        return self._descriptor(cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA))

    def appearances(self, object_id: int) -> np.ndarray:
        return self.memory.descriptors(object_id)

    def stats(self) -> MemoryStats:
        return self.memory.stats()

    def state_bytes(self) -> int:
        return self.memory.stats().bytes + sum(item.bytes() for item in self._objects.values())

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        return self.memory.drain_events()

    def state_dict(self) -> dict[str, Any]:
        normaliser = self._normalise
        return {
            "memory": self.memory.state_dict(),
            "objects": {object_id: item.state_dict() for object_id, item in self._objects.items()},
            "mean": None if normaliser is None else normaliser.mean.cpu().numpy(),
            "spread": None if normaliser is None else normaliser.spread.cpu().numpy(),
            "last_key": None if self._last_key is None else self._last_key.cpu().numpy(),
            "full": self._full,
            "since_fit": self._since_fit,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self.memory.load_state_dict(state["memory"])
        self._objects = {
            object_id: TrackedObject.from_state(item, self._device) for object_id, item in state["objects"].items()
        }
        if state["mean"] is not None:
            self._normalise = Normaliser.__new__(Normaliser)
            self._normalise.mean = torch.tensor(state["mean"], device=self._device)
            self._normalise.spread = torch.tensor(state["spread"], device=self._device)
        if state["last_key"] is not None:
            self._last_key = torch.tensor(state["last_key"], device=self._device)
        self._full, self._since_fit = state["full"], state["since_fit"]

    def _mix_affinities(self, object_ids: np.ndarray, scores: torch.Tensor) -> torch.Tensor:
        """Blend the two affinities into the (N, h, w) head scores; an object not seen lately has no local one."""
        config, seen = self._config, []
        if self._last_key is not None:
            seen = [row for row, key in enumerate(object_ids) if self._objects[key].last_probability is not None]
        if seen:
            values = torch.stack([self._sharp_cells(self._objects[object_ids[row]].last_probability) for row in seen])
            carried = local_affinity(
                self._key8, self._last_key, values, config.radius_cells, config.temperature, self._dtype
            )
        for row, object_id in enumerate(object_ids):
            found = self._match_views(int(object_id))
            found = functional.interpolate(found[None, None], scores.shape[-2:], mode="bilinear", align_corners=False)[
                0, 0
            ]
            local_weight = config.local_weight if row in seen else 0.0
            mixed = (1.0 - local_weight - config.global_weight) * scores[row] + config.global_weight * found
            scores[row] = mixed + local_weight * carried[seen.index(row)] if row in seen else mixed
        return scores

    def _match_views(self, object_id: int) -> torch.Tensor:
        """(h, w) at stride 16: what the object's key frames say by global affinity."""
        chosen = self._recall(object_id, self._config.views_compared)
        views = self.memory.read(object_id, ("key", "value"), chosen)
        keys, values = views["key"].float(), views["value"].float()
        if self.memory.wants_use:  # a mark for each view carries the share of its votes
            marks = torch.eye(len(chosen), device=self._device)[:, :, None, None].expand(-1, -1, *values.shape[1:])
            values = torch.cat([values[None], marks])
        found = global_affinity(self._coarse_key(), keys, values, self._config.top_matches, self._config.temperature)
        if not self.memory.wants_use:
            return found
        self.memory.note_use(object_id, found[1:].mean(dim=(1, 2)).cpu().numpy(), chosen)
        return found[0]

    def _recall(self, object_id: int, most: int) -> np.ndarray:
        """Which of an object's key frames to read, at most so many."""
        likeness = None
        if self._config.views_chosen == "alike":
            likeness = likeness_of_views(self.memory.descriptors(object_id), self._key8)
        return choose_views(self.memory.count(object_id), most, likeness)

    def _probability(self, score: np.ndarray, last: np.ndarray | None) -> np.ndarray:
        """(h, w) score at stride 8 to probability at the working size, lower far from the last mask."""
        config = self._config
        height, width = self._features.valid
        padded = self._features.image.shape[:2]
        logit = cv2.resize(score, padded[::-1], interpolation=cv2.INTER_CUBIC)[:height, :width]
        logit = config.gain * (logit - 0.5)
        mask = None if last is None else last > 0.5
        if mask is not None and mask.any():  # a first mask may be too thin for the working size
            side = float(np.sqrt(mask.sum()))  # a NumPy number would make the map float64
            distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) / side
            logit = logit - config.prior_weight * np.maximum(0.0, (distance - config.prior_free) / config.prior_scale)
        return 1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0)))

    def _learn(
        self, frame_index: int, object_id: int, item: TrackedObject, probability: np.ndarray, area_px: int
    ) -> None:
        """Offer the view as a key frame and, where it is the object's, follow its appearance and fit the head anew."""
        target = self._sharp_cells(probability)
        gram, moment = self._pixel_sums().of(target.flatten())
        last_written = self.memory.last_written(object_id)
        view = View(
            area_px,
            float(probability[probability > 0.5].mean()),
            area_px / item.usual_area_px(),
            frame_index - last_written if last_written is not None else frame_index,
            *self.memory.compare(object_id, self._descriptor(probability)),
            distractor_score((item.head @ self._pixels).view(target.shape).cpu().numpy(), target.cpu().numpy() > 0.5),
        )
        self._store(frame_index, object_id, gram, moment, probability, target, view)
        if not self.memory.trusts(view):
            return
        item.note_area(area_px)
        item.follow(gram, moment, self._config.running_rate)
        views = self.memory.read(object_id, ("gram", "moment"))
        weights = torch.full((len(views["gram"]),), 0.5 / max(1, len(views["gram"]) - 1), device=self._device)
        weights[0] = 0.5 if len(weights) > 1 else 1.0  # the first view, which somebody vouches for
        share = self._config.keyframe_weight
        kept = unpack(weights @ views["gram"], len(moment))
        gram = share * kept + (1.0 - share) * item.gram
        moment = share * (weights @ views["moment"]) + (1.0 - share) * item.moment
        item.head = solve(gram, moment, self._config.regularisation)

    def _store(
        self,
        frame_index: int,
        object_id: int,
        gram: torch.Tensor,
        moment: torch.Tensor,
        probability: np.ndarray,
        target: torch.Tensor,
        view: View,
        vouched: bool = False,
    ) -> None:
        payload = {
            "gram": pack(gram),
            "moment": moment,
            "key": self._coarse_key().half(),
            "value": functional.avg_pool2d(target[None], 2)[0].half(),
        }
        descriptor = self._descriptor(probability)
        self.memory.write(frame_index, object_id, payload, descriptor, view, vouched)

    def _pixel_sums(self) -> PixelSums:
        self._sums = self._sums or PixelSums(self._pixels)
        return self._sums

    def _coarse_key(self) -> torch.Tensor:
        """(C, h, w) unit keys at stride 16."""
        if self._key16 is None:
            self._key16 = key_map(self._features.stride16, functional.avg_pool2d(self._features.stride8, 2))
        return self._key16

    def _sharp_cells(self, probability: np.ndarray) -> torch.Tensor:
        return self._to_cells(1.0 / (1.0 + np.exp(-self._config.sharpness * (probability - 0.5))))

    def _to_cells(self, probability: np.ndarray) -> torch.Tensor:
        """(h, w) at the working size to (h / 8, w / 8) cells."""
        height, width = probability.shape
        padded_height, padded_width = self._features.image.shape[:2]
        padded = cv2.copyMakeBorder(
            probability, 0, padded_height - height, 0, padded_width - width, cv2.BORDER_REPLICATE
        )
        cells = cv2.resize(padded, (padded_width // 8, padded_height // 8), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(cells.astype(np.float32)).to(self._device)

    def _descriptor(self, probability: np.ndarray) -> np.ndarray:
        """(C,) float32 unit vector: mean stride-8 key under the mask."""
        cells = self._to_cells((probability > 0.5).astype(np.float32))
        mean = (self._key8 * cells).sum(dim=(1, 2))
        return functional.normalize(mean, dim=0).cpu().numpy()


def share_out(probabilities: np.ndarray) -> np.ndarray:
    """Soft aggregation (STM, Oh et al., 2019): (N, h, w) independent probabilities to shares that sum to at most 1."""
    if len(probabilities) == 1:
        return probabilities
    clipped = np.clip(probabilities, 1e-6, 1.0 - 1e-6)
    odds = clipped / (1.0 - clipped)
    background = np.prod(1.0 - clipped, axis=0)
    background_odds = background / (1.0 - background).clip(1e-6)
    return (odds / (odds.sum(axis=0) + background_odds)).astype(np.float32)
