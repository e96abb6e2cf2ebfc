"""A frame as Cutie's network sees it: padded to whole strides and encoded, and maps on their way to and fro."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from pipelines.trackers.descriptors import mean_descriptor
from pipelines.trackers.protocol import CellMap
from streamvos.models.efficientnet_lite import scale_to_short_side

_STRIDE = 16


@dataclass(frozen=True)
class CutieFrame:
    """What the network makes of one frame, whatever the objects.

    Args:
        picture: (h, w, 3) uint8 RGB at the working size.
        pixels: (1, 3, H, W) float32 in [0, 1], padded to whole strides.
        padding: (left, right, above, below) of `pixels`.
        scales: feature maps at strides 16, 8 and 4.
        features, key, shrinkage, selection: at stride 16, as the package names them.
    """

    picture: np.ndarray
    pixels: torch.Tensor
    padding: tuple[int, int, int, int]
    scales: tuple[torch.Tensor, ...]
    features: torch.Tensor
    key: torch.Tensor
    shrinkage: torch.Tensor
    selection: torch.Tensor

    @classmethod
    def encoded(cls, image: np.ndarray, size: int, network: torch.nn.Module, device: torch.device) -> CutieFrame:
        """Scale (H, W, 3) uint8 RGB to a short side of `size`, pad, encode."""
        picture = scale_to_short_side(image, size)
        height, width = picture.shape[:2]
        rows, columns = -height % _STRIDE, -width % _STRIDE
        padding = columns // 2, columns - columns // 2, rows // 2, rows - rows // 2
        pixels = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float().div_(255.0)
        pixels = functional.pad(pixels, padding)
        scales, features = network.encode_image(pixels)
        return cls(picture, pixels, padding, scales, features, *network.transform_key(scales[0]))

    @property
    def valid(self) -> tuple[int, int]:
        """The working size (h, w)."""
        return self.picture.shape[:2]

    @property
    def grid(self) -> tuple[int, int]:
        """Cells at stride 16, those of the padding among them."""
        return self.pixels.shape[-2] // _STRIDE, self.pixels.shape[-1] // _STRIDE

    def cells(self) -> CellMap:
        left, right, above, below = self.padding
        return CellMap(self.key[0].float(), (above, below, left, right))

    def padded(self, probability: np.ndarray) -> torch.Tensor:
        """(h, w) at the working size to the (H, W) of the padded picture."""
        return functional.pad(torch.tensor(probability, device=self.pixels.device), self.padding)

    def padded_mask(self, mask: np.ndarray) -> torch.Tensor:
        """A bool mask at the frame's own size to float32 shares at the (H, W) of the padded picture."""
        return self.padded(cv2.resize(mask.astype(np.float32), self.valid[::-1], interpolation=cv2.INTER_AREA))

    def cut(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, H, W) of the padded picture to (N, h, w)."""
        left, _, above, _ = self.padding
        height, width = self.valid
        return maps[:, above : above + height, left : left + width]

    def descriptor(self, probability: torch.Tensor) -> np.ndarray:
        """(C,) float32 unit vector of what lies under an (H, W) mask of the padded picture."""
        share = functional.avg_pool2d((probability > 0.5).float()[None, None], _STRIDE)[0, 0]
        return mean_descriptor(self.key[0], share)
