"""Memories whose SQLite file has damaged bytes."""

from __future__ import annotations

from pathlib import Path

from pipelines.answer import ask
from tests.pipelines.answer.conftest import tell
from tests.tools.fuzz.target import Target

_QUESTIONS = (
    "what did you see?",
    "how many cars were there at 0:11?",
    "when did the dog leave?",
    "where was the dog?",
    "how long was the dog gone?",
    "bla bla dog",
)


def _make(folder: Path) -> None:
    tell(folder / "whole")
    tell(folder / "short", until=120)


def _read(folder: Path) -> object:
    return [ask(folder, question) for question in _QUESTIONS]


TARGET = Target("memories", _make, _read)
