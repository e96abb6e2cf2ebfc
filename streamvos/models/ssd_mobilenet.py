"""SSD-MobileNetV2 (COCO) in plain PyTorch, with weights out of TensorFlow's frozen graph.

Follows the TensorFlow object detection API's ssd_mobilenet_v2_coco_2018_03_29 (Liu et al., SSD, 2016;
Sandler et al., MobileNetV2, 2018). Changed: batch norm is folded into the convolutions, tensors are
channels_last, and the network is cut in two after the maps of 576x19x19 and 1280x10x10, so that a memory can
enhance them between `features` and `predict`. The feature maps of the smaller scales and all heads grow out
of those two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamvos.errors import InputError, IntegrityError
from streamvos.models import catalogue, coco
from streamvos.models.candidates import Candidates, suppress
from streamvos.models.detector import DETECTORS, DetectorSetup
from streamvos.models.graphdef import Graph, read_graph
from streamvos.models.ssd_anchors import GRIDS, anchors
from streamvos.models.vocabulary import Vocabulary

WEIGHTS = "ssd-mobilenet-v2-coco"
INPUT_PX = 300
LEVELS = {"fine": 576, "coarse": 1280}  # channels of the two maps that `features` gives
_CENTRE_SCALE, _SIZE_SCALE = 10.0, 5.0  # of the box coder
_EXTRA = ("2_1x1_256", "2_3x3_s2_512", "3_1x1_128", "3_3x3_s2_256")
_EXTRA += ("4_1x1_128", "4_3x3_s2_256", "5_1x1_64", "5_3x3_s2_128")
_ROOT = "FeatureExtractor/MobilenetV2/"
_EPSILON = 1e-3  # of batch norm
_STRIDED = (1, 3, 6, 13)  # blocks that halve the map
_RESIDUAL = (2, 4, 5, 7, 8, 9, 11, 12, 14, 15)  # blocks as wide behind as before


@DETECTORS.register("ssd-mobilenet-v2")
class SsdMobileNet:
    """The detector: set a picture once (`features`), predict as often as needed.

    Args:
        device: where it runs.
        path: frozen graph; by default the packaged one, checked by sha256.

    Raises:
        MissingWeightsError: the package with the graph is not installed.
        IntegrityError: the graph is damaged, or another network.
    """

    names = coco.NAMES
    weights = None
    levels = LEVELS

    def __init__(self, device: torch.device, path: Path | None = None) -> None:
        graph = read_graph(catalogue.locate(WEIGHTS) if path is None else path)
        self.device, self.vocabulary = device, Vocabulary(coco.NAMES)
        self._network = _Network(graph).eval().requires_grad_(False)
        self._network.to(device=device, memory_format=torch.channels_last)
        self._anchors = torch.from_numpy(anchors()).to(device)

    @classmethod
    def build(cls, setup: DetectorSetup) -> SsdMobileNet:
        return cls(setup.device)

    @torch.inference_mode()
    def features(self, image: np.ndarray) -> tuple[Tensor, Tensor]:
        """The two maps that everything else grows out of.

        Args:
            image: (H, W, 3) uint8 RGB of any size; it is squeezed to 300x300 as in training.

        Returns:
            (1, 576, 19, 19) and (1, 1280, 10, 10) float32, values in [0, 6].
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise InputError(f"detector image: expected (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
        small = cv2.resize(image, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_LINEAR)
        pixels = torch.from_numpy(small).to(self.device).permute(2, 0, 1)[None]  # channels_last as it stands
        return self._network.backbone((pixels.float() - 127.5) / 127.5)

    @torch.inference_mode()
    def predict(self, maps: tuple[Tensor, Tensor], size: tuple[int, int]) -> Candidates:
        """Boxes and scores of all anchors from the two maps.

        Args:
            maps: as `features` gave them, or enhanced.
            size: (H, W) of the picture in pixels.
        """
        deltas, logits = self._network.heads(*maps)
        boxes = _decode(deltas, self._anchors) * deltas.new_tensor([size[1], size[0], size[1], size[0]])
        return Candidates(boxes.cpu().numpy(), torch.sigmoid(logits).cpu().numpy(), size)

    def to_arrays(self, maps: tuple[Tensor, Tensor]) -> dict[str, np.ndarray]:
        """The maps as (h, w, C) float32 arrays by level, as a memory takes them."""
        return {
            name: level[0].permute(1, 2, 0).contiguous().cpu().numpy() for name, level in zip(LEVELS, maps, strict=True)
        }

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> tuple[Tensor, Tensor]:
        """The way back from `to_arrays`."""
        fine, coarse = (
            torch.from_numpy(np.ascontiguousarray(arrays[name])).to(self.device).permute(2, 0, 1)[None]
            for name in LEVELS
        )
        return fine, coarse

    def detect(
        self, image: np.ndarray, min_score: float, nms: float = 0.6, max_detections: int = 100
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is in one picture.

        Args:
            image: (H, W, 3) uint8 RGB.
            min_score: lower finds more and errs more.
            nms: boxes of one class that overlap more than this IoU count as one.
            max_detections: the best so many are given.

        Returns:
            boxes (M, 4) float32 xyxy px clipped to the picture, scores (M,) float32, class ids (M,) int64;
            best first.
        """
        candidates = self.predict(self.features(image), image.shape[:2])
        return suppress(candidates, min_score, nms, max_detections, tuple(self.vocabulary))


def _decode(deltas: Tensor, anchor: Tensor) -> Tensor:
    """Box codes (A, 4) ty, tx, th, tw to xyxy in units of the picture's side (Faster R-CNN's box coder)."""
    centre = deltas[:, :2] / _CENTRE_SCALE * anchor[:, 2:] + anchor[:, :2]
    half = torch.exp(deltas[:, 2:] / _SIZE_SCALE) * anchor[:, 2:] / 2
    return torch.cat([(centre - half).flip(1), (centre + half).flip(1)], dim=1)


class _Conv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, batch norm folded in, and an optional ReLU6 behind it."""

    def __init__(self, graph: Graph, name: str, stride: int = 1, clip: bool = True, normed: bool = True) -> None:
        depthwise = f"{name}/depthwise_weights" in graph.nodes
        weight = graph.constant(f"{name}/{'depthwise_weights' if depthwise else 'weights'}")  # (kh, kw, in, out)
        if weight.ndim != 4 or weight.shape[0] != weight.shape[1]:
            raise IntegrityError(f"graph node {name!r}: expected square kernels, got {weight.shape}")
        kernel, _, inputs, outputs = weight.shape
        if depthwise:
            weight, groups, outputs = weight.transpose(2, 3, 0, 1), inputs, inputs * outputs
        else:
            weight, groups = weight.transpose(3, 2, 0, 1), 1
        scale, bias = _folded(graph, name) if normed else (1.0, graph.constant(f"{name}/biases"))
        super().__init__(inputs, outputs, kernel, stride, groups=groups)
        weight = weight * np.reshape(scale, (-1, 1, 1, 1))
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight, np.float32)))
            self.bias.copy_(torch.from_numpy(np.array(bias, np.float32)))
        self.clip = clip

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride, side = self.kernel_size[0], self.stride[0], x.shape[-1]
        missing = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        if missing % 2:  # TensorFlow puts the odd one at the right and the bottom
            x = F.pad(x, (missing // 2, missing - missing // 2) * 2)
            missing = 0
        x = F.conv2d(x, self.weight, self.bias, self.stride, missing // 2, 1, self.groups)
        return F.relu6(x, inplace=True) if self.clip else x


def _folded(graph: Graph, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale and bias that a convolution takes over from its batch norm."""
    gamma, beta, mean, variance = (
        graph.constant(f"{name}/BatchNorm/{part}").astype(np.float64)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + _EPSILON)
    return scale, beta - mean * scale


class _Block(nn.Module):
    """An inverted residual: expand, depthwise, project."""

    def __init__(self, graph: Graph, index: int, stride: int) -> None:
        super().__init__()
        name = f"{_ROOT}expanded_conv_{index}" if index else f"{_ROOT}expanded_conv"
        self.expand = _Conv(graph, f"{name}/expand") if index else nn.Identity()
        self.depthwise = _Conv(graph, f"{name}/depthwise", stride)
        self.project = _Conv(graph, f"{name}/project", clip=False)
        self.residual = index in _RESIDUAL

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class _Network(nn.Module):
    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.stem = _Conv(graph, f"{_ROOT}Conv", 2)
        self.blocks = nn.ModuleList(_Block(graph, i, 2 if i in _STRIDED else 1) for i in range(17))
        self.last = _Conv(graph, f"{_ROOT}Conv_1")
        self.extras = nn.ModuleList()
        for squeeze, grow in zip(_EXTRA[::2], _EXTRA[1::2], strict=True):
            grow = f"{_ROOT}layer_19_2_Conv2d_{grow}"
            squeeze = _Conv(graph, f"{_ROOT}layer_19_1_Conv2d_{squeeze}")
            self.extras.append(nn.Sequential(squeeze, _Conv(graph, f"{grow}_depthwise", 2), _Conv(graph, grow)))
        self.box_heads, self.class_heads = (
            nn.ModuleList(
                _Conv(graph, f"BoxPredictor_{level}/{kind}", clip=False, normed=False) for level in range(len(GRIDS))
            )
            for kind in ("BoxEncodingPredictor", "ClassPredictor")
        )

    def backbone(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)  # (1, 32, 150, 150)
        for block in self.blocks[:13]:
            x = block(x)
        split = self.blocks[13]
        fine = split.expand(x)  # (1, 576, 19, 19)
        x = split.project(split.depthwise(fine))
        for block in self.blocks[14:]:
            x = block(x)
        return fine, self.last(x)  # (1, 1280, 10, 10)

    def heads(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        maps = [fine, coarse]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        deltas = [head(x).permute(0, 2, 3, 1).reshape(-1, 4) for head, x in zip(self.box_heads, maps, strict=True)]
        logits = [
            head(x).permute(0, 2, 3, 1).reshape(-1, coco.NUM_IDS)
            for head, x in zip(self.class_heads, maps, strict=True)
        ]
        return torch.cat(deltas), torch.cat(logits)  # (A, 4), (A, 91)
