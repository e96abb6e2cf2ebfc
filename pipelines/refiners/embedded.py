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

from pipelines.refiners.grabcut_parts import Window, clean, inscribed_ellipse
from pipelines.refiners.prompt_maps import prompt_maps
from pipelines.refiners.protocol import Candidate, checked_prompt, innermost_point
from pipelines.refiners.refine_net import RefineNet
from streamvos.device import Precision, autocast, pick_precision
from streamvos.masks import tight_box
from streamvos.models.catalogue import locate
from streamvos.models.efficientnet_lite import EfficientNetLite0

WEIGHTS = "embedded-refiner"
_LOST_SHARE = 0.1  # a part of a coarse mask of which less was found was not found
_SPECK_SHARE = 0.01  # of a coarse mask: smaller parts of it are not put back


@dataclass(frozen=True)
class EmbeddedRefinerConfig:
    """How the embedded refiner works."""

    # Side of the square picture that the network sees, a multiple of 16; larger is finer and slower. It was trained
    # at 256.
    size_px: int = 256
    # What is seen around a coarse mask, as a share of its box's longer side, on each side; trained with about 0.2.
    margin: float = 0.15
    # Looks at a box, each from so far, every second one mirrored; their mean counts. More looks cost time (one each)
    # and gain little: of held-out things, 69.0 IoU from one, 71.2 from these two, 70.6 from six.
    box_margins: tuple[float, ...] = (0.08, 0.15)
    # How often the network's own mask of a box goes in again as a coarse one; each costs a decoder, not an encoder.
    second_looks: int = 1
    # Up to what size masks are worth a quick look: the geometric mean of the box's sides, in pixels of the tracker's
    # working size. What is larger the tracker sees as finely as a crop of `size_px` shows it. On made-up clips quick
    # looks gained 2 to 3 J&F on masks below 130, 0.8 up to 216 and lost 1 above.
    polish_max_px: float = 216.0
    # What the networks compute in; "auto": bfloat16 where the processor has it, which moves borders by a pixel at most.
    precision: Precision = "auto"
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
        self._dtype = pick_precision(self._config.precision, device)
        self._encoder = EfficientNetLite0(device, self._dtype)
        self._image: np.ndarray | None = None

    @classmethod
    def shipped(cls, device: torch.device, config: EmbeddedRefinerConfig | None = None) -> EmbeddedRefiner:
        """With the weights that come with StreamVOS; raises `MissingWeightsError` where they are absent."""
        return cls(RefineNet.from_file(locate(WEIGHTS), device), device, config)

    def polishes(self, box_px: float) -> bool:
        return box_px <= self._config.polish_max_px

    def set_image(self, image: np.ndarray, frame_index: int) -> None:
        self._image = image

    def refine(
        self,
        coarse: np.ndarray | None = None,
        box: np.ndarray | None = None,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        quick: bool = False,
    ) -> tuple[Candidate, ...]:
        """See `Refiner.refine`; a coarse mask gives "mask", "mask+point" and "box", clicks one a reach, a box one."""
        box, points, labels = checked_prompt(self._image, coarse, box, points, labels)
        if coarse is not None:
            return self._from_mask(coarse, box, points, labels, quick)
        return (self._from_box(box, points, labels, quick),) if box is not None else self._from_points(points, labels)

    def _from_mask(
        self,
        coarse: np.ndarray,
        box: np.ndarray | None,
        points: np.ndarray | None,
        labels: np.ndarray | None,
        quick: bool,
    ) -> tuple[Candidate, ...]:
        tight = tight_box(coarse)
        prompts = {"mask": Asked(box, points, labels, coarse)}
        if not quick:
            if points is None:
                prompts["mask+point"] = Asked(box, innermost_point(coarse)[None], np.ones(1, bool), coarse)
            prompts["box"] = Asked(tight if box is None else box, points, labels)
        window = self._window(tight if box is None else _union(tight, box), self._config.margin)
        answers = self._ask(window, tuple(prompts.values()))
        return tuple(
            self._candidate(name, self._paste(logits, window, coarse), iou, coarse, "the coarse mask as it is")
            for name, (logits, iou) in zip(prompts, answers, strict=True)
        )

    def _from_box(
        self, box: np.ndarray, points: np.ndarray | None, labels: np.ndarray | None, quick: bool
    ) -> Candidate:
        around = box if labels is None or not labels.any() else _union(box, _extent(points[labels]))
        margins = (self._config.margin,) if quick else self._config.box_margins
        total, ious = np.zeros(self._image.shape[:2], np.float32), []
        for place, margin in enumerate(margins):
            window = self._window(around, margin)
            asked = [Asked(box, points, labels)]
            ((logits, iou),) = self._ask(window, asked, self._config.second_looks, mirrored=place % 2 == 1)
            part = total[window.rows, window.cols]
            part += 1.0 / (1.0 + np.exp(-_resized(logits, part.shape[::-1])))
            ious.append(iou)
        mask = clean(total > 0.5 * len(margins))
        name = "box" if points is None else "box+points"
        return self._candidate(
            name, mask, float(np.mean(ious)), inscribed_ellipse(mask.shape, box), "inscribed ellipse instead"
        )

    def _from_points(self, points: np.ndarray, labels: np.ndarray) -> tuple[Candidate, ...]:
        candidates = []
        height, width = self._image.shape[:2]
        for reach in self._config.click_reaches:
            half = reach * min(height, width)
            around = _extent(points[labels]) + np.array([-half, -half, half, half], np.float32)
            around = np.clip(around, 0, [width, height, width, height])
            mask, iou = self._mask_in(self._window(around, 0.0), Asked(None, points, labels))
            if mask.any():
                near = self._window(tight_box(mask), self._config.margin)
                mask, iou = self._mask_in(near, Asked(None, points, labels, mask))
            disc = inscribed_ellipse(mask.shape, around)
            name = f"points within {half:.0f} px"
            candidates.append(self._candidate(name, mask, iou, disc, f"an ellipse of {half:.0f} px instead"))
        return tuple(candidates)

    def _window(self, box: np.ndarray, margin: float) -> Window:
        size = self._config.size_px
        window = Window.around(self._image.shape[:2], box, margin, size)
        return dataclasses.replace(window, small_size=(size, size))

    def _mask_in(self, window: Window, prompt: Asked) -> tuple[np.ndarray, float]:
        ((logits, iou),) = self._ask(window, [prompt])
        return self._paste(logits, window), iou

    @torch.inference_mode()
    def _ask(
        self, window: Window, prompts: Sequence[Asked], second_looks: int = 0, mirrored: bool = False
    ) -> list[tuple[np.ndarray, float]]:
        """Logits (S, S) of the window and the predicted IoU for each prompt."""
        crop = _resized(self._image[window.rows, window.cols], window.small_size)
        local = [_in_window(prompt, window) for prompt in prompts]
        if mirrored:
            crop, local = np.ascontiguousarray(crop[:, ::-1]), [_mirrored(one, crop.shape[1]) for one in local]
        seen = self._encoder.encode(crop, self._config.size_px)
        pixels = torch.from_numpy(crop).to(self._device).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        with autocast(self._device, self._dtype):
            view = self._net.look(pixels, seen.stride4, seen.stride8, seen.stride16)
            view = view.rows(torch.zeros(len(prompts), dtype=torch.long, device=self._device))
            for look in range(1 + second_looks):
                maps = np.stack([prompt_maps(crop, *one) for one in local])
                refined = self._net.decode(view, torch.from_numpy(maps).to(self._device))
                logits = refined.logits.float().cpu().numpy()
                if look < second_looks:
                    found = [(row > 0).astype(np.float32) for row in logits]
                    local = [
                        one._replace(coarse=row) if row.any() else one for one, row in zip(local, found, strict=True)
                    ]
        way = -1 if mirrored else 1
        return [(row[:, ::way], float(iou)) for row, iou in zip(logits, refined.iou.cpu(), strict=True)]

    def _paste(self, logits: np.ndarray, window: Window, coarse: np.ndarray | None = None) -> np.ndarray:
        """The logits as an (H, W) bool mask without specks; a coarse mask says which parts are none."""
        mask = np.zeros(self._image.shape[:2], bool)
        part = mask[window.rows, window.cols]
        found = _resized(logits, part.shape[::-1]) > 0
        part[:] = clean(found) if coarse is None else with_parts_of(coarse[window.rows, window.cols], found)
        return mask

    def _candidate(self, name: str, mask: np.ndarray, iou: float, instead: np.ndarray, reason: str) -> Candidate:
        if mask.any():
            return Candidate(name, mask, iou, f"embedded refiner from {name}, predicted IoU {iou:.2f}")
        return Candidate(name, instead.copy(), 0.0, f"embedded refiner from {name} found nothing: {reason}")


def with_parts_of(coarse: np.ndarray, found: np.ndarray) -> np.ndarray:
    """A found mask, (h, w) bool, with the parts that a coarse mask says there are.

    Refining moves borders; whether something behind a tree is in two parts, the tracker knows. So a part that lies
    mostly in the coarse mask is no speck, and a part of the coarse mask that was not found at all stays.
    """
    if not found.any():
        return found
    mask = clean(found)
    labels, total, common = _parts(found, coarse)
    mask |= (2 * common > total)[labels] & found
    labels, total, common = _parts(coarse, mask)
    lost = (common < _LOST_SHARE * total) & (total > _SPECK_SHARE * np.count_nonzero(coarse))
    return mask | (lost[labels] & coarse)


def _parts(mask: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (h, w) of the connected parts of a mask, the pixels of each, and how many of them another mask has."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return labels, np.bincount(labels.ravel(), minlength=count), np.bincount(labels[other], minlength=count)


def _in_window(prompt: Asked, window: Window) -> Asked:
    """The same prompt in pixels of the crop."""
    box = None if prompt.box is None else window.to_small(prompt.box).astype(np.float32)
    points = None if prompt.points is None else window.points_to_small(prompt.points).astype(np.float32)
    coarse = prompt.coarse
    if coarse is not None:
        coarse = _resized(coarse[window.rows, window.cols].astype(np.float32), window.small_size)
    return Asked(box, points, prompt.labels, coarse)


def _mirrored(prompt: Asked, width: int) -> Asked:
    """The same prompt in the mirrored crop."""
    box, points, coarse = prompt.box, prompt.points, prompt.coarse
    return Asked(
        None if box is None else np.array([width - box[2], box[1], width - box[0], box[3]], np.float32),
        None if points is None else np.stack([width - points[:, 0], points[:, 1]], axis=1),
        prompt.labels,
        None if coarse is None else np.ascontiguousarray(coarse[:, ::-1]),
    )


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w, ...) at (w, h) = `size`: averaged where it shrinks, smooth where it grows."""
    shrinks = picture.shape[0] * picture.shape[1] > size[0] * size[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _extent(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0) + 1]).astype(np.float32)


def _union(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.concatenate([np.minimum(first[:2], second[:2]), np.maximum(first[2:], second[2:])])
