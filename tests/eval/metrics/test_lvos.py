import json
from pathlib import Path

import numpy as np
import pytest

from eval.datasets.lvos import FrameRange
from eval.metrics.lvos import final_means, score_sequence
from streamvos.errors import InputError

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
OFFICIAL = json.loads((FIXTURES / "davis_official.json").read_text())
RANGES = {
    name: {int(key): FrameRange(*values) for key, values in objects.items()}
    for name, objects in OFFICIAL["ranges"].items()
}


def labels(filled: int) -> np.ndarray:
    """A row of ten cells of 4x4 pixels, the first `filled` of them object 1."""
    picture = np.zeros((4, 40), np.uint8)
    picture[:, : 4 * filled] = 1
    return picture


def numbered(predictions: list[np.ndarray], truths: list[np.ndarray]):
    return [(1 + 5 * index, *pair) for index, pair in enumerate(zip(predictions, truths, strict=True))]


@pytest.mark.parametrize("name", OFFICIAL["ranges"])
def test_agrees_with_the_official_package(name):
    with np.load(FIXTURES / "davis_masks.npz") as maps:
        frames = numbered(list(maps[f"lvos_{name}_ours"]), list(maps[f"lvos_{name}_truth"]))
    for object_id, score in score_sequence(frames, RANGES[name]).items():
        for measure, value in score.percents().items():
            expected = 100 * OFFICIAL["lvos"]["objects"][measure][f"{name}_{object_id}"]
            assert value == pytest.approx(expected, rel=0, abs=1e-6)


def test_means_agree_with_the_official_package():
    recorded = OFFICIAL["lvos"]["objects"]
    names = list(recorded["J"])
    objects = [{measure: 100 * recorded[measure][name] for measure in "JFV"} for name in names]
    means = final_means(objects, [name.startswith("unseen") for name in names])
    for kind, values in OFFICIAL["lvos"]["means"].items():
        for measure, value in values.items():
            assert means[f"{measure} {kind}"] == pytest.approx(100 * value, abs=1e-6)
    assert means["J"] == pytest.approx((means["J seen"] + means["J unseen"]) / 2)  # of kinds, not of objects
    assert means["J&F"] == pytest.approx((means["J"] + means["F"]) / 2)


def test_by_hand():
    # scored on frames 6, 11, 16: J = 1, 1/2, 0 of 4, 2 and 0 filled cells against 4
    ranges = {1: FrameRange(1, 21, 5)}
    frames = numbered([labels(count) for count in (4, 4, 2, 0, 0)], [labels(4)] * 5)
    score = score_sequence(frames, ranges)[1]
    assert score.frames == (6, 11, 16)
    assert score.region.tolist() == [1.0, 0.5, 0.0] and score.boundary[[0, 2]].tolist() == [1.0, 0.0]
    both = (score.region + score.boundary) / 2
    assert score.percents()["V"] == pytest.approx(100 * np.sqrt(round(both.var(), 4)))


def test_perfect_and_empty():
    ranges = {1: FrameRange(1, 26, 5)}
    frames = numbered([labels(4)] * 5, [labels(4)] * 5)
    assert score_sequence(frames, ranges)[1].percents() == {"J": 100.0, "F": 100.0, "V": 0.0}
    frames = numbered([labels(0)] * 5, [labels(0)] * 5)  # rightly empty
    assert score_sequence(frames, ranges)[1].percents() == {"J": 100.0, "F": 100.0, "V": 0.0}


@pytest.mark.parametrize(
    "frame_range, expected",
    [
        pytest.param(FrameRange(1, 21, 5), (6, 11, 16), id="end-is-the-last-frame"),
        pytest.param(FrameRange(1, 22, 5), (6, 11, 16), id="end-is-past-it"),
        pytest.param(FrameRange(11, 31, 9), (16, 21, 26), id="counts-more-than-it-holds"),
    ],
)
def test_scored_frames(frame_range, expected):
    assert frame_range.scored() == expected


def test_one_kind_alone():
    means = final_means([{"J": 40.0, "F": 60.0, "V": 10.0}], [False])
    assert means["J&F"] == 50 and means["J seen"] == 40 and means["J unseen"] is None
    assert final_means([], [])["J&F"] is None


def test_bad_input():
    with pytest.raises(InputError, match="at least 3 annotated frames"):
        FrameRange(1, 31, 3).scored()
    frames = numbered([labels(4)] * 5, [labels(4)] * 5)
    with pytest.raises(InputError, match="object 1: expected an annotated frame 00000026"):
        score_sequence(frames, {1: FrameRange(1, 41, 8)})
    frames[2] = (11, labels(4), None)
    with pytest.raises(InputError, match="annotated frame 00000011"):
        score_sequence(frames, {1: FrameRange(1, 21, 5)})
    frames[2] = (11, labels(4)[1:], labels(4))
    with pytest.raises(InputError, match="expected a prediction of"):
        score_sequence(frames, {1: FrameRange(1, 21, 5)})


def test_a_range_without_end_is_refused_at_once():
    with pytest.raises(InputError, match="at least 3 annotated frames"):
        FrameRange(0, 10**30, 5).scored()
