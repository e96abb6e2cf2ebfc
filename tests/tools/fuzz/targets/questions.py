"""Questions to the long memory of a run, and the time up to which it is asked."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pipelines.answer import ask
from tests.pipelines.answer.conftest import tell
from tests.tools.fuzz.target import Target

_QUESTIONS = """
what did you see?
when did the first dog appear?
how many cars were there at 0:11?
how many dogs were there at once between 0:10 and 1:20?
where was the dog after 2 hs?
what happened after the dog left?
how long was the dog gone?
was there a bicycle at 0:48 or a person before 12.5 seconds?
when did object 3 leave in the last 10 seconds?
was the brown dog together with a person in shot 1?
which colour was Rex, and did it return 2m30s later?
was object ² visible while the car was on the left from 5 to 15 s?
"""


def _make(folder: Path) -> None:
    for number, question in enumerate(_QUESTIONS.strip().splitlines()):
        (folder / f"{number:02d}").mkdir()
        (folder / f"{number:02d}" / "question.txt").write_text(question)
        (folder / f"{number:02d}" / "as_of.txt").write_text("45.5" if number % 2 else "60")


def _read(folder: Path) -> object:
    question, as_of = folder / "question.txt", folder / "as_of.txt"
    as_of_s = None
    with contextlib.suppress(ValueError, OSError):  # argparse and the page answer what is no number
        as_of_s = float(as_of.read_text(errors="replace"))
    text = question.read_bytes().decode(errors="surrogateescape") if question.is_file() else ""
    return ask(_film(folder.parent), text, as_of_s).to_dict()


def _film(scratch: Path) -> Path:
    """The memory that is asked, made once beside the inputs."""
    return scratch / "film" if (scratch / "film").is_dir() else tell(scratch / "film")


TARGET = Target("questions", _make, _read)
