"""Pictures of what went wrong: given / results / truth of one sequence, at its worst frame and at a typical one.

Colours speak of the truth: green pixels are right, red ones too much, blue ones missing, yellow ones another object's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from eval.datasets.mask_sequences import MaskSequence, read_label_map
from eval.metrics.davis import score_frame
from eval.reporting.results import Plot
from streamvos.errors import InputError
from streamvos.masks import VOID, ids_in
from streamvos.video.images import read_image

RIGHT, SURPLUS, MISSING, OTHER = (60, 200, 90), (235, 60, 50), (60, 120, 255), (245, 205, 40)
_TINT = 0.55  # share of the colour in a pixel
_TILE = (3.9, 2.5)  # inches of one picture with its label


@dataclass(frozen=True)
class JudgedFrame:
    """One frame of a result beside the truth.

    Args:
        index: of the frame. labels: (H, W) the result.
        region, boundary: J and F, means over the objects, in [0, 1].
        missing, surplus: pixels of objects that are not found, and pixels found where there is no object, as shares of
            the objects' pixels.
    """

    index: int
    labels: np.ndarray
    region: float
    boundary: float
    missing: float
    surplus: float


def judge(sequence: MaskSequence, folder: Path, starts: Mapping[int, int]) -> list[JudgedFrame]:
    """A result's frames after the first that gives an object, but for the last, as DAVIS scores them.

    Args:
        sequence: with a truth for each frame.
        folder: of the result: `<frame>.png` beside one another.
        starts: the objects, each with the frame that gives it.

    Raises:
        InputError: a frame of the result is absent or of another size.
    """
    frames = []
    last = len(sequence.frames) - 1
    for index, (path, truth) in enumerate(zip(sequence.frames, sequence.label_maps(), strict=True)):
        ids = [object_id for object_id, start in starts.items() if start < index]
        if truth is None or not ids or index == last:
            continue
        labels = read_label_map(folder / f"{path.stem}.png")
        region, boundary = score_frame(index, labels, truth, ids)
        wanted, got = np.isin(truth, ids), labels > 0
        total = max(1, np.count_nonzero(wanted))
        missing = np.count_nonzero(wanted & ~got) / total
        surplus = np.count_nonzero(got & (truth == 0)) / total
        frames.append(JudgedFrame(index, labels, float(np.mean(region)), float(np.mean(boundary)), missing, surplus))
    if not frames:
        raise InputError(f"sequence {sequence.name}: expected a frame to judge after the first, got none")
    return frames


def worst_and_typical(frames: Sequence[JudgedFrame]) -> tuple[int, int]:
    """Rows of the frame with the lowest J&F and of the one nearest to the median; the first among equals."""
    quality = np.array([frame.region + frame.boundary for frame in frames])
    return int(np.argmin(quality)), int(np.argmin(np.abs(quality - np.median(quality))))


def against_truth(image: np.ndarray, labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """An (H, W, 3) picture in which the result's pixels are coloured by what the truth says of them."""
    clear = truth != VOID
    kinds = {
        RIGHT: (labels > 0) & (labels == truth),
        SURPLUS: (labels > 0) & (truth == 0),
        MISSING: (labels == 0) & (truth > 0) & clear,
        OTHER: (labels > 0) & (truth > 0) & (labels != truth) & clear,
    }
    picture = image.astype(np.float32)
    for colour, where in kinds.items():
        picture[where] += _TINT * (np.array(colour, np.float32) - picture[where])
    return picture.round().astype(np.uint8)


def strip(sequence: MaskSequence, results: Mapping[str, Path], starts: Mapping[int, int]) -> tuple[Plot, dict]:
    """What draws a sequence's strip, and a row of a table: its worst frame by the last of the results.

    Args:
        sequence: see `judge`.
        results: a name and a folder of label maps each, in the order of the columns.
        starts: see `judge`.
    """
    judged = {name: judge(sequence, folder, starts) for name, folder in results.items()}
    decisive = list(judged.values())[-1]
    worst, typical = worst_and_typical(decisive)
    images = {row: read_image(sequence.frames[decisive[row].index]) for row in (worst, typical)}
    truths = list(sequence.label_maps())
    given = min(starts.values())
    first = read_image(sequence.frames[given]), truths[given]

    def draw(figure: Figure) -> None:
        columns = 2 + len(judged)
        figure.set_size_inches(_TILE[0] * columns, 2 * _TILE[1] + 0.5)
        axes = figure.subplots(2, columns, squeeze=False)
        figure.suptitle(sequence.name, fontsize=15)
        for line, (row, kind) in enumerate(((worst, "worst"), (typical, "typical"))):
            index = decisive[row].index
            _show(axes[line][0], against_truth(*first[:1], first[1], first[1]), f"frame {given}, given")
            for place, (name, frames) in enumerate(judged.items(), start=1):
                one = frames[row]
                title = f"{name}, {kind} frame {index}: J {100 * one.region:.0f}, F {100 * one.boundary:.0f}"
                _show(axes[line][place], against_truth(images[row], one.labels, truths[index]), title)
            _show(axes[line][-1], against_truth(images[row], truths[index], truths[index]), f"truth, frame {index}")
        names = {"right": RIGHT, "too much": SURPLUS, "missing": MISSING, "another object's": OTHER}
        patches = [Patch(color=np.array(colour) / 255, label=name) for name, colour in names.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, fontsize=12)

    bad = decisive[worst]
    return draw, {
        "sequence": sequence.name,
        "objects": len(ids_in(first[1])),
        **{
            f"{name} J&F": round(50 * float(np.mean([one.region + one.boundary for one in frames])), 1)
            for name, frames in judged.items()
        },
        "worst frame": bad.index,
        "J there": round(100 * bad.region, 1),
        "missing %": round(100 * bad.missing, 1),
        "too much %": round(100 * bad.surplus, 1),
    }


def _show(axes: object, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture, interpolation="antialiased")
    axes.set_title(title, fontsize=11)
    axes.axis("off")
