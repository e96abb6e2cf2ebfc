"""The trained part of the embedded tracker: memory read-out and mask decoder on frozen EfficientNet-Lite0 features.

Keys are mask-free and shared by all objects, compared by L2 distance (STCN, Cheng et al., 2021); a value encoder sees
the mask and the other objects. Changed: the decoder is also told what needs no training of ours (the score of the
ridge head, the mask carried over by local affinity) and starts out as their mix, so it learns only to correct them.
Whatever does not depend on the object is computed once a frame (`encode`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as functional
from torch import nn

from streamvos.models.efficientnet_lite import CHANNELS
from streamvos.models.feature_net import LOGIT_LIMIT, FeatureNet, PictureEncoding, Residual

KEY, VALUE = 64, 96  # channels of keys and values at stride 16
_WIDE, _MIDDLE, _NARROW = 96, 64, 32  # channels of the decoder at strides 16, 8, 4
_CUES8, _CUES4 = 15, 5
_LOCAL_SHARE = 0.4  # of the carried mask in the mix that the decoder learns to correct
_GAIN = 6.0  # from that mix to a logit, at the start; as in the embedded tracker
_SCORE_LIMITS = (-0.5, 1.5)  # of a ridge score, which is about 0 off its object and 1 on it: outliers are cut off


@dataclass(frozen=True)
class FrameEncoding(PictureEncoding):
    """Of B frames, whatever the object; each at the stride in its name."""

    key16: torch.Tensor
    value16: torch.Tensor
    wide16: torch.Tensor
    middle8: torch.Tensor
    narrow4: torch.Tensor


class Cues(NamedTuple):
    """What is known of each object before the decoder runs, each (R, ., ., .) float32.

    `ridge` (R, 1, h8, w8): score of the ridge head. `ridge_others`: the highest of the other objects, 0 where none.
    `carried` (R, 4, h8, w8): the last mask, brought here by local affinity, in 2x2 parts of a cell; 0 where there is
    none. `carried_others` (R, 1, h8, w8): their mean, summed over the other objects. `last` (R, 2, h4, w4): the last
    masks, where they were, of the object and of the others.
    """

    ridge: torch.Tensor
    ridge_others: torch.Tensor
    carried: torch.Tensor
    carried_others: torch.Tensor
    last: torch.Tensor


class PropagationNet(FeatureNet):
    """0.77 M parameters; see the module's head."""

    NAME: ClassVar[str] = "the propagation network"

    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Sequential(
            nn.Conv2d(CHANNELS[16] + CHANNELS[8], _WIDE, 1), nn.ReLU(), nn.Conv2d(_WIDE, KEY, 3, padding=1)
        )
        self.value_view = nn.Conv2d(CHANNELS[16], VALUE, 3, padding=1)
        self.value_mask = nn.Conv2d(2 * 16, VALUE, 3, padding=1)
        self.value_block = Residual(VALUE)
        self.wide_view = nn.Conv2d(CHANNELS[16], _WIDE, 3, padding=1)
        self.wide_read = nn.Conv2d(VALUE, _WIDE, 1)
        self.wide_block = Residual(_WIDE)
        self.middle_view = nn.Conv2d(CHANNELS[8], _MIDDLE, 3, padding=1)
        self.middle_cues = nn.Conv2d(_CUES8, _MIDDLE, 3, padding=1)
        self.middle_up = nn.Conv2d(_WIDE, _MIDDLE, 1)
        self.middle_block = Residual(_MIDDLE)
        self.narrow_view = nn.Conv2d(CHANNELS[4], _NARROW, 3, padding=1)
        self.narrow_cues = nn.Conv2d(_CUES4, _NARROW, 3, padding=1)
        self.narrow_up = nn.Conv2d(_MIDDLE, _NARROW, 1)
        self.narrow_block = Residual(_NARROW)
        self.out = nn.Conv2d(_NARROW, 1, 3, padding=1)
        self.mix_gain = nn.Parameter(torch.tensor(_GAIN))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def encode(self, stride4: torch.Tensor, stride8: torch.Tensor, stride16: torch.Tensor) -> FrameEncoding:
        """(B, C, h, w) frozen features to all that the network needs of the frames themselves."""
        four, eight, sixteen = self.normalise(stride4, stride8, stride16)
        return FrameEncoding(
            self.key(torch.cat([sixteen, functional.avg_pool2d(eight, 2)], dim=1)),
            self.value_view(sixteen),
            self.wide_view(sixteen),
            self.middle_view(eight),
            self.narrow_view(four),
        )

    def value(self, frame: FrameEncoding, masks: torch.Tensor) -> torch.Tensor:
        """(R, VALUE, h16, w16) of R objects; `masks` (R, 2, h4, w4): the object's and the others' probability.

        `frame` holds R frames, or the one that all objects are in.
        """
        parts = functional.pixel_unshuffle(masks, 4)
        return self.value_block(frame.value16 + self.value_mask(parts))

    def decode(self, frame: FrameEncoding, read: torch.Tensor, cues: Cues) -> torch.Tensor:
        """(R, h4, w4) logits of R objects, from what they read of their memory (R, VALUE, h16, w16) and their cues.

        `frame` as in `value`.
        """
        size8, size4 = frame.middle8.shape[-2:], frame.narrow4.shape[-2:]
        ridge = cues.ridge.clamp(*_SCORE_LIMITS)
        ridge_others = cues.ridge_others.clamp(*_SCORE_LIMITS)
        last8 = functional.pixel_unshuffle(cues.last, 2)
        cues8 = torch.cat([ridge, ridge_others, cues.carried, cues.carried_others, last8], dim=1)
        ridge4 = functional.interpolate(ridge, size4, mode="bilinear", align_corners=False)
        carried4 = functional.pixel_shuffle(cues.carried, 2)
        mix = torch.lerp(ridge4, carried4, _LOCAL_SHARE)
        cues4 = torch.cat([ridge4, carried4, mix, cues.last], dim=1)
        wide = self.wide_block(frame.wide16 + self.wide_read(read))
        middle = functional.interpolate(self.middle_up(wide), size8, mode="bilinear", align_corners=False)
        middle = self.middle_block(middle + frame.middle8 + self.middle_cues(cues8))
        narrow = functional.interpolate(self.narrow_up(middle), size4, mode="bilinear", align_corners=False)
        narrow = self.narrow_block(narrow + frame.narrow4 + self.narrow_cues(cues4))
        logits = self.out(functional.relu(narrow)) + self.mix_gain * (mix - 0.5)
        return logits[:, 0].clamp(-LOGIT_LIMIT, LOGIT_LIMIT)


def as_query(key: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """(R, C, h, w) keys of the current frame to the (R, C + 4, h * w) query that `read_memory` takes, in `dtype`."""
    scale, key = key.shape[1] ** -0.5, key.to(dtype).flatten(2)
    return torch.cat([2.0 * scale * key, _lengths(key, scale), torch.ones_like(key[:, :2])], dim=1)


def read_memory(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Read the values of remembered cells whose keys are near the query's.

    The weight of a remembered cell is softmax(-|query - key|^2 / sqrt(C)) over all cells (STCN, eq. 4).

    Args:
        query: (R, C + 4, P) of `as_query`; all products are computed in its type. Gradients need float32.
        keys: (R, C, M) of the remembered cells.
        values: (R, V, M).

    Returns:
        (R, V, P) float32.
    """
    keys, values = keys.to(query.dtype), values.to(query.dtype)
    with torch.autocast(query.device.type, enabled=False):
        # One product gives the exponents: the squared lengths are channels of their own. On a CPU that is faster than
        # the fused attention, whose softmax is slow there.
        scale = keys.shape[1] ** -0.5
        held = torch.cat([keys, torch.ones_like(keys[:, :2]), _lengths(keys, scale)], dim=1)
        weights = torch.bmm(query.transpose(1, 2), held).softmax(dim=2)
        return torch.bmm(values, weights.transpose(1, 2)).float()


def _lengths(maps: torch.Tensor, scale: float) -> torch.Tensor:
    """(R, C, P) to (R, 2, P): -scale times the squared length, in two parts, because 16 bits do not hold it."""
    exact = -scale * maps.float().square().sum(dim=1, keepdim=True)
    coarse = exact.to(maps.dtype)
    return torch.cat([coarse, (exact - coarse.float()).to(maps.dtype)], dim=1)


def others_of(maps: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """(R, ...) maps to the sum over the other rows of the same group, at most 1."""
    return sum_of_others(maps, group).clamp(0.0, 1.0)


def highest_of_others(maps: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """(R, ...) maps to the maximum over the other rows of the same group, 0 for a row that is alone."""
    others = _others(group)
    highest = [maps[row].amax(dim=0) if row.any() else torch.zeros_like(maps[0]) for row in others]
    return torch.stack(highest)


def _others(group: torch.Tensor) -> torch.Tensor:
    """(R, R) bool: which rows are other objects of the same group."""
    return (group[:, None] == group[None]) & ~torch.eye(len(group), dtype=torch.bool, device=group.device)


def sum_of_others(maps: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """(R, ...) maps to the sum over the other rows of the same group."""
    return (_others(group).to(maps) @ maps.flatten(1)).view(maps.shape)
