"""SAM-HQ (Ke et al., NeurIPS 2023) as refiner: `segment-anything-hq`, all four sizes."""

from __future__ import annotations

import numpy as np

from pipelines.refiners.protocol import Candidate, checked_prompt, innermost_point
from streamvos.masks import tight_box
from streamvos.models.sam_hq import SamHqPredictor


class SamHqRefiner:
    """SAM-HQ as refiner. A coarse mask is asked for in five ways, of which quick looks take the first.

    They are: box and mask; box; box and inner point; box with the high-quality token alone; three answers to the inner
    point, of which SAM takes the one that it believes most.
    """

    name = "sam-hq"

    def __init__(self, predictor: SamHqPredictor):
        self._predictor = predictor
        self._image: np.ndarray | None = None

    def polishes(self, box_px: float) -> bool:
        return False  # a second and more on a CPU; on a GPU, `refine.when.every = 1` selects in every frame

    def set_image(self, image: np.ndarray, frame_index: int) -> None:
        if image is not self._image:
            self._predictor.set_image(image)
            self._image = image

    def refine(
        self,
        coarse: np.ndarray | None = None,
        box: np.ndarray | None = None,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        quick: bool = False,
    ) -> tuple[Candidate, ...]:
        box, points, labels = checked_prompt(self._image, coarse, box, points, labels)
        if coarse is None:
            name = "+".join(name for name, one in (("box", box), ("points", points)) if one is not None)
            return (self._ask(name, box=box, points=points, labels=labels),)
        given = {"box": tight_box(coarse) if box is None else box, "points": points, "labels": labels}
        first = self._ask("box+mask", **given, mask=coarse)
        if quick:
            return (first,)
        inner, inside = innermost_point(coarse)[None], np.ones(1, bool)
        with_inner = {"points": inner, "labels": inside}
        if points is not None:
            with_inner = {"points": np.concatenate([inner, points]), "labels": np.concatenate([inside, labels])}
        return (
            first,
            self._ask("box", **given),
            self._ask("box+point", **{**given, **with_inner}),
            self._ask("box, hq token only", **given, hq_token_only=True),
            self._ask("point, best of three", points=inner, labels=inside),
        )

    def _ask(self, name: str, **prompt: np.ndarray | bool | None) -> Candidate:
        mask, predicted_iou = self._predictor.predict(**prompt)
        return Candidate(name, mask, predicted_iou, f"SAM-HQ from {name}, predicted IoU {predicted_iou:.2f}")
