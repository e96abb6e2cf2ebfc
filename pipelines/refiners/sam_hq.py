"""SAM-HQ (Ke et al., NeurIPS 2023) as refiner: `segment-anything-hq`, all four sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.refiners.protocol import REFINERS, Candidate, RefinerSetup, checked_prompt, innermost_point
from streamvos.config import Settings, setting
from streamvos.masks import tight_box
from streamvos.models.sam_hq import CATALOGUE_NAMES, SamHqPredictor, SamHqSize


@dataclass(frozen=True)
class SamHqConfig(Settings, at="segment.sam-hq"):
    """Which SAM-HQ."""

    size: SamHqSize = setting("vit_tiny", "which image encoder; larger is finer and slower")
    weights: str = setting("", "a checkpoint of that size; empty: the one that `streamvos models fetch` got")


@REFINERS.register("sam-hq")
class SamHqRefiner:
    """SAM-HQ as refiner. A coarse mask is asked for in five ways, of which a quick refinement takes the first.

    They are: box and mask; box; box and inner point; box with the high-quality token alone; three answers to the inner
    point, of which SAM takes the one with the highest IoU that it predicts.
    """

    name = "sam-hq"
    settings = SamHqConfig
    makes_first_masks = False

    def __init__(self, predictor: SamHqPredictor):
        self._predictor = predictor
        self._image: np.ndarray | None = None

    @classmethod
    def build(cls, config: SamHqConfig, setup: RefinerSetup) -> SamHqRefiner:
        weights = Path(config.weights) if config.weights else None
        return cls(SamHqPredictor(config.size, weights, setup.device))

    @classmethod
    def weights(cls, config: SamHqConfig) -> tuple[str, ...]:
        return () if config.weights else (CATALOGUE_NAMES[config.size],)

    def suits_quick(self, box_px: float) -> bool:
        return False  # a second and more on a CPU; on a GPU, `segment.refine.every = 1` selects in every frame

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
        return Candidate(name, mask, predicted_iou, f"made from {name} by SAM-HQ")
