"""The VOTS measures: by hand, perfect, empty, and as the VOT toolkit computed them on recorded results."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from eval.datasets.vot_regions import EMPTY, INITIALIZATION, Mask, Rectangle, Special, parse_region, read_trajectory
from eval.metrics.vots import MEASURES, VotsScores, mean_scores, overlap, score_object, score_sequence
from eval.vot.sequences import VotSequence
from streamvos.errors import InputError

RECORD = json.loads((Path(__file__).parents[1] / "fixtures" / "vots.json").read_text())
SIZE = (10, 12)
FIRST = Special(INITIALIZATION)


def block(x: int, y: int, width: int = 4, height: int = 4) -> Mask:
    return Mask(np.ones((height, width), bool), x, y)


def recorded(part: dict, folder: Path, scored: list[bool] | None = None) -> VotsScores:
    results = {}
    for object_name, text in part["results"].items():
        path = folder / f"{object_name}.bin"
        path.write_bytes(base64.b64decode(text))
        results[object_name] = read_trajectory(path)
    truth = {key: [parse_region(line) for line in lines] for key, lines in part["truth"].items()}
    ignore = truth.pop("_ignore", None)
    return VotSequence("a", (), tuple(part["size"]), truth, ignore, scored).score(results)


@pytest.mark.parametrize("name", list(RECORD["all"]["sequences"]))
@pytest.mark.parametrize("measure", MEASURES)
def test_agrees_with_the_toolkit_on_one_sequence(name: str, measure: str, tmp_path: Path) -> None:
    part = RECORD["all"]["sequences"][name]
    ours, theirs = getattr(recorded(part, tmp_path), measure), part["scores"][measure]
    assert ours is None if theirs is None else ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_agrees_with_the_toolkit_on_all_sequences(measure: str, tmp_path: Path) -> None:
    ours = mean_scores(recorded(part, tmp_path) for part in RECORD["all"]["sequences"].values())
    assert getattr(ours, measure) == pytest.approx(RECORD["all"]["scores"][measure], abs=1e-9)


@pytest.mark.parametrize("measure", [measure for measure in MEASURES if measure != "adq"])
def test_agrees_with_the_toolkit_on_tagged_frames(measure: str, tmp_path: Path) -> None:
    part = RECORD["tagged"]["sequences"]["ignored"]
    ours = getattr(recorded(part, tmp_path, RECORD["tagged"]["scored"]), measure)
    assert ours == pytest.approx(part["scores"][measure], abs=1e-9)


def test_the_record_defines_and_leaves_open_every_kind_of_measure() -> None:
    assert all(RECORD["all"]["scores"][measure] is not None for measure in MEASURES)
    assert any(part["scores"]["adq"] is None for part in RECORD["all"]["sequences"].values())
    tagged, whole = (RECORD[key]["sequences"]["ignored"]["scores"] for key in ("tagged", "all"))
    assert tagged["quality"] != whole["quality"]


def test_by_hand() -> None:
    """Frames: first, half covered, elsewhere, not reported, away and noticed, away and imagined, unknown."""
    truth = [block(0, 0)] * 4 + [EMPTY, EMPTY, Special(0)]
    result = [FIRST, block(0, 0, 4, 2), block(6, 5), EMPTY, EMPTY, block(1, 1), block(0, 0)]
    scores = score_object(result, truth, SIZE)
    assert scores.quality == pytest.approx((0 + 0.5 + 0 + 0 + 1 + 0) / 6)
    assert scores.accuracy == pytest.approx((0 + 0.5) / 2)
    assert scores.robustness == pytest.approx(1 / 4)
    assert scores.nre == pytest.approx(2 / 4)
    assert scores.dre == pytest.approx(1 / 4)
    assert scores.adq is None


def test_a_perfect_tracker_loses_the_first_frame() -> None:
    truth = [block(index, 1) for index in range(8)]
    scores = score_object([FIRST, *truth[1:]], truth, SIZE)
    assert scores == VotsScores(7 / 8, 7 / 8, 7 / 8, 1 / 8, 0.0, None)


def test_a_tracker_that_says_nothing() -> None:
    scores = score_object([FIRST, *[EMPTY] * 3], [block(0, 0)] * 4, SIZE)
    assert scores == VotsScores(0.0, 0.0, 0.0, 1.0, 0.0, None)


@pytest.mark.parametrize(("away", "expected"), [(10, None), (11, 10 / 11)], ids=["too short", "long enough"])
def test_absence_counts_above_ten_frames(away: int, expected: float | None) -> None:
    truth = [block(0, 0)] + [EMPTY] * away
    result = [FIRST, block(0, 0)] + [EMPTY] * (away - 1)
    assert score_object(result, truth, SIZE).adq == (None if expected is None else pytest.approx(expected))


def test_objects_then_sequences_are_averaged_alike() -> None:
    truth = {"1": [block(0, 0)] * 2, "2": [block(5, 5)] * 2}
    good, bad = [FIRST, block(0, 0)], [FIRST, EMPTY]
    one = score_sequence({"1": good, "2": bad}, truth, SIZE)
    assert one.quality == pytest.approx((0.5 + 0) / 2)
    nothing_known = score_sequence({"1": [FIRST, EMPTY]}, {"1": [Special(0)] * 2}, SIZE)
    assert nothing_known == VotsScores(0.0, 0.0, None, None, None, None)
    assert mean_scores([one, nothing_known]).quality == pytest.approx(one.quality / 2)
    assert mean_scores([one, nothing_known]).robustness == one.robustness


def test_ignored_pixels_are_in_no_overlap() -> None:
    said, true = block(0, 0, 4, 2), block(0, 0, 4, 4)
    assert overlap(said, true, None, SIZE) == pytest.approx(0.5)
    assert overlap(said, true, block(0, 2, 4, 2), SIZE) == pytest.approx(1.0)
    assert overlap(said, true, block(0, 0, 12, 10), SIZE) == 0.0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match="expected results for objects"):
        score_sequence({"1": []}, {"2": []}, SIZE)
    with pytest.raises(InputError, match="for each of 2 frames, got 1"):
        score_object([FIRST], [block(0, 0)] * 2, SIZE)
    with pytest.raises(InputError, match="got a rectangle"):
        score_object([FIRST, Rectangle(0, 0, 2, 2)], [block(0, 0)] * 2, SIZE)
