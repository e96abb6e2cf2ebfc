"""MOTA, IDF1 and HOTA through TrackEval: by hand, perfect, empty, and against TrackEval's own evaluator."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from eval.datasets.mot import MotSequence, find_sequences
from eval.metrics.mot import INSTALL, RawScores, combine, measures, score_tracks
from streamvos.errors import InputError

FIXTURES = Path(__file__).parents[1] / "fixtures"
needs_trackeval = pytest.mark.skipif(
    importlib.util.find_spec("trackeval") is None, reason=f"TrackEval is not installed: {INSTALL}"
)
Box = tuple[int, int, float]  # frame from 1, id, left; all are 10 x 10


def lines(boxes: list[Box]) -> str:
    return "".join(f"{frame},{number},{left},0,10,10,1,-1,-1,-1\n" for frame, number, left in boxes)


def score(folder: Path, truth: list[Box], found: list[Box], num_frames: int = 4) -> RawScores:
    (folder / "a" / "gt").mkdir(parents=True)
    (folder / "a" / "gt" / "gt.txt").write_text(lines(truth))
    (folder / "a" / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={num_frames}\n")
    (folder / "a.txt").write_text(lines(found))
    return score_tracks(find_sequences(folder)[0], folder / "a.txt")


def scores_of(folder: Path, truth: list[Box], found: list[Box]) -> dict[str, float]:
    return measures(score(folder, truth, found))


STRAIGHT = [(frame, 1, 0.0) for frame in range(1, 5)]


@needs_trackeval
def test_perfect(tmp_path: Path):
    two = STRAIGHT + [(frame, 2, 100.0) for frame in range(2, 4)]
    scores = scores_of(tmp_path, two, [(frame, number + 5, left) for frame, number, left in two])
    assert [scores[name] for name in ("MOTA", "IDF1", "HOTA", "DetA", "AssA")] == pytest.approx([100] * 5)
    assert [scores[name] for name in ("IDSW", "FP", "FN", "ML", "Frag")] == [0] * 5 and scores["MT"] == 2


@needs_trackeval
def test_nothing_found(tmp_path: Path):
    scores = scores_of(tmp_path, STRAIGHT, [])
    assert [scores[name] for name in ("MOTA", "IDF1", "HOTA")] == [0] * 3
    assert (scores["FN"], scores["FP"], scores["ML"]) == (4, 0, 1)


@needs_trackeval
def test_by_hand_another_identity_halfway(tmp_path: Path):
    scores = scores_of(tmp_path, STRAIGHT, [(1, 7, 0.0), (2, 7, 0.0), (3, 8, 0.0), (4, 8, 0.0)])
    assert scores["IDSW"] == 1 and scores["MOTA"] == pytest.approx(75)  # 1 - 1 / 4
    assert scores["IDF1"] == pytest.approx(50)  # 2 true, 2 false, 2 missed: 4 / 8
    # every box is found; each belongs to a track that shares 2 of 4 boxes with the truth
    assert (scores["DetA"], scores["AssA"]) == pytest.approx((100, 50))
    assert scores["HOTA"] == pytest.approx(100 * np.sqrt(0.5))


@needs_trackeval
def test_by_hand_missed_and_invented(tmp_path: Path):
    scores = scores_of(tmp_path, STRAIGHT, [(1, 7, 0.0), (2, 7, 0.0), (3, 7, 0.0), (4, 7, 500.0)])
    assert (scores["FN"], scores["FP"], scores["IDSW"]) == (1, 1, 0)
    assert scores["MOTA"] == pytest.approx(50) and scores["IDF1"] == pytest.approx(75)
    assert (scores["DetA"], scores["AssA"]) == pytest.approx((60, 60))  # 3 of 5, both


@needs_trackeval
def test_by_hand_a_box_beside(tmp_path: Path):
    # IoU 7/13 = 0.538 passes 0.05 .. 0.50, ten of nineteen thresholds
    scores = scores_of(tmp_path, STRAIGHT, [(frame, 7, 3.0) for frame in range(1, 5)])
    assert scores["MOTA"] == pytest.approx(100) and scores["HOTA"] == pytest.approx(1000 / 19)


@needs_trackeval
def test_agrees_with_trackevals_own_evaluator():
    recorded = json.loads((FIXTURES / "mot_trackeval.json").read_text())
    (sequence,) = find_sequences(FIXTURES / "mot")
    assert sequence.rules == "MOT17"  # distractors, other classes and marked boxes are taken out
    scores = score_tracks(sequence, FIXTURES / "mot/results/MOT17-99.txt")
    assert json.loads(json.dumps(scores)) == scores  # travels and is kept as it is
    for whole in (scores, combine({"MOT17-99": scores})):
        for family, values in recorded.items():
            for name, value in values.items():
                assert whole[family][name] == pytest.approx(np.array(value), abs=1e-12), f"{family} {name}"


@needs_trackeval
def test_combination_is_over_all_boxes_not_a_mean(tmp_path: Path):
    straight = score(tmp_path / "one", STRAIGHT, STRAIGHT)
    missed = score(tmp_path / "two", [(frame, 1, 0.0) for frame in range(1, 13)], [], num_frames=12)
    both = measures(combine({"one": straight, "two": missed}))
    assert both["MOTA"] == pytest.approx(25) and both["FN"] == 12  # 4 of 16


@needs_trackeval
def test_example_tracks_of_mot15(data_dir: Path):
    """Figures that py-motmetrics prints for the same files in its documentation: MOTA and IDF1 to 0.1."""
    root = data_dir / "mot15_gt_only"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    scores = {one.name: score_tracks(one, root / f"train/results/{one.name}.txt") for one in find_sequences(root)}
    rounded = {name: {k: round(v, 1) for k, v in measures(one).items()} for name, one in scores.items()}
    assert (rounded["TUD-Campus"]["MOTA"], rounded["TUD-Campus"]["IDF1"]) == (52.6, 55.8)
    assert (rounded["TUD-Stadtmitte"]["MOTA"], rounded["TUD-Stadtmitte"]["IDF1"]) == (56.4, 64.5)
    assert rounded["TUD-Stadtmitte"]["FN"] == 452


@needs_trackeval
@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param("1,1,0,0,10,10,1,-1,-1,-1\n" * 2, "TrackEval refuses", id="twice-the-same"),
        pytest.param("9,1,0,0,10,10,1,-1,-1,-1\n", "TrackEval refuses", id="after-the-end"),
        pytest.param("1,1,a,0,10,10,1,-1,-1,-1\n", "TrackEval refuses", id="no-number"),
    ],
)
def test_bad_results(tmp_path: Path, text: str, message: str):
    scores_of(tmp_path, STRAIGHT, STRAIGHT)
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        score_tracks(find_sequences(tmp_path)[0], tmp_path / "a.txt")


def test_missing_results_and_missing_trackeval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sequence = MotSequence("a", tmp_path / "a/gt/gt.txt", 1, 25, tmp_path)
    with pytest.raises(InputError, match="expected its results"):
        score_tracks(sequence, tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("")
    monkeypatch.setitem(sys.modules, "trackeval", None)
    with pytest.raises(InputError, match="pip install --no-deps 'trackeval>=1.3' tabulate"):
        score_tracks(sequence, tmp_path / "a.txt")
