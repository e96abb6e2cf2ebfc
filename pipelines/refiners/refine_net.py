"""The trained part of the embedded refiner: picture and prompts of a crop to a fine mask, on frozen EfficientNet-Lite0.

One network for boxes, clicks and coarse masks, as in Segment Anything (Kirillov et al., 2023), with one mask for what
is decided and three for what a single click leaves open, and a full-resolution path for sharp edges, as HQ-SAM and its
kin add one. Changed: prompts are pictures, not tokens; a self read-out
with mask-free keys (STCN, Cheng et al., 2021) lets each cell look at the cells like it, mostly those outside the box;
the decoder starts from what colour histograms say and learns only to correct that. The IoU that it
predicts is what candidates are chosen by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as functional
from torch import nn

from pipelines.refiners.prompt_maps import CHANNELS as PROMPT_CHANNELS
from pipelines.refiners.prompt_maps import ODDS
from streamvos.models.efficientnet_lite import CHANNELS
from streamvos.models.feature_net import LOGIT_LIMIT, FeatureNet, PictureEncoding, Residual

_KEY = 64  # channels of the keys of the self read-out
_WIDE, _MIDDLE, _NARROW, _FINE = 96, 64, 32, 16  # channels of the decoder at strides 16, 8, 4, 2
_ODDS_GAIN = 3.0  # from the odds of the prompt to a logit, at the start
_SHARPNESS = 10.0  # of the self read-out, at the start
_NEVER = -1e4  # a logit that softmax makes 0, in 16 bits too
_IOU_HIDDEN = 48  # channels between the facts of a mask and its predicted IoU
DECIDED = slice(0, 1)  # the mask of a box, of a coarse mask, of several clicks
CHOICES = slice(1, 4)  # the masks of a single click: it may mean a part, the whole or a group
ALL = slice(0, 4)
_FIRST_BIAS = (0.0, -1.5, 0.0, 1.5)  # of the masks, in training: else the choices stay the same for long


@dataclass(frozen=True)
class CropEncoding(PictureEncoding):
    """Of B crops, whatever the prompt; each at the stride in its name."""

    key16: torch.Tensor
    wide16: torch.Tensor
    middle8: torch.Tensor
    narrow4: torch.Tensor
    fine2: torch.Tensor


class Refined(NamedTuple):
    """Of R prompts, M masks each: `logits` (R, M, S, S), `logits8` (R, M, S / 8, S / 8) of their coarse stage, and the
    predicted `iou` (R, M)."""

    logits: torch.Tensor
    logits8: torch.Tensor
    iou: torch.Tensor


class RefineNet(FeatureNet):
    """0.61 M parameters; see the module's head."""

    NAME: ClassVar[str] = "the refiner's network"

    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Conv2d(CHANNELS[16], _KEY, 1)
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS))
        self.wide_view = nn.Conv2d(CHANNELS[16], _WIDE, 3, padding=1)
        self.wide_prompt = nn.Conv2d(PROMPT_CHANNELS, _WIDE, 3, padding=1)
        self.wide_before = Residual(_WIDE)
        self.wide_read = nn.Conv2d(_WIDE + 1, _WIDE, 1)
        self.wide_after = Residual(_WIDE)
        self.middle_view = nn.Conv2d(CHANNELS[8], _MIDDLE, 3, padding=1)
        self.middle_prompt = nn.Conv2d(PROMPT_CHANNELS, _MIDDLE, 3, padding=1)
        self.middle_up = nn.Conv2d(_WIDE, _MIDDLE, 1)
        self.middle_block = Residual(_MIDDLE)
        self.middle_out = nn.Conv2d(_MIDDLE, ALL.stop, 1)
        self.narrow_view = nn.Conv2d(CHANNELS[4], _NARROW, 3, padding=1)
        self.narrow_prompt = nn.Conv2d(PROMPT_CHANNELS, _NARROW, 3, padding=1)
        self.narrow_up = nn.Conv2d(_MIDDLE, _NARROW, 1)
        self.narrow_block = Residual(_NARROW)
        self.fine_view = nn.Conv2d(3 * 4, _FINE, 3, padding=1)
        self.fine_prompt = nn.Conv2d(PROMPT_CHANNELS, _FINE, 3, padding=1)
        self.fine_up = nn.Conv2d(_NARROW, _FINE, 1)
        self.fine_block = Residual(_FINE)
        self.out = nn.Conv2d(_FINE, 4 * ALL.stop, 3, padding=1)
        self.odds_gain = nn.Parameter(torch.tensor(_ODDS_GAIN))
        self.iou = nn.Sequential(nn.Linear(_WIDE + _MIDDLE + 3, _IOU_HIDDEN), nn.ReLU(), nn.Linear(_IOU_HIDDEN, 1))
        for last in (self.out, self.middle_out):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        with torch.no_grad():
            self.middle_out.bias.copy_(torch.tensor(_FIRST_BIAS))

    def encode(
        self, pixels: torch.Tensor, stride4: torch.Tensor, stride8: torch.Tensor, stride16: torch.Tensor
    ) -> CropEncoding:
        """All that the network needs of the crops themselves.

        Args:
            pixels: (B, 3, S, S) RGB in [-1, 1]; S a multiple of 16.
            stride4, stride8, stride16: (B, C, h, w) frozen features of the same crops.
        """
        four, eight, sixteen = self.normalise(stride4, stride8, stride16)
        return CropEncoding(
            self.key(sixteen),
            self.wide_view(sixteen),
            self.middle_view(eight),
            self.narrow_view(four),
            self.fine_view(functional.pixel_unshuffle(pixels, 2)),
        )

    def decode(self, crops: CropEncoding, prompts: torch.Tensor, masks: slice = DECIDED) -> Refined:
        """Masks of R prompts, (R, PROMPT_CHANNELS, S / 2, S / 2), each in its own row of `crops`.

        Args:
            masks: which of them: `DECIDED`, `CHOICES` or `ALL`.
        """
        prompts4 = functional.avg_pool2d(prompts, 2)
        prompts8 = functional.avg_pool2d(prompts4, 2)
        prompts16 = functional.avg_pool2d(prompts8, 2)
        wide = self.wide_before(crops.wide16 + self.wide_prompt(prompts16))
        read = self._read(crops.key16, torch.cat([wide, prompts16[:, ODDS : ODDS + 1]], dim=1))
        wide = self.wide_after(wide + self.wide_read(read))
        middle = self.middle_block(_larger(self.middle_up(wide)) + crops.middle8 + self.middle_prompt(prompts8))
        coarse = functional.conv2d(functional.relu(middle), self.middle_out.weight[masks], self.middle_out.bias[masks])
        logits8 = coarse + self.odds_gain * prompts8[:, ODDS : ODDS + 1]
        narrow = self.narrow_block(_larger(self.narrow_up(middle)) + crops.narrow4 + self.narrow_prompt(prompts4))
        fine = self.fine_block(_larger(self.fine_up(narrow)) + crops.fine2 + self.fine_prompt(prompts))
        rows = slice(4 * masks.start, 4 * masks.stop)  # four for each mask: the pixels of a stride
        detail = functional.conv2d(functional.relu(fine), self.out.weight[rows], self.out.bias[rows], padding=1)
        logits = functional.pixel_shuffle(detail, 2).float() + _larger(logits8.float(), 8)
        logits = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        return Refined(logits, logits8.float(), self._predict_iou(logits, wide, middle))

    def _read(self, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Each cell's mean of the (R, V, h, w) values of the others, weighted by similarity of (R, C, h, w) keys."""
        size = keys.shape[-2:]
        unit = functional.normalize(keys.float().flatten(2), dim=1)
        similarity = self.sharpness * unit.transpose(1, 2) @ unit  # (R, h * w, h * w)
        itself = torch.eye(similarity.shape[1], dtype=torch.bool, device=similarity.device)
        weights = similarity.masked_fill(itself, _NEVER).softmax(dim=2)
        return (values.flatten(2) @ weights.transpose(1, 2).to(values.dtype)).unflatten(2, size)

    def _predict_iou(self, logits: torch.Tensor, wide: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
        """(R, M) in [0, 1]; the masks do not learn from it. Its numbers are those that it was trained with."""
        inside = logits.detach().sigmoid()
        parts = []
        for maps in (wide.detach().float(), middle.detach().float()):
            share = functional.adaptive_avg_pool2d(inside, maps.shape[-2:]).flatten(2)
            parts.append(share @ maps.flatten(2).transpose(1, 2) / (share.sum(dim=2, keepdim=True) + 1e-3))
        area = inside.mean(dim=(2, 3))
        doubt = (inside * (1.0 - inside)).mean(dim=(2, 3))
        sure = (inside - 0.5).relu().mean(dim=(2, 3)) / (area + 1e-3)
        facts = torch.cat([*parts, torch.stack([area, 10.0 * doubt / (area + 1e-2), sure], dim=2)], dim=2)
        return self.iou(facts)[..., 0].float().sigmoid()


def _larger(maps: torch.Tensor, factor: int = 2) -> torch.Tensor:
    return functional.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)
