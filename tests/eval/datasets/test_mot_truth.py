"""gt.txt in the forms in which MOT15, MOT16, MOT17, MOT20 and DanceTrack are published."""

from pathlib import Path

import pytest

from eval.datasets.mot_truth import read_truth
from streamvos.errors import InputError


def truth(folder: Path, text: str) -> Path:
    path = folder / "gt.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "rest, kind, rules",
    [
        pytest.param("", 1, "MOT15", id="7-values"),
        pytest.param(",1", 1, "MOT15", id="8-values"),
        pytest.param(",1,1", 1, "MOT15", id="dancetrack"),
        pytest.param(",8,0.31", 8, "MOT17", id="mot17-distractor"),
        pytest.param(",-1,-1,-1", 1, "MOT15", id="mot15"),
        pytest.param(",4.4852,5.5016,0", 1, "MOT15", id="mot15-world"),  # metres, not classes
        pytest.param(",-1,-1", 1, "MOT15", id="9-values-without-class"),
    ],
)
def test_published_forms(tmp_path: Path, rest: str, kind: int, rules: str):
    found = read_truth(truth(tmp_path, f"2, 7, 1.5, -3, 10, 20, 0{rest}\n\n1,7,1,2,10,20,1{rest}\n"), 2)
    assert found.lines == (f"1,7,1,2,10,20,1,{kind},1", f"2,7,1.5,-3,10,20,0,{kind},1")
    assert found.rules == rules


def test_nothing_is_no_class(tmp_path: Path):
    assert read_truth(truth(tmp_path, ""), 2).lines == ()


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param("1,1,0,0,10,10\n", "line 1: expected frame.*at least 7 numbers", id="too-few"),
        pytest.param("1,1,a,0,10,10,1\n", "line 1: expected frame", id="no-number"),
        pytest.param("1,1,nan,0,10,10,1\n", "line 1: expected frame", id="not-finite"),
        pytest.param("1,1,0,0,10,10,1\n3,1,0,0,10,10,1\n", "line 2: expected a frame from 1 to 2", id="after-the-end"),
        pytest.param("0,1,0,0,10,10,1\n", "expected a frame from 1", id="frame-0"),
        pytest.param("1,1e12,0,0,10,10,1\n", "expected an id from 0", id="id"),
        pytest.param("1,1,0,0,10,10,1\n1,1,5,0,10,10,1\n", "line 2: frame 1 has a box of id 1 already", id="twice"),
        pytest.param("1,1,0,0,10,10,1,1,1\n1,2,0,0,10,10,1,44,1\n", "class 44; expected MOTChallenge", id="class"),
    ],
)
def test_bad_truth(tmp_path: Path, text: str, message: str):
    with pytest.raises(InputError, match=message):
        read_truth(truth(tmp_path, text), 2)
