"""Only things that can be named: a cut-out is drawn where the packaged detector knows it, whole and sharp.

What cannot be named even then says nothing about blur, hiding or memory. So the scores of that detector on clean frames
are flattered; those of others are not touched. `--any-object` leaves this check out.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from eval.compose.background import Background
from eval.compose.cutouts import Cutout
from eval.compose.light import gains, local_light, look_of
from streamvos.boxes import box_iou
from streamvos.models.coco import ID_OF
from streamvos.models.ssd_mobilenet import SsdMobileNet

_MIN_SCORE = 0.35
_MIN_IOU = 0.5
_PLACES = ((0.3, 0.0), (0.5, 0.33), (0.65, 0.67))  # across the picture, and through the background
_ENOUGH = 2  # of the places


class Recogniser:
    """Asks the detector about cut-outs before one background."""

    def __init__(self, background: Background, extent: float) -> None:
        self._detector = SsdMobileNet(torch.device("cpu"))
        self._images = background.images
        self._white = look_of(background.images).white
        self._extent = extent

    def knows(self, cutout: Cutout) -> bool:
        """Whether it is named at most places; classes that the detector has never learned always pass."""
        if cutout.class_name not in ID_OF:
            return True
        named = missed = 0
        for x, through in _PLACES:
            is_named = self._is_named(cutout, x, through)
            named, missed = named + is_named, missed + (not is_named)
            if named >= _ENOUGH or missed > len(_PLACES) - _ENOUGH:
                break
        return named >= _ENOUGH

    def _is_named(self, cutout: Cutout, x: float, through: float) -> bool:
        image = self._images[int(through * (len(self._images) - 1))].copy()
        height, width = image.shape[:2]
        x1, y1, x2, y2 = cutout.box_xyxy
        scale = float(self._extent * height / max(x2 - x1, y2 - y1))
        size = (max(2, round(cutout.alpha.shape[1] * scale)), max(2, round(cutout.alpha.shape[0] * scale)))
        colour = cv2.resize(cutout.colour, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        alpha = cv2.resize(cutout.alpha, size, interpolation=cv2.INTER_AREA)[:height, :width]
        left = int(np.clip(x * width - alpha.shape[1] / 2, 0, width - alpha.shape[1]))
        top = int(np.clip(0.85 * height - alpha.shape[0], 0, height - alpha.shape[0]))
        colour = colour[: alpha.shape[0], : alpha.shape[1]]
        pixels = cutout.colour[cutout.alpha > 0.5]
        brightest = float(np.percentile(pixels.mean(axis=1), 95))
        colour = colour * gains(local_light(image), (x, 0.6), pixels.mean(axis=0), brightest, self._white)
        window = slice(top, top + alpha.shape[0]), slice(left, left + alpha.shape[1])
        mixed = image[window] * (1 - alpha[..., None]) + colour * alpha[..., None]
        image[window] = np.clip(mixed, 0, 255).astype(np.uint8)
        boxes, scores, class_ids = self._detector.detect(image, _MIN_SCORE)
        mine = class_ids == ID_OF[cutout.class_name]
        truth = np.array([[x1 * scale + left, y1 * scale + top, x2 * scale + left, y2 * scale + top]], np.float32)
        return bool(mine.any()) and float(box_iou(boxes[mine], truth).max()) > _MIN_IOU
