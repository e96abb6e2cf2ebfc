"""Video models of `transformers` (SAM 2.1, EdgeTAM) as base trackers: one frame at a time, in bounded memory.

A frame is encoded once for all objects; each object reads its
own memory (`video_session`). What is remembered is the stage's decision: confident objects, with the masks that the
stage handed back; SAM 2 itself would remember every frame, also those in which it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from memory_bank.protocol import MemoryStats
from pipelines.trackers.checks import check_mask, checked_size
from pipelines.trackers.descriptors import MAX_DESCRIPTORS, Descriptors, mean_descriptor
from pipelines.trackers.protocol import CellMap, Propagation, TrackerSetup
from pipelines.trackers.sharing import share_out
from pipelines.trackers.video_session import EncodedFrame, ObjectSession, PositionCode
from streamvos.config import Settings, setting
from streamvos.errors import InputError
from streamvos.models.efficientnet_lite import scale_to_short_side
from streamvos.models.sam2_video import square_pixels
from streamvos.records import MemoryAction, MemoryEvent

_MIN_PROBABILITY = 1e-6  # a mask's probabilities become logits again


@dataclass(frozen=True)
class VideoModelConfig(Settings):
    """How much a video model may remember."""

    max_conditioning: int = setting(
        4, "given masks of an object that are kept, the first always; more is slower", low=1
    )
    max_descriptors: int = setting(8, MAX_DESCRIPTORS, low=1)


class VideoModelTracker:
    """A `BaseTracker` on a loaded video model; `Sam2Tracker` and `EdgeTamTracker` load theirs.

    Args:
        model: a `Sam2VideoModel` or `EdgeTamVideoModel`, on the setup's device.
        config: see `VideoModelConfig`.
        setup: see there; its size is that of the maps that come out, the model's own input is a fixed square.
    """

    bank = "keyframes"
    keyframes_mib = 256.0  # SAM 2 takes up to 5 MB an object, EdgeTAM 1.3 MB
    confidence_is_calibrated = False

    def __init__(self, model: torch.nn.Module, config: VideoModelConfig, setup: TrackerSetup) -> None:
        self._model, self._config, self._size, self._device = model, config, setup.size, setup.device
        self._budget_bytes = setup.budget_bytes
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
        self._full = checked_size(image, self._full)
        self._picture = scale_to_short_side(image, self._size)
        pixels = square_pixels(image, self._side, self._device)
        encoded = self._model.get_image_features(pixels, return_dict=True)
        self._frame = EncodedFrame(pixels, list(encoded.fpn_hidden_states), list(encoded.fpn_position_encoding))
        rows, columns = self._model.backbone_feature_sizes[-1]
        self._features = self._frame.features[-1][:, 0].T.reshape(-1, rows, columns)  # (C, h, w)
        self._found = {}

    @torch.inference_mode()
    def propagate(self) -> Propagation:
        object_ids = sorted(self._sessions)
        if not object_ids:
            return Propagation.empty(self._picture.shape[:2])
        self._found = {object_id: self._sessions[object_id].find(self._frame) for object_id in object_ids}
        logits = torch.cat([self._found[object_id]["pred_masks"] for object_id in object_ids])  # (N, 1, h, w)
        maps = functional.interpolate(logits.float(), self._picture.shape[:2], mode="bilinear", align_corners=False)[
            :, 0
        ]
        return Propagation(np.array(object_ids, np.int64), share_out(maps.sigmoid().cpu().numpy()))

    @torch.inference_mode()
    def memorize(self, frame_index: int, propagation: Propagation, confident: Mapping[int, bool]) -> None:
        for object_id, probability in propagation.items():
            if not (probability > 0.5).any():
                self._tell("skip", frame_index, object_id, "no view of object {}: it is not visible")
            elif not confident.get(object_id, False):
                self._tell("skip", frame_index, object_id, "no view of object {}: the mask is not confident")
            else:
                self._remember(frame_index, object_id, probability)
        self._found = {}
        self._keep_within(frame_index)

    @torch.inference_mode()
    def add(self, frame_index: int, object_id: int, mask: np.ndarray, replace: bool = False) -> None:
        check_mask(object_id, mask, self._full, self._features.shape[1:], self._size)
        known = None if replace else self._sessions.get(object_id)
        session = known or ObjectSession(self._model, self._position, self._device, self._config.max_conditioning)
        if known is None:
            self._check_room(object_id)
            self._descriptors.remove(object_id)
        square = cv2.resize(mask.astype(np.float32), (self._side, self._side), interpolation=cv2.INTER_AREA)
        given = torch.from_numpy((square > 0.5) if (square > 0.5).any() else (square > 0)).float().to(self._device)
        gone = session.condition(self._frame, given, frame_index)
        self._sessions[object_id] = session
        self._found.pop(object_id, None)
        self._descriptors.add(object_id, self._descriptor(mask.astype(np.float32)))
        first = "kept the first view of object {}: it stays for good"
        self._tell(
            "write", frame_index, object_id, first if known is None else "kept a view of object {}: it was given"
        )
        if gone is not None:
            reason = "dropped a given mask of object {}: there are more than are kept"
            self._tell("evict", frame_index, object_id, reason, {"of_frame": gone})
        self._keep_within(frame_index)

    def remove(self, object_id: int) -> None:
        self._sessions.pop(object_id, None)
        self._found.pop(object_id, None)
        self._descriptors.remove(object_id)

    def picture(self) -> np.ndarray:
        return self._picture

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
        return MemoryStats(entries, self._memory_bytes(), self._budget_bytes)

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
        logits = torch.tensor(probability, device=self._device)[None, None].logit(_MIN_PROBABILITY)
        logits = functional.interpolate(logits, (self._side, self._side), mode="bilinear", align_corners=False)
        gone = self._sessions[object_id].remember(self._frame, self._found[object_id], logits, frame_index)
        self._descriptors.add(object_id, self._descriptor((probability > 0.5).astype(np.float32)))
        self._tell("write", frame_index, object_id, "kept a view of object {}: the mask is confident")
        for frame in gone:
            reason = "dropped a view of object {}: the model does not read more of them"
            self._tell("evict", frame_index, object_id, reason, {"of_frame": frame})

    def _check_room(self, object_id: int) -> None:
        """An object must find room for its first view beside those of the others."""
        others = [session for key, session in self._sessions.items() if key != object_id]
        if not others:
            return
        least = max(session.bytes() // max(1, session.num_memories) for session in others)
        if (len(others) + 1) * least + self._position_bytes() > self._budget_bytes:
            raise InputError(
                f"memory.keyframes_mib: {self._budget_bytes} bytes hold no first view of {len(others) + 1} objects "
                f"({least} bytes each); remove an object or give a larger budget"
            )

    def _keep_within(self, frame_index: int) -> None:
        """Drop the oldest spatial memory of the object that has most, down to the budget."""
        while (size := self._memory_bytes()) > self._budget_bytes:
            for object_id in sorted(self._sessions, key=lambda key: -self._sessions[key].num_memories):
                if (frame := self._sessions[object_id].drop_oldest()) is not None:
                    numbers = {"of_frame": frame, "bytes": size, "budget_bytes": self._budget_bytes}
                    reason = "dropped the oldest view of object {}: all objects together were over the budget"
                    self._tell("evict", frame_index, object_id, reason, numbers)
                    break
            else:
                raise InputError(
                    f"memory.keyframes_mib: {self._budget_bytes} bytes do not hold the given masks of "
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

    def _tell(
        self,
        action: MemoryAction,
        frame_index: int,
        object_id: int,
        reason: str,
        numbers: Mapping[str, float] | None = None,
    ) -> None:
        """Leave an event; `reason` has a place for the object's id."""
        size, entry = self._memory_bytes(), f"object {object_id}"
        reason = reason.format(object_id)
        self._events.append(MemoryEvent(self.bank, action, frame_index, entry, reason, size, numbers or {}))
