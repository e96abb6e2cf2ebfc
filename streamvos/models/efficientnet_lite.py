"""Frozen EfficientNet-Lite0 image features, from the packaged ImageNet weights.

Every tracker of ours looks at a frame through this network, once a frame, whatever the number of objects. On a CPU the
same numbers come sooner than from the network as it is published: batch norm and padding are folded into the
convolutions, the memory layout is channels-last, and the layers beyond stride 16, which nobody reads, are left out.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import timm
import torch
import torch.nn.functional as functional
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from streamvos.errors import IntegrityError
from streamvos.models.catalogue import locate

CHANNELS = {4: 24, 8: 40, 16: 112}
_STAGES = 5  # up to the last one at stride 16
_LATER_BLOCKS = ("conv_head", "bn2", "classifier")  # what ImageNet classification needs and features do not


@dataclass(frozen=True)
class Features:
    """Feature maps of one frame, each (1, C, h, w) float32 at its stride.

    `image` is the (H, W, 3) uint8 RGB picture that they were computed from, padded to whole strides; `valid` is its
    (H, W) before padding.
    """

    image: np.ndarray
    valid: tuple[int, int]
    stride4: torch.Tensor
    stride8: torch.Tensor
    stride16: torch.Tensor

    @property
    def padded(self) -> tuple[int, int]:
        """(H, W) of `image`."""
        return self.image.shape[:2]

    @property
    def picture(self) -> np.ndarray:
        """`image` without its padding."""
        return self.image[: self.valid[0], : self.valid[1]]

    @functools.cached_property
    def stride16_at_8(self) -> torch.Tensor:
        """`stride16` scaled up to the cells of `stride8`."""
        return functional.interpolate(self.stride16, self.stride8.shape[-2:], mode="bilinear", align_corners=False)


class EfficientNetLite0:
    """`encode` turns an RGB picture into feature maps at strides 4, 8 and 16.

    Args:
        device: where the network runs.
        dtype: what it computes in; the feature maps are float32 all the same.

    Raises:
        MissingWeightsError, IntegrityError: from the catalogue.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        model = timm.create_model("tf_efficientnet_lite0", pretrained=False, features_only=True, out_indices=(1, 2, 3))
        _load_by_order(model)
        del model.blocks[_STAGES:]
        _fold_batch_norm(model)
        _fold_padding(model)
        self._model = model.eval().to(device, dtype, memory_format=torch.channels_last)
        self._device, self._dtype = device, dtype

    @torch.inference_mode()
    def encode(self, image: np.ndarray, short_side_px: int) -> Features:
        """Scale (H, W, 3) uint8 RGB to a short side of `short_side_px` (never up), pad to strides of 16, encode."""
        small = scale_to_short_side(image, short_side_px)
        height, width = small.shape[:2]
        padded = cv2.copyMakeBorder(small, 0, -height % 16, 0, -width % 16, cv2.BORDER_REPLICATE)
        pixels = torch.from_numpy(padded).to(self._device).permute(2, 0, 1)[None].float()
        pixels = pixels.sub_(127.5).div_(127.5).to(self._dtype, memory_format=torch.channels_last)
        stride4, stride8, stride16 = (maps.float() for maps in self._model(pixels))
        return Features(padded, (height, width), stride4, stride8, stride16)


def scale_to_short_side(image: np.ndarray, short_side_px: int) -> np.ndarray:
    """Shrink (H, W, 3) so that the shorter side has `short_side_px` pixels; smaller pictures stay as they are."""
    height, width = image.shape[:2]
    scale = short_side_px / min(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _load_by_order(model: nn.Module) -> None:
    """The packaged file has timm's tensors in timm's order under other names."""
    path = locate("efficientnet-lite0")
    tensors = list(torch.load(path, map_location="cpu", weights_only=True).values())
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    if [tuple(tensor.shape) for tensor in tensors] != [tuple(tensor.shape) for tensor in whole.values()]:
        raise IntegrityError(f"{path}: expected the {len(whole)} tensors of EfficientNet-Lite0 in order")
    named = dict(zip(whole, tensors, strict=True))
    model.load_state_dict({name: tensor for name, tensor in named.items() if not name.startswith(_LATER_BLOCKS)})


def _fold_batch_norm(model: nn.Module) -> None:
    """Fold each batch norm into the convolution before it; its activation stays in its place."""
    for parent in list(model.modules()):
        conv: nn.Conv2d | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                conv = child
            elif isinstance(child, nn.BatchNorm2d) and conv is not None:
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight,
                    conv.bias,
                    child.running_mean,
                    child.running_var,
                    child.eps,
                    child.weight,
                    child.bias,
                )
                setattr(parent, name, child.act)
                conv = None


def _fold_padding(model: nn.Module) -> None:
    """TensorFlow pads right and below for a stride of 2, which copies the whole map; zeros in a kernel do not.

    Exact for maps with even sides, and so are all here: pictures are padded to whole strides of 16.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
                side = child.kernel_size[0] + 1
                whole = nn.Conv2d(
                    child.in_channels, child.out_channels, side, stride=2, padding=side // 2 - 1, groups=child.groups
                )
                whole.weight = nn.Parameter(functional.pad(child.weight, (1, 0, 1, 0)))
                whole.bias = child.bias
                setattr(parent, name, whole)
