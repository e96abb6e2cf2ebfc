"""`streamvos eval questions` on a small composed folder of squares: the oracle knows, the baselines do not."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.cli import main
from eval.commands.questions import most_frequent
from eval.compose.questions import Question, write_questions
from eval.datasets.composed import FrameTruth, ObjectInfo, ObjectSeen, SequenceTruth

WIDTH, HEIGHT, FPS, FRAMES = 96, 72, 5, 100
DOG, CAR = (120, 80, 40), (210, 20, 20)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A brown dog on the left, 0:02 - 0:08 and 0:12 - 0:16; a red car on the right from 0:05 on."""
    root = tmp_path_factory.mktemp("composed")
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p" / "squares").mkdir(parents=True)
    frames = []
    for index in range(FRAMES):
        time_s = index / FPS
        here = {1: (4, DOG)} if 2 <= time_s <= 8 or 12 <= time_s <= 16 else {}
        here |= {2: (66, CAR)} if time_s >= 5 else {}
        picture, labels = np.full((HEIGHT, WIDTH, 3), 110, np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
        for object_id, (left, colour) in here.items():
            picture[22:48, left : left + 26], labels[22:48, left : left + 26] = colour, object_id
        Image.fromarray(picture).save(root / "JPEGImages/480p/squares" / f"{index:05d}.jpg", quality=95)
        Image.fromarray(labels).save(root / "Annotations/480p/squares" / f"{index:05d}.png")
        # the pictures are small, the truth counts pixels of larger ones
        seen = tuple(ObjectSeen(one, 1600, 1600, (left, 22, left + 26, 48)) for one, (left, _) in here.items())
        frames.append(FrameTruth(index, time_s, None, 0, seen))
    objects = (ObjectInfo(1, "dog", "brown"), ObjectInfo(2, "car", "red"))
    truth = SequenceTruth("squares", Fraction(FPS), FRAMES, (WIDTH, HEIGHT), 0, "short", objects, tuple(frames))
    truth.save(root / "truth" / "squares.json")
    write_questions(truth, root, 0)
    return root


def test_the_oracle_knows_and_the_baselines_do_not(
    composed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["eval", "questions", str(composed), "--oracle", "--baseline", "--out", str(tmp_path / "out")]
    assert main([*command, "--save", str(tmp_path / "results")]) == 0
    assert "| all " in capsys.readouterr().out
    document = json.loads((tmp_path / "results" / "questions.json").read_text())
    total = next(row for row in document["rows"] if row["kind"] == "all")
    assert total["accuracy, %"] > 90 and total["hallucinated, %"] == 0 and total["grounded, %"] > 90
    assert total["always not observed, %"] < 50 and total["always most frequent, %"] < 80
    assert total["questions"] == sum(row["questions"] for row in document["rows"]) - total["questions"]
    assert document["headline"]["value"] == total["accuracy, %"] and document["meta"]["perception"] == "the truth"
    lines = [json.loads(line) for line in (tmp_path / "out" / "squares" / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == total["questions"]
    assert {"question", "truth", "answer", "verdict", "grounded"} <= set(lines[0])
    assert all("thumbnail" not in proof for line in lines for proof in line["answer"]["evidence"])


def test_the_graph_watches(composed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The detector sees no dog in a square: what is not perceived is not made up."""
    assert main(["eval", "questions", str(composed), "--stages", "detect,remember", "--size", "64"]) == 0
    total = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].split("|")]
    assert total[1] == "all" and float(total[3]) < 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stages", "detect"], "expected remember"),
        (["--sequences", "square"], "did you mean 'squares'"),
    ],
    ids=["nothing remembers", "unknown sequence"],
)
def test_bad_input(composed: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "questions", str(composed), *words]) == 2
    assert message in capsys.readouterr().err


def test_not_composed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "questions", str(tmp_path)]) == 2
    assert "holds no questions" in capsys.readouterr().err


def test_most_frequent() -> None:
    def asked(text: str, answer: dict) -> Question:
        return Question("0", "kind", text, answer, 0.0)

    yes, no = {"type": "yes_no", "value": True}, {"type": "yes_no", "value": False}
    questions = [asked("Was a?", yes), asked("Was b?", no), asked("Was c?", yes), asked("How many?", {"type": "count"})]
    assert {start: json.loads(text) for start, text in most_frequent(questions).items()} == {
        "was": yes,
        "how many?": {"type": "count"},
    }
