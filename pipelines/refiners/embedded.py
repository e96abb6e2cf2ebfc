"""The embedded refiner: boxes, clicks and coarse masks to fine masks by a small network of ours, on any CPU.

The object's surroundings are cut out of the frame and scaled to a fixed size, so that small objects are seen as
finely as large ones; the network's own mask goes in once more as a coarse one. A click does not say how large its
object is: the refiner looks near and far, asks for a part, the whole and a group each time, then again around what is
likeliest, and offers what differs. A mask that does not hold the click is no answer to it. How good an answer is shows
better in whether looks from other distances find it too than in the IoU that the network predicts of one look.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from pipelines.refiners.choices import distinct
from pipelines.refiners.crop_prompts import MaskPrompt, extent, in_window, mirror, resized, union
from pipelines.refiners.gate import intersection_over_union
from pipelines.refiners.grabcut_parts import Window, clean, inscribed_ellipse
from pipelines.refiners.mask_parts import with_parts_of
from pipelines.refiners.prompt_maps import prompt_maps
from pipelines.refiners.protocol import REFINERS, Candidate, RefinerSetup, checked_prompt, holds, innermost_point
from pipelines.refiners.refine_net import CHOICES, DECIDED, RefineNet
from streamvos.device import autocast, pick_precision
from streamvos.masks import tight_box
from streamvos.models.catalogue import locate
from streamvos.models.efficientnet_lite import EfficientNetLite0

WEIGHTS = "embedded-refiner"


@dataclass(frozen=True)
class EmbeddedRefinerRules:
    """How the embedded refiner works.

    Args:
        size_px: side of the square picture that the network sees, a multiple of 16; larger is finer and slower. It was
            trained at 256.
        margin: what is seen around a coarse mask, as a share of its box's longer side, on each side; trained with about
            0.2.
        box_margins: the same around a box, one for each pass, every second one mirrored; the passes' mean counts. More
            cost time and gain little: of held-out things, 69.0 IoU from one, 71.2 from these two, 70.6 from six.
        box_rounds: how often the network's own mask of a box goes in again as a coarse one; each costs a decoder, not
            an encoder. For boxes alone: docs/model-cards/refiner.md, Limits.
        quick_max_px: up to what size masks are worth a quick refinement: the geometric mean of the box's sides, in
            pixels of the tracker's working size. What is larger the tracker sees as finely as a crop of `size_px` shows
            it. On made-up clips it gained 2 to 3 J&F on masks below 130, 0.8 up to 216 and lost 1 above.
        click_reaches: how far around clicks is looked, as shares of the frame's shorter side; each costs an encoding.
    """

    size_px: int = 256
    margin: float = 0.15
    box_margins: tuple[float, ...] = (0.08, 0.15)
    box_rounds: int = 1
    quick_max_px: float = 216.0
    click_reaches: tuple[float, ...] = (0.08, 0.15, 0.35, 0.7)


RULES = EmbeddedRefinerRules()
# IoU of a mask of a click, from the IoU predicted of it and its agreement with looks from other distances: least
# squares over clicks on pictures that the network has learned from, `python -m pipelines.training.click_quality`.
QUALITY = (0.34, 0.50, -0.18)


class Offer(NamedTuple):
    """What a click may mean: an (H, W) bool mask, the IoU predicted of it, how far was looked (pixels), the largest IoU
    with a mask from another distance, and the IoU that follows from all."""

    mask: np.ndarray
    predicted: float
    reach_px: float
    agreement: float = 0.0
    quality: float = 0.0


@REFINERS.register("embedded")
class EmbeddedRefiner:
    """A `Refiner` with trained weights of ours.

    Args:
        net: trained, on the setup's device.
        setup, rules: see there. In bfloat16 borders move by a pixel at most.
    """

    name = "embedded"
    settings = None
    makes_first_masks = True

    def __init__(self, net: RefineNet, setup: RefinerSetup, rules: EmbeddedRefinerRules = RULES) -> None:
        self._net, self._device, self._rules = net, setup.device, rules
        self._dtype = pick_precision(setup.precision, setup.device)
        self._encoder = EfficientNetLite0(setup.device, self._dtype)
        self._image: np.ndarray | None = None

    @classmethod
    def build(cls, config: None, setup: RefinerSetup) -> EmbeddedRefiner:
        return cls(RefineNet.from_file(locate(WEIGHTS), setup.device), setup)

    @classmethod
    def weights(cls, config: None) -> tuple[str, ...]:
        return (WEIGHTS,)

    def suits_quick(self, box_px: float) -> bool:
        return box_px <= self._rules.quick_max_px

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
        """See `Refiner.refine`; a coarse mask gives "mask", "mask+point" and "box", clicks what differs, a box one."""
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
        prompts = {"mask": MaskPrompt(box, points, labels, coarse)}
        if not quick:
            if points is None:
                prompts["mask+point"] = MaskPrompt(box, innermost_point(coarse)[None], np.ones(1, bool), coarse)
            prompts["box"] = MaskPrompt(tight if box is None else box, points, labels)
        window = self._window(tight if box is None else union(tight, box), self._rules.margin)
        answers = self._ask(window, tuple(prompts.values()))
        return tuple(
            self._candidate(name, self._paste(logits, window, coarse), iou, coarse, "the coarse mask as it is")
            for name, ((logits, iou),) in zip(prompts, answers, strict=True)
        )

    def _from_box(
        self, box: np.ndarray, points: np.ndarray | None, labels: np.ndarray | None, quick: bool
    ) -> Candidate:
        around = box if labels is None or not labels.any() else union(box, extent(points[labels]))
        margins = (self._rules.margin,) if quick else self._rules.box_margins
        total, ious = np.zeros(self._image.shape[:2], np.float32), []
        for place, margin in enumerate(margins):
            window = self._window(around, margin)
            asked = [MaskPrompt(box, points, labels)]
            (((logits, iou),),) = self._ask(window, asked, self._rules.box_rounds, mirrored=place % 2 == 1)
            part = total[window.rows, window.cols]
            part += 1.0 / (1.0 + np.exp(-resized(logits, part.shape[::-1])))
            ious.append(iou)
        mask = clean(total > 0.5 * len(margins))
        name = "box" if points is None else "box+points"
        return self._candidate(
            name, mask, float(np.mean(ious)), inscribed_ellipse(mask.shape, box), "inscribed ellipse instead"
        )

    def _from_points(self, points: np.ndarray, labels: np.ndarray) -> tuple[Candidate, ...]:
        made = self._from_click(points, labels) if len(points) == 1 else self._from_clicks(points, labels)
        return tuple(made) or (self._disc(points[labels]),)

    def _from_click(self, point: np.ndarray, label: np.ndarray) -> Iterator[Candidate]:
        """What differs of all that it may mean, the likeliest looked at again."""
        offers = sorted(self.offers(point, label), key=lambda one: -one.quality)
        for place in distinct([one.mask for one in offers]):
            offer = offers[place]
            again = self._again(offer, point, label)[0] if place == 0 else offer.mask
            yield _of_offer(offer, again if holds(again, point) else offer.mask, offer.quality)

    def _from_clicks(self, points: np.ndarray, labels: np.ndarray) -> Iterator[Candidate]:
        """They say what is meant: the mask of each distance, looked at again. Some lie beside a border, so that a mask
        that agrees with all of them is often a worse one."""
        for offer in self.offers(points, labels):
            again, iou = self._again(offer, points, labels)
            yield _of_offer(offer, again if again.any() else offer.mask, iou)

    def offers(self, points: np.ndarray, labels: np.ndarray) -> list[Offer]:
        """What (P, 2) clicks with their (P,) bool labels may mean, looked at from all distances."""
        found: list[Offer] = []
        clicked = points[labels]
        for reach in self._rules.click_reaches:
            around, half = self._around(clicked, reach)
            window = self._window(around, 0.0)
            masks = CHOICES if len(points) == 1 else DECIDED
            for logits, iou in self._ask(window, [MaskPrompt(None, points, labels)], masks=masks)[0]:
                mask = self._paste(logits, window)
                if holds(mask, clicked) if len(points) == 1 else mask.any():
                    found.append(Offer(mask, iou, half))
        return [self._judged(offer, found) for offer in found]

    def _judged(self, offer: Offer, offers: Sequence[Offer]) -> Offer:
        others = [intersection_over_union(offer.mask, one.mask) for one in offers if one.reach_px != offer.reach_px]
        agreement = max(others, default=0.0)
        quality = float(np.clip(np.dot(QUALITY, (offer.predicted, agreement, 1.0)), 0.0, 1.0))
        return offer._replace(agreement=agreement, quality=quality)

    def _around(self, clicked: np.ndarray, reach: float) -> tuple[np.ndarray, float]:
        """The (4,) xyxy box that is looked at around clicks, and how many pixels it reaches."""
        height, width = self._image.shape[:2]
        half = reach * min(height, width)
        box = extent(clicked) + np.array([-half, -half, half, half], np.float32)
        return np.clip(box, 0, [width, height, width, height]), half

    def _disc(self, clicked: np.ndarray) -> Candidate:
        """Where no look found anything."""
        box, half = self._around(clicked, self._rules.click_reaches[0])
        disc, name = inscribed_ellipse(self._image.shape[:2], box), f"points within {half:.0f} px"
        reason = f"the embedded refiner found nothing from {name}: an ellipse of {half:.0f} px instead"
        return Candidate(name, disc, 0.0, reason)

    def _again(self, offer: Offer, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
        """A look from near at what was found: the mask and the IoU predicted of it."""
        window = self._window(tight_box(offer.mask), self._rules.margin)
        (((logits, iou),),) = self._ask(window, [MaskPrompt(None, points, labels, offer.mask)])
        return self._paste(logits, window), iou

    def _window(self, box: np.ndarray, margin: float) -> Window:
        size = self._rules.size_px
        window = Window.around(self._image.shape[:2], box, margin, size)
        return dataclasses.replace(window, small_size=(size, size))

    @torch.inference_mode()
    def _ask(
        self,
        window: Window,
        prompts: Sequence[MaskPrompt],
        rounds: int = 0,
        mirrored: bool = False,
        masks: slice = DECIDED,
    ) -> list[list[tuple[np.ndarray, float]]]:
        """Logits (S, S) of the window and the predicted IoU of each mask of each prompt.

        Args:
            rounds: how often a prompt's own (first) mask goes in again. masks: see `RefineNet.decode`.
        """
        crop = resized(self._image[window.rows, window.cols], window.small_size)
        local = [in_window(prompt, window) for prompt in prompts]
        if mirrored:
            crop, local = np.ascontiguousarray(crop[:, ::-1]), [mirror(one, crop.shape[1]) for one in local]
        seen = self._encoder.encode(crop, self._rules.size_px)
        pixels = torch.from_numpy(crop).to(self._device).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        with autocast(self._device, self._dtype):
            encoding = self._net.encode(pixels, seen.stride4, seen.stride8, seen.stride16)
            encoding = encoding.rows(torch.zeros(len(prompts), dtype=torch.long, device=self._device))
            for number in range(1 + rounds):
                maps = np.stack([prompt_maps(crop, *one) for one in local])
                refined = self._net.decode(encoding, torch.from_numpy(maps).to(self._device), masks)
                logits = refined.logits.float().cpu().numpy()
                if number < rounds:
                    found = [(row[0] > 0).astype(np.float32) for row in logits]
                    local = [
                        one._replace(coarse=row) if row.any() else one for one, row in zip(local, found, strict=True)
                    ]
        way = -1 if mirrored else 1
        return [
            [(one[:, ::way], iou) for one, iou in zip(row, ious, strict=True)]
            for row, ious in zip(logits, refined.iou.tolist(), strict=True)
        ]

    def _paste(self, logits: np.ndarray, window: Window, coarse: np.ndarray | None = None) -> np.ndarray:
        """The logits as an (H, W) bool mask without specks; a coarse mask says which parts are none."""
        mask = np.zeros(self._image.shape[:2], bool)
        part = mask[window.rows, window.cols]
        found = resized(logits, part.shape[::-1]) > 0
        part[:] = clean(found) if coarse is None else with_parts_of(coarse[window.rows, window.cols], found)
        return mask

    def _candidate(self, name: str, mask: np.ndarray, iou: float, instead: np.ndarray, reason: str) -> Candidate:
        if mask.any():
            return Candidate(name, mask, iou, f"made from {name} by the embedded refiner")
        return Candidate(name, instead.copy(), 0.0, f"the embedded refiner found nothing from {name}: {reason}")


def _of_offer(offer: Offer, mask: np.ndarray, iou: float) -> Candidate:
    name = f"points within {offer.reach_px:.0f} px"
    return Candidate(name, mask, iou, f"made from {name} by the embedded refiner")
