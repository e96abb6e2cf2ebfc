"""DAVIS: the data set as it lies on disk, and the evaluation of a tracker on it with the first mask given.

Layout: `JPEGImages/480p/<sequence>/00000.jpg`, `Annotations/480p/<sequence>/00000.png`. Masks of DAVIS-2016
hold 0 and 255 and become object 1; masks of DAVIS-2017 hold the object ids.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eval.davis_metrics import SequenceScore, score_sequence
from streamvos.errors import InputError, unknown_name
from streamvos.masks import davis_palette

logger = logging.getLogger(__name__)

# Takes the next frame, (H, W, 3) uint8 RGB; returns its label map, (H, W) uint8, 0 the background.
Step = Callable[[np.ndarray], np.ndarray]
# Takes the first frame and its label map, forgets earlier sequences, and returns what takes the later frames.
Tracker = Callable[[np.ndarray, np.ndarray], Step]


@dataclass(frozen=True)
class DavisSequence:
    """One sequence on disk: a frame and an annotation for each name, in order."""

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path, ...]

    def images(self) -> Iterator[np.ndarray]:
        """The frames, (H, W, 3) uint8 RGB, one at a time."""
        return map(_read_image, self.frames)

    def label_maps(self) -> Iterator[np.ndarray]:
        """The truth, (H, W) uint8 ids, one at a time."""
        return map(read_label_map, self.annotations)


@dataclass(frozen=True)
class SequenceResult:
    """A sequence's score and the time of the tracker alone (reading and scoring are not counted)."""

    name: str
    score: SequenceScore
    num_frames: int
    tracker_s: float

    @property
    def fps(self) -> float:
        return self.num_frames / self.tracker_s


@dataclass(frozen=True)
class DavisEvaluation:
    """Results of all sequences."""

    sequences: tuple[SequenceResult, ...]

    @property
    def jf_mean(self) -> float:
        """J&F in [0, 1], the mean over all objects of all sequences, as the toolkit reports it."""
        return float(np.concatenate([one.score.jf_by_object for one in self.sequences]).mean())

    def rows(self) -> list[dict[str, Any]]:
        """One row for each sequence and one for the mean over objects, measures in percent."""
        rows = [_row(one.name, [one]) for one in self.sequences]
        return [*rows, _row("mean", self.sequences)]


def find_sequences(root: Path, names: Sequence[str] | None = None, resolution: str = "480p") -> list[DavisSequence]:
    """The sequences under a DAVIS root, all of them or those named, in order of name.

    Raises:
        InputError: not a DAVIS layout, an unknown name, or frames without annotations.
    """
    images, annotations = root / "JPEGImages" / resolution, root / "Annotations" / resolution
    for folder in (images, annotations):
        if not folder.is_dir():
            raise InputError(f"{root} is not a DAVIS folder: expected {folder}")
    there = sorted(path.name for path in annotations.iterdir() if path.is_dir())
    for name in names or ():
        if name not in there:
            raise unknown_name("DAVIS sequence", name, there)
    if not there:
        raise InputError(f"{annotations} holds no sequence folders")
    return [_sequence(name, images / name, annotations / name) for name in there if not names or name in names]


def evaluate(
    tracker: Tracker, root: Path, sequences: Sequence[str] | None = None, out_dir: Path | None = None
) -> DavisEvaluation:
    """Run a tracker over DAVIS with the first mask given, and score it.

    Args:
        tracker: called with the first frame and label map of each sequence; see `Tracker`.
        root: folder that holds `JPEGImages` and `Annotations`.
        sequences: names, or None for all.
        out_dir: where to write the label maps as `<sequence>/00000.png`, or None.
    """
    results = []
    for sequence in find_sequences(root, sequences):
        run = _Run(tracker, sequence, None if out_dir is None else out_dir / sequence.name)
        score = score_sequence(run.predictions(), sequence.label_maps())
        results.append(SequenceResult(sequence.name, score, len(sequence.frames), run.tracker_s))
        logger.info("%s: J&F %.1f, %.1f frames/s", sequence.name, 100 * score.jf_mean, results[-1].fps)
    return DavisEvaluation(tuple(results))


def copy_first_mask(image: np.ndarray, labels: np.ndarray) -> Step:
    """The baseline that every tracker must beat: the first mask, unmoved."""
    return lambda image: labels


def read_label_map(path: Path) -> np.ndarray:
    """Read an annotation as (H, W) uint8 ids; 0 and 255 alone are DAVIS-2016's single object, id 1."""
    with Image.open(path) as picture:
        labels = np.array(picture if picture.mode in ("P", "L") else picture.convert("L"))
    if labels.max(initial=0) == 255 and not ((labels > 0) & (labels < 255)).any():
        return (labels > 0).astype(np.uint8)
    return labels


def write_label_map(path: Path, labels: np.ndarray) -> None:
    """Write (H, W) ids up to 255 as an 8-bit PNG with the DAVIS palette."""
    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(davis_palette().reshape(-1).tolist())
    picture.save(path)


@dataclass
class _Run:
    """One pass of a tracker over a sequence, with its time taken."""

    tracker: Tracker
    sequence: DavisSequence
    out_dir: Path | None
    tracker_s: float = field(default=0.0, init=False)

    def predictions(self) -> Iterator[np.ndarray]:
        images = self.sequence.images()
        first_image, labels = next(images), read_label_map(self.sequence.annotations[0])
        step = self._timed(self.tracker, first_image, labels)
        self._keep(0, labels)
        yield labels
        for index, image in enumerate(images, start=1):
            labels = self._timed(step, image)
            self._keep(index, labels)
            yield labels

    def _timed(self, call: Callable[..., Any], *args: np.ndarray) -> Any:
        start = time.perf_counter()
        value = call(*args)
        self.tracker_s += time.perf_counter() - start
        return value

    def _keep(self, index: int, labels: np.ndarray) -> None:
        if self.out_dir is not None:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            write_label_map(self.out_dir / f"{self.sequence.frames[index].stem}.png", labels)


def _row(name: str, results: Sequence[SequenceResult]) -> dict[str, Any]:
    weights = [len(one.score.object_ids) for one in results]

    def percent(measure: str, statistic: str) -> float:
        values = [getattr(getattr(one.score, measure), statistic) for one in results]
        return round(100 * float(np.average(values, weights=weights)), 2)

    j, f = percent("j", "mean"), percent("f", "mean")
    num_frames = sum(one.num_frames for one in results)
    return {
        "sequence": name,
        "frames": num_frames,
        "objects": sum(weights),
        "J&F": round((j + f) / 2, 2),
        "J mean": j,
        "J recall": percent("j", "recall"),
        "J decay": percent("j", "decay"),
        "F mean": f,
        "F recall": percent("f", "recall"),
        "F decay": percent("f", "decay"),
        "frames/s": round(num_frames / sum(one.tracker_s for one in results), 2),
    }


def _sequence(name: str, images: Path, annotations: Path) -> DavisSequence:
    masks = sorted(annotations.glob("*.png"))
    frames = sorted(images.glob("*.jpg"))
    if not frames or [path.stem for path in frames] != [path.stem for path in masks]:
        odd = sorted({path.stem for path in frames} ^ {path.stem for path in masks})
        raise InputError(
            f"sequence {name}: expected one annotation for each frame, got {len(frames)} frames and "
            f"{len(masks)} annotations (first without its pair: {odd[0] if odd else 'none'})"
        )
    return DavisSequence(name, tuple(frames), tuple(masks))


def _read_image(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))
