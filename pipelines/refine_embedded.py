"""The embedded refiner: boxes, clicks and coarse masks to fine masks by a small network of ours, on any CPU.

The object's surroundings are cut out of the frame and scaled to a fixed size, so that small objects are seen as
finely as large ones; the network's own mask goes in once more as a coarse one. A click does not say how large its
object is: the refiner looks near and far, then again around what it found, and offers both with the IoU predicted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch

from pipelines.grabcut_parts import Window, clean, inscribed_ellipse
from pipelines.refine import Candidate, checked_prompt
from pipelines.refine_net import RefineNet
from pipelines.refine_prompts import prompt_maps
from streamvos.masks import tight_box
from streamvos.models.catalogue import locate
from streamvos.models.efficientnet_lite import EfficientNetLite0

WEIGHTS = "embedded-refiner"


@dataclass(frozen=True)
class EmbeddedRefinerConfig:
    """How the embedded refiner works."""

    # Side of the square picture that the network sees, a multiple of 16; larger is finer and slower. It was trained
    # at 256.
    size_px: int = 256
    # What is seen around the box, as a share of its longer side, on each side; trained with about 0.2. Held-out
    # pictures and horses went best at 0.15.
    margin: float = 0.15
    # How often the network's own mask of a box goes in again as a coarse one; each costs a decoder, not an encoder.
    second_looks: int = 1
    # How far around clicks is looked, as shares of the frame's shorter side; each costs two encodings.
    click_reaches: tuple[float, ...] = (0.15, 0.35, 0.7)


class Asked(NamedTuple):
    """A prompt in pixels of the frame; see `Refiner.refine`."""

    box: np.ndarray | None = None
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    coarse: np.ndarray | None = None


class EmbeddedRefiner:
    """A `Refiner` with trained weights of ours.

    Args:
        net: trained, on `device`.
        device: where it runs.
        config: see there.
    """

    name = "embedded"

    def __init__(self, net: RefineNet, device: torch.device, config: EmbeddedRefinerConfig | None = None) -> None:
        self._net, self._device, self._config = net, device, config or EmbeddedRefinerConfig()
        self._encoder = EfficientNetLite0(device)
        self._image: np.ndarray | None = None

    @classmethod
    def shipped(cls, device: torch.device, config: EmbeddedRefinerConfig | None = None) -> EmbeddedRefiner:
        """With the weights that come with StreamVOS; raises `MissingWeightsError` where they are absent."""
        return cls(RefineNet.from_file(locate(WEIGHTS), device), device, config)

    def set_image(self, image: np.ndarray, frame_index: int) -> None:
        self._image = image

    def refine(
        self,
        coarse: np.ndarray | None = None,
        box: np.ndarray | None = None,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> tuple[Candidate, ...]:
        """See `Refiner.refine`; a coarse mask gives "mask" and "box", clicks one for each reach, a box one."""
        box, points, labels = checked_prompt(self._image, coarse, box, points, labels)
        if coarse is not None:
            return self._from_mask(coarse, box, points, labels)
        return (self._from_box(box, points, labels),) if box is not None else self._from_points(points, labels)

    def _from_mask(
        self, coarse: np.ndarray, box: np.ndarray | None, points: np.ndarray | None, labels: np.ndarray | None
    ) -> tuple[Candidate, ...]:
        tight = tight_box(coarse)
        prompts = Asked(box, points, labels, coarse), Asked(tight if box is None else box, points, labels)
        around = tight if box is None else _union(tight, box)
        answers = self._ask(self._window(around), prompts)
        return tuple(
            self._candidate(name, mask, iou, coarse, "the coarse mask as it is")
            for name, (mask, iou) in zip(("mask", "box"), answers, strict=True)
        )

    def _from_box(self, box: np.ndarray, points: np.ndarray | None, labels: np.ndarray | None) -> Candidate:
        window = self._window(box if points is None else _union(box, _extent(points[labels])))
        ((mask, iou),) = self._ask(window, [Asked(box, points, labels)], self._config.second_looks)
        name = "box" if points is None else "box+points"
        return self._candidate(name, mask, iou, inscribed_ellipse(mask.shape, box), "inscribed ellipse instead")

    def _from_points(self, points: np.ndarray, labels: np.ndarray) -> tuple[Candidate, ...]:
        candidates = []
        height, width = self._image.shape[:2]
        for reach in self._config.click_reaches:
            half = reach * min(height, width)
            around = _extent(points[labels]) + np.array([-half, -half, half, half], np.float32)
            around = np.clip(around, 0, [width, height, width, height])
            ((mask, iou),) = self._ask(self._window(around, margin=0.0), [Asked(None, points, labels)])
            if mask.any():
                ((mask, iou),) = self._ask(self._window(tight_box(mask)), [Asked(None, points, labels, mask)])
            disc = inscribed_ellipse(mask.shape, around)
            name = f"points within {half:.0f} px"
            candidates.append(self._candidate(name, mask, iou, disc, f"an ellipse of {half:.0f} px instead"))
        return tuple(candidates)

    def _window(self, box: np.ndarray, margin: float | None = None) -> Window:
        size = self._config.size_px
        margin = self._config.margin if margin is None else margin
        window = Window.around(self._image.shape[:2], box, margin, size)
        return dataclasses.replace(window, small_size=(size, size))

    @torch.inference_mode()
    def _ask(self, window: Window, prompts: Sequence[Asked], second_looks: int = 0) -> list[tuple[np.ndarray, float]]:
        """A mask (H, W) bool and the predicted IoU for each prompt, all in the same window."""
        crop = _resized(self._image[window.rows, window.cols], window.small_size)
        seen = self._encoder.encode(crop, self._config.size_px)
        pixels = torch.from_numpy(crop).to(self._device).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        view = self._net.look(pixels, seen.stride4, seen.stride8, seen.stride16)
        view = view.rows(torch.zeros(len(prompts), dtype=torch.long, device=self._device))
        local = [_in_window(prompt, window) for prompt in prompts]
        for look in range(1 + second_looks):
            maps = np.stack([prompt_maps(crop, *one) for one in local])
            refined = self._net.decode(view, torch.from_numpy(maps).to(self._device))
            logits = refined.logits.cpu().numpy()
            if look < second_looks:
                found = [(row > 0).astype(np.float32) for row in logits]
                local = [one._replace(coarse=row) if row.any() else one for one, row in zip(local, found, strict=True)]
        return [(self._paste(row, window), float(iou)) for row, iou in zip(logits, refined.iou.cpu(), strict=True)]

    def _paste(self, logits: np.ndarray, window: Window) -> np.ndarray:
        mask = np.zeros(self._image.shape[:2], bool)
        part = mask[window.rows, window.cols]
        part[:] = clean(_resized(logits, part.shape[::-1]) > 0)
        return mask

    def _candidate(self, name: str, mask: np.ndarray, iou: float, instead: np.ndarray, reason: str) -> Candidate:
        if mask.any():
            return Candidate(name, mask, iou, f"embedded refiner from {name}, predicted IoU {iou:.2f}")
        return Candidate(name, instead.copy(), 0.0, f"embedded refiner from {name} found nothing: {reason}")


def _in_window(prompt: Asked, window: Window) -> Asked:
    """The same prompt in pixels of the crop."""
    box = None if prompt.box is None else window.to_small(prompt.box).astype(np.float32)
    points = None if prompt.points is None else window.points_to_small(prompt.points).astype(np.float32)
    coarse = prompt.coarse
    if coarse is not None:
        coarse = _resized(coarse[window.rows, window.cols].astype(np.float32), window.small_size)
    return Asked(box, points, prompt.labels, coarse)


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w, ...) at (w, h) = `size`: averaged where it shrinks, smooth where it grows."""
    shrinks = picture.shape[0] * picture.shape[1] > size[0] * size[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _extent(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0) + 1]).astype(np.float32)


def _union(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.concatenate([np.minimum(first[:2], second[:2]), np.maximum(first[2:], second[2:])])
