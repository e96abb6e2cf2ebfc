"""One object's memory in a `transformers` video session (SAM 2, EdgeTAM), in a fixed number of bytes.

The session that the library offers keeps every frame, every mask and every output for good, and cannot forget an
object. Here each object has a session of its own, which holds what the model reads and nothing else: the conditioning
frames, the spatial memory of the last `num_maskmem - 1` frames and the pointers (one vector each) of the last
`max_object_pointers_in_encoder - 1`. Its clock ticks only when something is remembered, so that the last good views
stay while an object is away (as in SAMURAI, Yang et al., 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

_ROW = 0  # of the only object in a session


@dataclass(frozen=True)
class EncodedFrame:
    """A frame as the model sees it: its square input and its features, level by level, (h * w, 1, C) each."""

    pixels: torch.Tensor
    features: list[torch.Tensor]
    positions: list[torch.Tensor]


class PositionCode:
    """The spatial position code of memories: of the model, the same for all frames and objects, held once."""

    def __init__(self) -> None:
        self.value: torch.Tensor | None = None

    def keep(self, value: torch.Tensor) -> torch.Tensor:
        """The one that is held; the first that comes becomes it."""
        if self.value is None:
            self.value = value.contiguous().clone()
        return self.value


class ObjectSession:
    """Conditioning frames, recent memories and pointers of one object.

    Args:
        model: a `Sam2VideoModel` or `EdgeTamVideoModel`.
        position: shared by all sessions of a model.
        device: where tensors live.
        max_conditioning: given masks that are kept, the first among them.
    """

    def __init__(
        self, model: torch.nn.Module, position: PositionCode, device: torch.device, max_conditioning: int
    ) -> None:
        self._model, self._position, self._device = model, position, device
        self._max_conditioning = max_conditioning
        self._clock = 0  # the current frame's number: how many were remembered before
        self._session = self._new_session()

    def find(self, frame: EncodedFrame) -> dict[str, torch.Tensor]:
        """See a frame without remembering it: `pred_masks` (1, 1, h, w) logits, `object_pointer`, score."""
        self._run(frame, run_mem_encoder=False)
        found = self._outputs["non_cond_frame_outputs"].pop(self._clock)
        self._forget_frame()
        return found

    def condition(self, frame: EncodedFrame, mask: torch.Tensor, frame_index: int) -> int | None:
        """Take a given (S, S) float mask of the frame as the truth; returns the frame that had to go for it."""
        session = self._session
        session.add_mask_inputs(_ROW, self._clock, mask[None, None])
        session.obj_with_new_inputs = [session.obj_idx_to_id(_ROW)]
        self._run(frame, run_mem_encoder=True)
        kept = self._outputs["cond_frame_outputs"]
        kept[self._clock] = {
            "maskmem_features": kept[self._clock]["maskmem_features"].contiguous().clone(),
            "maskmem_pos_enc": self._position.keep(kept[self._clock]["maskmem_pos_enc"]),
            "object_pointer": kept[self._clock]["object_pointer"].clone(),
            "frame": frame_index,
        }
        self._clock += 1
        self._forget_frame()
        if len(kept) <= self._max_conditioning:
            return None
        return kept.pop(sorted(kept)[min(1, len(kept) - 2)])["frame"]

    def remember(
        self, frame: EncodedFrame, found: dict[str, torch.Tensor], logits: torch.Tensor, frame_index: int
    ) -> list[int]:
        """Store a frame with the (1, 1, S, S) mask logits that were decided; returns the frames that left for it."""
        features, positions = self._model._encode_new_memory(  # the only way in for a mask that is not the model's own
            current_vision_feats=frame.features[-1],
            pred_masks_high_res=logits,
            object_score_logits=found["object_score_logits"],
            is_mask_from_pts=False,
        )
        self._outputs["non_cond_frame_outputs"][self._clock] = {
            "maskmem_features": features.contiguous().clone(),
            "maskmem_pos_enc": self._position.keep(positions),
            "object_pointer": found["object_pointer"].clone(),
            "frame": frame_index,
        }
        self._clock += 1
        return self._prune()

    def drop_recent(self) -> None:
        """Forget where the object was lately; given masks and pointers stay."""
        self._clock += self._model.config.num_maskmem - 1  # as if so much time had passed
        self._prune()

    def drop_oldest(self) -> int | None:
        """Forget the oldest remembered frame that was not given, to save bytes; None where there is none."""
        recent = self._outputs["non_cond_frame_outputs"]
        for number in sorted(recent):
            if "maskmem_features" in recent[number]:
                return recent.pop(number)["frame"]
        return None

    @property
    def num_memories(self) -> int:
        """Frames whose spatial memory is held."""
        return sum("maskmem_features" in output for output in self._all_outputs())

    def bytes(self) -> int:
        """Of the tensors held; the spatial position code is of the model, not of the object, and shared by all."""
        tensors = [
            output[name]
            for output in self._all_outputs()
            for name in ("maskmem_features", "object_pointer")
            if name in output
        ]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)

    def state_dict(self) -> dict[str, Any]:
        return {
            "clock": self._clock,
            "outputs": {
                kind: {number: _to_plain(output) for number, output in outputs.items()}
                for kind, outputs in self._outputs.items()
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._session, self._clock = self._new_session(), state["clock"]
        for kind, outputs in state["outputs"].items():
            for number, output in outputs.items():
                tensors = {name: _to_tensor(name, value, self._device) for name, value in output.items()}
                if "maskmem_features" in tensors:
                    tensors["maskmem_pos_enc"] = self._position.value
                self._outputs[kind][number] = tensors

    @property
    def _outputs(self) -> dict[str, dict[int, dict[str, Any]]]:
        return self._session.output_dict_per_obj[_ROW]

    def _all_outputs(self) -> list[dict[str, Any]]:
        return [output for outputs in self._outputs.values() for output in outputs.values()]

    def _new_session(self) -> Any:
        session = _session_kind(self._model)(
            inference_device=self._device,
            inference_state_device=self._device,
            video_storage_device=self._device,
            dtype=torch.float32,
        )
        session.obj_id_to_idx(1)
        return session

    def _run(self, frame: EncodedFrame, run_mem_encoder: bool) -> None:
        self._session.cache.clear_all()
        features = {"vision_feats": frame.features, "vision_pos_embeds": frame.positions}
        self._session.cache.cache_vision_features(self._clock, features)
        self._model(
            inference_session=self._session,
            frame=frame.pixels,  # not encoded again: its features are in the cache
            frame_idx=self._clock,
            run_mem_encoder=run_mem_encoder,
        )

    def _forget_frame(self) -> None:
        """What the library would keep of every frame."""
        session = self._session
        session.cache.clear_all()
        session.processed_frames = None
        session.frames_tracked_per_obj[_ROW].clear()
        session.mask_inputs_per_obj[_ROW].clear()

    def _prune(self) -> list[int]:
        config, recent, left = self._model.config, self._outputs["non_cond_frame_outputs"], []
        for number in sorted(recent):
            age = self._clock - number  # when the next frame comes
            if age >= config.num_maskmem and "maskmem_features" in recent[number]:
                del recent[number]["maskmem_features"], recent[number]["maskmem_pos_enc"]
                left.append(recent[number]["frame"])
            if age >= config.max_object_pointers_in_encoder:
                del recent[number]
        return left


def _session_kind(model: torch.nn.Module) -> type:
    if model.config.model_type == "edgetam_video":
        from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession as kind
    else:
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession as kind
    return kind


def _to_plain(output: dict[str, Any]) -> dict[str, Any]:
    """SAM 2 keeps its memories in bfloat16, which NumPy does not know: their bits as int16."""
    plain: dict[str, Any] = {"frame": output["frame"]}
    for name in ("maskmem_features", "object_pointer"):
        if name in output:
            tensor = output[name].view(torch.int16) if output[name].dtype == torch.bfloat16 else output[name]
            plain[name] = tensor.cpu().numpy().copy()
    return plain


def _to_tensor(name: str, value: Any, device: torch.device) -> Any:
    if name == "frame":
        return value
    tensor = torch.tensor(value, device=device)
    return tensor.view(torch.bfloat16) if tensor.dtype == torch.int16 else tensor
