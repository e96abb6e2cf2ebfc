"""The appearance model of HQ-SMem (Kazemi et al., 2025): what each object looks like, against the rest of the world.

Each object is kept as the first and second moments of its cells (frozen backbone features and colour), and so is the
background of the whole video; a closed-form head (`ridge.solve`) tells the cells of one object from the background
and from all other objects that are known. Changed from the paper, whose model follows the object alone: the other
objects are told apart by name, which is what keeps twins apart, and the background never fades, so that a place which
was seen once is not taken for a lost object. Whatever the length of the video, the bytes are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from memory_bank.protocol import MemoryStats
from pipelines.trackers.protocol import CellMap
from pipelines.trackers.ridge import solve

_LIMIT = 5.0  # of a normalised feature: a single odd channel must not decide


@dataclass(frozen=True)
class AppearanceConfig:
    """How the appearance is learned."""

    first_weight: float = 0.7  # least weight of the views that somebody vouched for; larger follows changes less
    first_views: float = 16.0  # what a vouched view is worth at first, in others; larger lets early slides in less
    follow_rate: float = 0.01  # least weight of a new view; larger follows changes faster and forgets sooner
    others_weight: float = 0.3  # of other objects against the background; larger tells twins apart better
    regularisation: float = 3e-2  # of the heads; larger generalises more and separates less


@dataclass
class _Look:
    """Moments of one object's cells: vouched views, and the running mean of the views since."""

    first: torch.Tensor  # (D, D); its last row and column are the first moment, for features end in a constant
    running: torch.Tensor
    num_first: int = 1
    num_views: int = 0


class Appearance:
    """`observe` a frame first; all else speaks of it. Cell maps are (h, w) at the tracker's grid.

    Args:
        config: see `AppearanceConfig`.
        max_objects: known at once; the stage sees to it.
        device: where tensors live.
    """

    def __init__(self, config: AppearanceConfig, max_objects: int, device: torch.device) -> None:
        self._config, self._max_objects, self._device = config, max_objects, device
        self.reset()

    def reset(self) -> None:
        self._looks: dict[int, _Look] = {}
        self._heads: dict[int, torch.Tensor] = {}  # (D,)
        self._background: torch.Tensor | None = None  # (D, D) mean over frames
        self._num_backgrounds = 0
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
    def likeness(self) -> dict[int, np.ndarray]:
        """(h, w) float32 of each known object: 1 where a cell looks like it, 0 where like anything else."""
        if self._maps is None:
            ids = self.object_ids
            heads = [self._heads[object_id] for object_id in ids]
            maps = (torch.stack(heads) @ self._cells).clamp_(-0.5, 1.2).cpu().numpy() if ids else ()
            self._maps = {key: one.reshape(self.grid) for key, one in zip(ids, maps, strict=True)}
        return self._maps

    @torch.inference_mode()
    def vouch(self, object_id: int, share: np.ndarray, afresh: bool) -> None:
        """Somebody says that an object covers this (h, w) share of the cells; `afresh` forgets what was known."""
        moments = self._moments(share)
        if moments is None:
            return
        look = None if afresh else self._looks.get(object_id)
        if look is None:
            self._looks[object_id] = _Look(moments, torch.zeros_like(moments))
            return
        look.num_first += 1
        look.first = torch.lerp(look.first, moments, 1.0 / look.num_first)

    @torch.inference_mode()
    def follow(self, object_id: int, share: np.ndarray) -> None:
        """A known object is seen, surely, on this (h, w) share of the cells."""
        moments, look = self._moments(share), self._looks.get(object_id)
        if moments is None or look is None:
            return
        look.num_views += 1
        rate = max(1.0 / look.num_views, self._config.follow_rate)
        look.running = torch.lerp(look.running, moments, rate)

    @torch.inference_mode()
    def learn_background(self, share: np.ndarray) -> None:
        """No object is on this (h, w) share of the cells."""
        moments = self._moments(share)
        if moments is None:
            return
        self._num_backgrounds += 1
        rate = max(1.0 / self._num_backgrounds, self._config.follow_rate)
        self._background = moments if self._background is None else torch.lerp(self._background, moments, rate)

    @torch.inference_mode()
    def fit(self) -> None:
        """Bring the heads up to date."""
        means = {object_id: self._mean(look) for object_id, look in self._looks.items()}
        total = sum(means.values())
        self._heads = {}
        for object_id, own in means.items():
            rest = self._background
            if len(means) > 1:
                others = (total - own) / (len(means) - 1)
                rest = others if rest is None else torch.lerp(rest, others, self._config.others_weight)
            gram = own if rest is None else own + rest
            self._heads[object_id] = solve(gram, own[:, -1], self._config.regularisation)
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
        self._looks.pop(object_id, None)
        self._heads.pop(object_id, None)

    def stats(self) -> MemoryStats:
        tensors = [self._background] if self._background is not None else []
        tensors += [part for look in self._looks.values() for part in (look.first, look.running)]
        tensors += self._heads.values()
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        length = 0 if self._centre is None else len(self._centre) + 1
        capacity = 4 * (self._max_objects * (2 * length**2 + length) + length**2)
        return MemoryStats(len(self._looks), size, capacity)

    def state_dict(self) -> dict[str, Any]:
        def plain(tensor: torch.Tensor | None) -> np.ndarray | None:
            return None if tensor is None else tensor.cpu().numpy().copy()

        looks = {
            object_id: (plain(look.first), plain(look.running), look.num_first, look.num_views)
            for object_id, look in self._looks.items()
        }
        return {
            "looks": looks,
            "heads": {object_id: plain(head) for object_id, head in self._heads.items()},
            "background": plain(self._background),
            "num_backgrounds": self._num_backgrounds,
            "centre": plain(self._centre),
            "spread": plain(self._spread),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        def tensor(array: np.ndarray | None) -> torch.Tensor | None:
            return None if array is None else torch.tensor(array, device=self._device)

        self.reset()
        self._looks = {
            object_id: _Look(tensor(first), tensor(running), num_first, num_views)
            for object_id, (first, running, num_first, num_views) in state["looks"].items()
        }
        self._heads = {object_id: tensor(head) for object_id, head in state["heads"].items()}
        self._background, self._num_backgrounds = tensor(state["background"]), state["num_backgrounds"]
        self._centre, self._spread = tensor(state["centre"]), tensor(state["spread"])

    def _mean(self, look: _Look) -> torch.Tensor:
        """Vouched and running views of an object, weighed."""
        if not look.num_views:
            return look.first
        vouched = look.num_first * self._config.first_views
        alone = vouched / (vouched + look.num_views)
        return torch.lerp(look.running, look.first, max(alone, self._config.first_weight))

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
