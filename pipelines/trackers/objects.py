"""What a tracker with a ridge head keeps of one object beside its key frames; a fixed number of bytes."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch

from pipelines.trackers.ridge import REGULARISATION, solve, unpack

_AREAS = 15  # recent areas whose median is the usual one: a second or two, as masks are learned every few frames
# Chosen on the eight DAVIS sequences of docs/architecture.md, as all numbers of the embedded tracker.
_RUNNING_RATE = 0.15  # of the running appearance; larger forgets faster
_KEYFRAME_SHARE = 0.4  # of the key frames against the running appearance when the head is fitted
_FIRST_SHARE = 0.5  # of the first view, which somebody confirmed, among the key frames


class TrackedObject:
    """The head, the running appearance sums and the last mask of one object.

    Args:
        head: (D,) float32, from descriptor to score.
        gram: (D, D) float32 running mean of Gram matrices.
        moment: (D,) float32 running mean of moments.
        last_probability: (h, w) float32 at the working size, None while the object is not seen.
    """

    def __init__(
        self,
        head: torch.Tensor,
        gram: torch.Tensor,
        moment: torch.Tensor,
        last_probability: np.ndarray | None,
    ) -> None:
        self.head, self.gram, self.moment = head, gram, moment
        self.last_probability = last_probability
        self._areas: deque[int] = deque(maxlen=_AREAS)
        if last_probability is not None:
            self.note_area(int((last_probability > 0.5).sum()))

    def follow(self, gram: torch.Tensor, moment: torch.Tensor) -> None:
        """Move the running appearance towards the newest view."""
        self.gram = torch.lerp(self.gram, gram, _RUNNING_RATE)
        self.moment = torch.lerp(self.moment, moment, _RUNNING_RATE)

    def fit(self, grams: torch.Tensor, moments: torch.Tensor) -> None:
        """Fit the head anew to the running appearance and n key frames, the first view first.

        Args:
            grams: (n, D * (D + 1) / 2), packed.
            moments: (n, D).
        """
        rest = (1.0 - _FIRST_SHARE) / max(1, len(grams) - 1)
        weights = torch.full((len(grams),), rest, device=grams.device)
        weights[0] = _FIRST_SHARE if len(weights) > 1 else 1.0
        kept = unpack(weights @ grams, len(self.moment))
        gram = _KEYFRAME_SHARE * kept + (1.0 - _KEYFRAME_SHARE) * self.gram
        moment = _KEYFRAME_SHARE * (weights @ moments) + (1.0 - _KEYFRAME_SHARE) * self.moment
        self.head = solve(gram, moment, REGULARISATION)

    def note_area(self, area_px: int) -> None:
        self._areas.append(area_px)

    def usual_area_px(self) -> float:
        """Median of the recent areas, at least 1."""
        return max(1.0, float(np.median(self._areas))) if self._areas else 1.0

    def bytes(self) -> int:
        tensors = (self.head, self.gram, self.moment)
        mask = 0 if self.last_probability is None else self.last_probability.nbytes
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors) + mask

    def state_dict(self) -> dict[str, Any]:
        return {
            "head": self.head.cpu().numpy(),
            "gram": self.gram.cpu().numpy(),
            "moment": self.moment.cpu().numpy(),
            "last_probability": self.last_probability,
            "areas": list(self._areas),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> TrackedObject:
        head, gram, moment = (torch.tensor(state[name], device=device) for name in ("head", "gram", "moment"))
        item = cls(head, gram, moment, None)
        item.last_probability = state["last_probability"]
        item._areas.extend(state["areas"])
        return item
