from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.datasets.mask_sequences import MaskSequence, pair_up, read_labels
from eval.metrics.davis import SequenceScore
from eval.reporting.results import render
from eval.running.harness import SequenceScores
from eval.running.jf_table import jf_rows, jf_scores
from eval.running.semi_supervised import SemiSupervisedTask, annotated, curve_of, quality_plot
from eval.running.trackers import Tracker
from streamvos.errors import InputError

SIZE = (8, 12)


@dataclass(frozen=True)
class Clip:
    """Object 1 from frame 1, object 2 from frame 3; annotations of frames 1, 3 and 4 of 5."""

    root: Path

    def load(self, name: str) -> MaskSequence:
        return pair_up(name, self.root / "images", self.root / "masks", dense=False)

    def starts(self, sequence: MaskSequence) -> Mapping[int, int]:
        return sequence.first_appearances()

    def score(self, sequence: MaskSequence, starts: Mapping[int, int], predictions: Iterator) -> dict[str, Any]:
        return {
            "truths": [truth is not None for _, _, truth in annotated(sequence, predictions)],
            "starts": dict(starts),
        }


@dataclass(frozen=True)
class Recorder:
    """A tracker that notes what it is given, and answers with nothing."""

    given: list = field(default_factory=list)
    first: str = "mask"

    def __call__(self) -> Tracker:
        def track(image: np.ndarray, given: np.ndarray | None) -> np.ndarray:
            self.given.append(None if given is None else np.unique(given).tolist())
            return np.zeros(image.shape[:2], np.uint8)

        return track


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for index in range(5):
        labels = np.zeros(SIZE, np.uint8)
        labels[:4, :4], labels[7] = 1, 255
        if index >= 3:
            labels[4:7, 6:] = 2
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / f"images/{index}.jpg")
        if index in (1, 3, 4):
            Image.fromarray(labels).save(tmp_path / f"masks/{index}.png")
    return Clip(tmp_path)


def test_each_object_is_given_once(clip: Clip, tmp_path: Path) -> None:
    tracker = Recorder()
    result = SemiSupervisedTask(clip, tracker, tmp_path / "out")("clip")
    assert tracker.given == [None, [0, 1], None, [0, 2], None]
    assert result.scores == {"truths": [False, True, False, True, True], "starts": {1: 1, 2: 3}}
    assert result.num_frames == 5 and result.name == "clip"
    kept = [np.unique(read_labels(path)).tolist() for path in sorted((tmp_path / "out/clip").iterdir())]
    assert kept == [[0], [0, 1], [0], [0, 2], [0]]  # what was given is the result of that frame


def test_boxes_do_not_become_the_result(clip: Clip, tmp_path: Path) -> None:
    SemiSupervisedTask(clip, Recorder(first="box"), tmp_path / "out")("clip")
    assert all(not read_labels(path).any() for path in (tmp_path / "out/clip").iterdir())


def test_errors_name_the_sequence(clip: Clip) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(clip.root / "masks/3.png")
    with pytest.raises(InputError, match="sequence clip: expected 12x8 pixels"):
        SemiSupervisedTask(clip, Recorder(), None)("clip")


def test_curve_by_hand() -> None:
    region = np.array([[1.0, 0.5, 0.0], [np.nan, np.nan, 1.0]])
    assert curve_of(region, region) == [1.0, 0.5, 0.5]
    assert curve_of(np.array([[1.0, np.nan]]), np.array([[0.5, np.nan]])) == [0.75]


def test_rows_average_objects_not_sequences() -> None:
    one = SequenceScore((1,), np.full((1, 4), 1.0), np.full((1, 4), 1.0))
    two = SequenceScore((1, 4), np.array([[0.4] * 4, [0.7] * 4]), np.array([[0.4] * 4, [0.7] * 4]))
    rows = jf_rows([SequenceScores("a", 6, 1, jf_scores(one)), SequenceScores("b", 6, 2, jf_scores(two))])
    assert [row["sequence"] for row in rows] == ["a", "b", "b, object 1", "b, object 4", "mean"]
    assert [row["J&F"] for row in rows] == [100.0, 55.0, 40.0, 70.0, 70.0]
    assert rows[-1]["objects"] == 3 and rows[-1]["J recall"] == 66.67 and rows[-1]["frames/s"] == 4


def test_plot_takes_curves_of_any_length() -> None:
    rows = [{"sequence": "a", "J": 70.0, "F": None}, {"sequence": "mean", "J": 70.0, "F": 60.0}]
    assert render(quality_plot(rows, ("J", "F"), [[0.5], [1.0, 0.2, 0.4]]))[:4] == b"\x89PNG"
