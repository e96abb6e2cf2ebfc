"""A detector that is made of any function of the user's: `Session(detector=my_function)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from streamvos.errors import InputError
from streamvos.models.candidates import Candidates
from streamvos.models.detector import DETECTORS, DetectorFunction, DetectorSetup
from streamvos.models.vocabulary import Vocabulary
from streamvos.records import Detections

FUNCTION = "function"
_EXPECTED = "expected Detections, or boxes (N, 4) xyxy in pixels, scores (N,) from 0 to 1 and N class names"


@DETECTORS.register(FUNCTION)
class FunctionDetector:
    """The function behind the protocol of detectors; class names that it gives enter the vocabulary as they come.

    Args:
        function: takes an (H, W, 3) uint8 RGB image, gives `Detections` or (boxes, scores, class names).
        classes: names that are known from the beginning.
    """

    names = None
    weights = None
    levels: Mapping[str, int] = {}

    def __init__(self, function: DetectorFunction, classes: Iterable[str] = ()) -> None:
        self._function, self.vocabulary = function, Vocabulary(classes)

    @classmethod
    def build(cls, setup: DetectorSetup) -> FunctionDetector:
        """The function's; raises `InputError` where there is none."""
        if setup.function is None:
            raise InputError(f"detect.detector is {FUNCTION!r}, and no function came; give Session(detector=...)")
        return cls(setup.function, setup.classes)

    def features(self, image: np.ndarray) -> np.ndarray:
        """The picture itself: the function sees nothing else."""
        return image

    def predict(self, maps: np.ndarray, size: tuple[int, int]) -> Candidates:
        """What the function finds in the picture; raises `InputError` where it gives anything else."""
        boxes, scores, names = _parts(self._function(maps))
        ids = np.array([self.vocabulary.id_of(name) for name in names], np.int64)
        table = np.zeros((len(boxes), self.vocabulary.num_ids), np.float32)
        table[np.arange(len(boxes)), ids] = scores
        return Candidates(boxes, table, size)


def _parts(given: object) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    if isinstance(given, Detections):
        return given.boxes_xyxy, given.scores, given.class_names
    try:
        boxes, scores, names = given
        boxes, scores, names = np.array(boxes, np.float32), np.array(scores, np.float32), tuple(names)
    except (TypeError, ValueError) as error:
        raise InputError(f"the detector function gave {type(given).__name__}: {_EXPECTED} ({error})") from None
    boxes = boxes.reshape(-1, 4) if not boxes.size else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != (len(boxes),) or len(names) != len(boxes):
        raise InputError(
            f"the detector function gave boxes {boxes.shape}, scores {scores.shape}, {len(names)} names: {_EXPECTED}"
        )
    if not np.isfinite(boxes).all() or not ((scores >= 0) & (scores <= 1)).all():
        raise InputError(f"the detector function gave numbers that are not finite or out of range: {_EXPECTED}")
    if any(not isinstance(name, str) or not name for name in names):
        raise InputError(f"the detector function gave class names {names[:5]!r}: {_EXPECTED}")
    return boxes, scores, names
