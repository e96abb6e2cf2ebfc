"""SAM 2.1 and EdgeTAM as base trackers: `transformers` video models, one frame at a time, in bounded memory.

SAM 2 (Ravi et al., 2024), EdgeTAM (Zhou et al., 2025). A frame is encoded once for all objects; each object reads its
own memory (`video_session`). What is remembered is the stage's decision: confident objects, with the masks that the
stage handed back; SAM 2 itself would remember every frame, also those in which it is wrong.
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
from pipelines.trackers.descriptors import Descriptors, check_frame, check_mask, check_size, mean_descriptor
from pipelines.trackers.embedded import share_out
from pipelines.trackers.protocol import CellMap, Propagation
from pipelines.trackers.video_session import Look, ObjectSession, PositionCode
from streamvos.errors import InputError
from streamvos.models.efficientnet_lite import scale_to_short_side
from streamvos.models.sam2_video import Sam2Size, load_edgetam, load_sam2, square_pixels
from streamvos.records import MemoryAction, MemoryEvent

_MIN_PROBABILITY = 1e-6  # a mask's probabilities become logits again


@dataclass(frozen=True)
class VideoModelConfig:
    """How much a video model may remember."""

    max_conditioning: int = 4  # given masks of an object that are kept, the first always; more is slower
    budget_bytes: int = 256 * 2**20  # of all objects; SAM 2 takes up to 5 MB an object, EdgeTAM 1.3 MB
    max_descriptors: int = 8  # remembered looks of an object, for recognition; more tells apart more views


@dataclass(frozen=True)
class Sam2Config(VideoModelConfig):
    """Which SAM 2.1, and how much it may remember."""

    model: Sam2Size = "tiny"  # larger is finer and slower


class VideoModelTracker:
    """A `BaseTracker` on a loaded video model; `Sam2Tracker` and `EdgeTamTracker` load theirs.

    Args:
        model: a `Sam2VideoModel` or `EdgeTamVideoModel`, on `device`.
        config: see `VideoModelConfig`.
        size: short side of the maps that come out; the model's own input is a fixed square.
        device: where tensors live.
    """

    bank = "keyframes"

    knows_doubt = False

    def __init__(self, model: torch.nn.Module, config: VideoModelConfig, size: int, device: torch.device) -> None:
        _check(config, size)
        self._model, self._config, self._size, self._device = model, config, size, device
        self._side = int(model.config.image_size)
        self._descriptors = Descriptors(config.max_descriptors)
        self.reset()

    def reset(self) -> None:
        self._descriptors.reset()
        self._position = PositionCode()
        self._sessions: dict[int, ObjectSession] = {}
        self._found: dict[int, dict[str, torch.Tensor]] = {}  # what the model says of each object in this frame
        self._full: tuple[int, int] | None = None
        self._events: list[MemoryEvent] = []

    def start_shot(self) -> None:
        for session in self._sessions.values():
            session.drop_recent()

    @torch.inference_mode()
    def observe(self, image: np.ndarray) -> None:
        self._full = check_frame(image, self._full)
        self._valid = scale_to_short_side(image, self._size).shape[:2]
        pixels = square_pixels(image, self._side, self._device)
        encoded = self._model.get_image_features(pixels, return_dict=True)
        self._look = Look(pixels, list(encoded.fpn_hidden_states), list(encoded.fpn_position_encoding))
        rows, columns = self._model.backbone_feature_sizes[-1]
        self._features = self._look.features[-1][:, 0].T.reshape(-1, rows, columns)  # (C, h, w)
        self._found = {}

    @torch.inference_mode()
    def propagate(self) -> Propagation:
        object_ids = sorted(self._sessions)
        if not object_ids:
            return Propagation(np.zeros(0, np.int64), np.zeros((0, *self._valid), np.float32))
        self._found = {object_id: self._sessions[object_id].find(self._look) for object_id in object_ids}
        logits = torch.cat([self._found[object_id]["pred_masks"] for object_id in object_ids])  # (N, 1, h, w)
        maps = functional.interpolate(logits.float(), self._valid, mode="bilinear", align_corners=False)[:, 0]
        return Propagation(np.array(object_ids, np.int64), share_out(maps.sigmoid().cpu().numpy()))

    @torch.inference_mode()
    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            if not (probability > 0.5).any():
                self._tell("skip", frame_index, object_id, "not visible")
            elif not confident.get(object_id, False):
                self._tell("skip", frame_index, object_id, "not confident")
            else:
                self._remember(frame_index, object_id, probability)
        self._found = {}
        self._keep_within(frame_index)

    @torch.inference_mode()
    def add(self, frame_index: int, object_id: int, mask: np.ndarray, afresh: bool = False) -> None:
        check_mask(object_id, mask, self._full, self._features.shape[1:], self._size)
        known = None if afresh else self._sessions.get(object_id)
        session = known or ObjectSession(self._model, self._position, self._device, self._config.max_conditioning)
        if known is None:
            self._check_room(object_id)
            self._descriptors.remove(object_id)
        square = cv2.resize(mask.astype(np.float32), (self._side, self._side), interpolation=cv2.INTER_AREA)
        given = torch.from_numpy((square > 0.5) if (square > 0.5).any() else (square > 0)).float().to(self._device)
        gone = session.condition(self._look, given, frame_index)
        self._sessions[object_id] = session
        self._found.pop(object_id, None)
        self._descriptors.add(object_id, self._descriptor(mask.astype(np.float32)))
        self._tell("write", frame_index, object_id, "first view, permanent" if known is None else "given")
        if gone is not None:
            self._tell("evict", frame_index, object_id, f"the given mask of frame {gone}: more than are kept")
        self._keep_within(frame_index)

    def remove(self, object_id: int) -> None:
        self._sessions.pop(object_id, None)
        self._found.pop(object_id, None)
        self._descriptors.remove(object_id)

    @torch.inference_mode()
    def cells(self) -> CellMap:
        return CellMap(self._features.float(), (0, 0, 0, 0))

    @torch.inference_mode()
    def appearance(self, mask: np.ndarray) -> np.ndarray:
        return self._descriptor(mask.astype(np.float32))

    def appearances(self, object_id: int) -> np.ndarray:
        return self._descriptors.of(object_id)

    def stats(self) -> MemoryStats:
        entries = sum(session.num_memories for session in self._sessions.values())
        return MemoryStats(entries, self._memory_bytes(), self._config.budget_bytes)

    def state_bytes(self) -> int:
        return self._memory_bytes() + self._descriptors.bytes()

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def state_dict(self) -> dict[str, Any]:
        position = self._position.value
        return {
            "sessions": {object_id: session.state_dict() for object_id, session in self._sessions.items()},
            "position": None if position is None else position.cpu().numpy().copy(),
            "descriptors": self._descriptors.state_dict(),
            "full": self._full,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        if state["position"] is not None:
            self._position.keep(torch.tensor(state["position"], device=self._device))
        for object_id, held in state["sessions"].items():
            session = ObjectSession(self._model, self._position, self._device, self._config.max_conditioning)
            session.load_state_dict(held)
            self._sessions[object_id] = session
        self._descriptors.load_state_dict(state["descriptors"])
        self._full = None if state["full"] is None else tuple(state["full"])

    def _remember(self, frame_index: int, object_id: int, probability: np.ndarray) -> None:
        if object_id not in self._found:
            return
        logits = torch.from_numpy(probability).to(self._device)[None, None].logit(_MIN_PROBABILITY)
        logits = functional.interpolate(logits, (self._side, self._side), mode="bilinear", align_corners=False)
        gone = self._sessions[object_id].remember(self._look, self._found[object_id], logits, frame_index)
        self._descriptors.add(object_id, self._descriptor((probability > 0.5).astype(np.float32)))
        self._tell("write", frame_index, object_id, "confident")
        for frame in gone:
            self._tell("evict", frame_index, object_id, f"the spatial memory of frame {frame}: the model reads no more")

    def _check_room(self, object_id: int) -> None:
        """An object must find room for its first view beside those of the others."""
        others = [session for key, session in self._sessions.items() if key != object_id]
        if not others:
            return
        least = max(session.bytes() // max(1, session.num_memories) for session in others)
        if (len(others) + 1) * least + self._position_bytes() > self._config.budget_bytes:
            raise InputError(
                f"budget_bytes: {self._config.budget_bytes} holds no first view of {len(others) + 1} objects "
                f"({least} bytes each); remove an object or give a larger budget"
            )

    def _keep_within(self, frame_index: int) -> None:
        """Drop the oldest spatial memory of the object that has most, down to the budget."""
        while (size := self._memory_bytes()) > self._config.budget_bytes:
            for object_id in sorted(self._sessions, key=lambda key: -self._sessions[key].num_memories):
                if (frame := self._sessions[object_id].drop_oldest()) is not None:
                    reason = f"the spatial memory of frame {frame}: {size} bytes over {self._config.budget_bytes}"
                    self._tell("evict", frame_index, object_id, reason)
                    break
            else:
                raise InputError(
                    f"budget_bytes: {self._config.budget_bytes} does not hold the given masks of "
                    f"{len(self._sessions)} objects ({size} bytes); give a larger budget or fewer objects"
                )

    def _memory_bytes(self) -> int:
        return self._position_bytes() + sum(session.bytes() for session in self._sessions.values())

    def _position_bytes(self) -> int:
        position = self._position.value
        return 0 if position is None else position.numel() * position.element_size()

    def _descriptor(self, mask: np.ndarray) -> np.ndarray:
        """(C,) of an (h, w) float mask at any size."""
        cells = cv2.resize(mask, self._features.shape[:0:-1], interpolation=cv2.INTER_AREA)
        return mean_descriptor(self._features, torch.from_numpy(cells).to(self._device))

    def _tell(self, action: MemoryAction, frame_index: int, object_id: int, reason: str) -> None:
        event = MemoryEvent(self.bank, action, frame_index, f"object {object_id}", reason, self._memory_bytes())
        self._events.append(event)


class Sam2Tracker(VideoModelTracker):
    """SAM 2.1.

    Args:
        config, size, device: as for `VideoModelTracker`.
        weights: a folder with `config.json` and `model.safetensors`; None: the catalogue's.

    Raises:
        MissingWeightsError: the weights are not here; says the command that fetches them. Nothing is downloaded.
    """

    def __init__(self, config: Sam2Config, size: int, device: torch.device, weights: Path | None = None) -> None:
        _check(config, size)
        super().__init__(load_sam2(config.model, weights, device), config, size, device)


class EdgeTamTracker(VideoModelTracker):
    """EdgeTAM; arguments and errors as `Sam2Tracker`."""

    def __init__(self, config: VideoModelConfig, size: int, device: torch.device, weights: Path | None = None) -> None:
        _check(config, size)
        super().__init__(load_edgetam(weights, device), config, size, device)


def _check(config: VideoModelConfig, size: int) -> None:
    """Before anything is loaded."""
    check_size(size)
    if config.max_conditioning < 1:
        raise InputError(f"max_conditioning: expected at least 1, got {config.max_conditioning}")
