"""The appearance model of HQ-SMem (Kazemi et al., 2025): what each object looks like, against the rest of the world.

Each object is kept as the first and second moments of its cells (frozen backbone features and colour), and so is the
background of the whole video (`memory_bank.appearance`); a closed-form head (`ridge.solve`) tells the cells of one
object from the background and from all other objects that are known. Changed from the paper, whose model follows the
object alone: the other objects are told apart by name, which is what keeps twins apart, and the background never fades,
so that a place which was seen once is not taken for a lost object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from memory_bank.appearance import AppearanceMemory, Look
from pipelines.trackers.protocol import CellMap
from pipelines.trackers.ridge import solve

_LIMIT = 5.0  # of a normalised feature: a single odd channel must not decide


@dataclass(frozen=True)
class AppearanceRules:
    """How the appearance is learned: chosen on composed clips set aside for development."""

    first_weight: float = 0.7  # least weight of the confirmed views; larger follows changes less
    first_views: float = 16.0  # what a confirmed view is worth at first, in others; larger lets early slides in less
    follow_rate: float = 0.01  # least weight of a new view; larger follows changes faster and forgets sooner
    others_weight: float = 0.3  # of other objects against the background; larger tells twins apart better
    regularisation: float = 3e-2  # of the heads; larger generalises more and separates less


class AppearanceModel:
    """`observe` a frame first; all else speaks of it. Cell maps are (h, w) at the tracker's grid.

    Args:
        budget_bytes: of the appearance memory, which keeps what is learned.
        device: where tensors live.
        rules: see `AppearanceRules`.
    """

    def __init__(self, budget_bytes: int, device: torch.device, rules: AppearanceRules | None = None) -> None:
        self._rules, self._device = rules or AppearanceRules(), device
        self.memory = AppearanceMemory(budget_bytes, self._rules.follow_rate, device)
        self.reset()

    def reset(self) -> None:
        self.memory.reset()
        self._heads: dict[int, torch.Tensor] = {}  # (D,), follows from the memory
        self._centre: torch.Tensor | None = None  # (D - 1, 1) of the first frame's features
        self._spread: torch.Tensor | None = None
        self.grid = (0, 0)

    @property
    def object_ids(self) -> list[int]:
        """Objects that can be recognised."""
        return sorted(self._heads)

    @torch.inference_mode()
    def observe(self, picture: np.ndarray, cells: CellMap) -> None:
        """Take (h, w, 3) uint8 RGB as the current frame at the tracker's working size, with its features."""
        self._padding, self._size = cells.padding, picture.shape[:2]
        self.grid = tuple(cells.features.shape[1:])
        features = torch.cat([cells.features, self._colours(picture)]).flatten(1)
        if self._centre is None:
            self._centre, spread = features.mean(dim=1, keepdim=True), features.std(dim=1, keepdim=True)
            self._spread = spread + 1e-3
        features = ((features - self._centre) / self._spread).clamp_(-_LIMIT, _LIMIT)
        self._cells = torch.cat([features, features.new_ones(1, features.shape[1])])  # (D, P)
        self._maps: dict[int, np.ndarray] | None = None

    @torch.inference_mode()
    def similarity(self) -> dict[int, np.ndarray]:
        """(h, w) float32 of each known object: 1 where a cell looks like it, 0 where like anything else."""
        if self._maps is None:
            ids = self.object_ids
            heads = [self._heads[object_id] for object_id in ids]
            maps = (torch.stack(heads) @ self._cells).clamp_(-0.5, 1.2).cpu().numpy() if ids else ()
            self._maps = {key: one.reshape(self.grid) for key, one in zip(ids, maps, strict=True)}
        return self._maps

    @torch.inference_mode()
    def confirm(self, frame_index: int, object_id: int, share: np.ndarray, replace: bool) -> None:
        """An object surely covers this (h, w) share of the cells; `replace` forgets what was known."""
        moments = self._moments(share)
        if moments is not None:
            self.memory.write(frame_index, object_id, moments, replace)

    @torch.inference_mode()
    def follow(self, frame_index: int, object_id: int, share: np.ndarray) -> None:
        """A known object is seen, surely, on this (h, w) share of the cells."""
        moments = self._moments(share)
        if moments is not None:
            self.memory.follow(frame_index, object_id, moments)

    @torch.inference_mode()
    def learn_background(self, share: np.ndarray) -> None:
        """No object is on this (h, w) share of the cells."""
        moments = self._moments(share)
        if moments is not None:
            self.memory.follow_background(moments)

    @torch.inference_mode()
    def fit(self) -> None:
        """Bring the heads up to date."""
        means = {object_id: self._mean(look) for object_id, look in self.memory.read().items()}
        total = sum(means.values())
        self._heads = {}
        for object_id, own in means.items():
            rest = self.memory.background
            if len(means) > 1:
                others = (total - own) / (len(means) - 1)
                rest = others if rest is None else torch.lerp(rest, others, self._rules.others_weight)
            gram = own if rest is None else own + rest
            self._heads[object_id] = solve(gram, own[:, -1], self._rules.regularisation)
        self._maps = None

    def to_cells(self, mask: np.ndarray) -> np.ndarray:
        """(h, w) at the working size to the share of each cell that it covers."""
        padded = cv2.copyMakeBorder(mask.astype(np.float32), *self._padding, cv2.BORDER_REPLICATE)
        return cv2.resize(padded, self.grid[::-1], interpolation=cv2.INTER_AREA)

    def to_pixels(self, cells: np.ndarray) -> np.ndarray:
        """A float32 cell map to the working size."""
        above, below, left, right = self._padding
        height, width = self._size
        padded = cv2.resize(cells, (width + left + right, height + above + below), interpolation=cv2.INTER_CUBIC)
        return padded[above : above + height, left : left + width]

    def remove(self, object_id: int) -> None:
        """Forget an object; an unknown id is fine."""
        self.memory.remove(object_id)
        self._heads.pop(object_id, None)

    def state_dict(self) -> dict[str, Any]:
        def plain(tensor: torch.Tensor | None) -> np.ndarray | None:
            return None if tensor is None else tensor.cpu().numpy().copy()

        return {
            "memory": self.memory.state_dict(),
            "heads": {object_id: plain(head) for object_id, head in self._heads.items()},
            "centre": plain(self._centre),
            "spread": plain(self._spread),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        def tensor(array: np.ndarray | None) -> torch.Tensor | None:
            return None if array is None else torch.tensor(array, device=self._device)

        self.reset()
        self.memory.load_state_dict(state["memory"])
        self._heads = {object_id: tensor(head) for object_id, head in state["heads"].items()}
        self._centre, self._spread = tensor(state["centre"]), tensor(state["spread"])

    def _mean(self, look: Look) -> torch.Tensor:
        """Confirmed and running views of an object, weighed."""
        if not look.num_views:
            return look.confirmed
        confirmed = look.num_confirmed * self._rules.first_views
        alone = confirmed / (confirmed + look.num_views)
        return torch.lerp(look.running, look.confirmed, max(alone, self._rules.first_weight))

    def _moments(self, share: np.ndarray) -> torch.Tensor | None:
        """(D, D) mean over cells, by their share; only those that lie mostly inside, where there are any."""
        weights = np.where(share > 0.5, share, 0.0) if (share > 0.5).any() else share
        total = float(weights.sum())
        if total < 0.05:
            return None
        flat = torch.from_numpy((weights / total).astype(np.float32).ravel()).to(self._device)
        chosen = flat.nonzero().flatten()
        inside = self._cells[:, chosen]
        return (inside * flat[chosen]) @ inside.T

    def _colours(self, picture: np.ndarray) -> torch.Tensor:
        """(12, h, w): mean, products and spread of the Lab values inside each cell."""
        above, below, left, right = self._padding
        lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32) - np.float32([128, 128, 128])
        lab = cv2.copyMakeBorder(lab / 50.0, above, below, left, right, cv2.BORDER_REPLICATE)
        mean = cv2.resize(lab, self.grid[::-1], interpolation=cv2.INTER_AREA)
        square = cv2.resize(lab * lab, self.grid[::-1], interpolation=cv2.INTER_AREA)
        spread = np.sqrt(np.maximum(square - mean * mean, 0.0))
        bright, red, blue = mean[..., 0], mean[..., 1], mean[..., 2]
        products = [bright * bright, red * red, blue * blue, red * blue, bright * red, bright * blue]
        stacked = np.concatenate([mean, np.stack(products, axis=-1), spread], axis=-1)
        return torch.from_numpy(stacked).to(self._device).permute(2, 0, 1)
