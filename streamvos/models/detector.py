"""What a detector is, and the detectors by name; a new one registers its class and is imported in `detectors.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch

from streamvos.models.candidates import Candidates
from streamvos.models.catalogue import locate
from streamvos.models.vocabulary import Vocabulary
from streamvos.registry import Registry

# (H, W, 3) uint8 RGB in; `Detections`, or boxes (N, 4) xyxy in pixels, scores (N,) from 0 to 1 and N class names, out
DetectorFunction = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class DetectorSetup:
    """What a detector is built with.

    Args:
        device: where it runs.
        classes: names asked for; empty: all that it knows. One that knows any words takes them from here.
        function: the user's own detector, for the one detector that is made of it.
    """

    device: torch.device
    classes: tuple[str, ...] = ()
    function: DetectorFunction | None = None


class Detector(Protocol):
    """A network in two halves, of which the first does not hang on what is made of it.

    `names`: class names that it knows; None: any words, which come with the setup or out of the detector.
    `weights`: its entry of the catalogue, where it must be fetched.
    `levels`: names of its feature maps and their numbers of channels, where it is a `DetectorWithLevels`. Where there
    are none, memory knows where things are expected, and no more.
    `vocabulary`: class names by id; it may grow while the detector runs.
    """

    names: ClassVar[tuple[str, ...] | None]
    weights: ClassVar[str | None]
    levels: Mapping[str, int]
    vocabulary: Vocabulary

    @classmethod
    def build(cls, setup: DetectorSetup) -> Self: ...

    def features(self, image: np.ndarray) -> Any:
        """Feature maps of an (H, W, 3) uint8 RGB image, or whatever `predict` takes."""

    def predict(self, maps: Any, size: tuple[int, int]) -> Candidates:
        """Candidates of feature maps, in pixels of an image of (H, W), with a column of scores for each class id."""


class DetectorWithLevels(Detector, Protocol):
    """One that is cut in two at feature maps, so that a memory can stand between backbone and heads."""

    def to_arrays(self, maps: Any) -> dict[str, np.ndarray]:
        """Feature maps as (h, w, C) float32 arrays by level."""

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The opposite of `to_arrays`."""


DETECTORS: Registry[type[Detector]] = Registry("detector")


def expect_detector_weights(name: str) -> None:
    """Raise `MissingWeightsError` where weights that must be fetched are not here; says the command that gets them."""
    weights = DETECTORS.get(name).weights
    if weights is not None:
        locate(weights)
