"""The truth file: what is written is read, and what contradicts itself is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from eval.datasets.composed import FrameTruth, ObjectInfo, ObjectSeen, SequenceTruth
from streamvos.errors import InputError


def _truth(frames: tuple[FrameTruth, ...] | None = None) -> SequenceTruth:
    if frames is None:
        frames = (
            FrameTruth(0, 0.0, None, 0, (ObjectSeen(1, 40, 60, (2, 3, 9, 11)), ObjectSeen(2, 0, 12, None))),
            FrameTruth(1, 0.1, "dropped", 2, ()),
        )
    things = (ObjectInfo(1, "dog", "brown"), ObjectInfo(2, "dog", "black", twin_of=1))
    return SequenceTruth("short-00", Fraction(30), len(frames), (64, 48), 7, "short", things, frames)


def test_round_trip(tmp_path: Path) -> None:
    truth = _truth()
    truth.save(tmp_path / "truth" / "short-00.json")
    assert SequenceTruth.load(tmp_path / "truth" / "short-00.json") == truth


def test_a_sequence_without_objects(tmp_path: Path) -> None:
    truth = SequenceTruth("s", Fraction(30), 1, (4, 4), 0, "short", (), (FrameTruth(0, 0.0, None, 0, ()),))
    truth.save(tmp_path / "s.json")
    assert SequenceTruth.load(tmp_path / "s.json") == truth


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param((FrameTruth(1, 0.0, None, 0, ()),), id="gap in numbers"),
        pytest.param((FrameTruth(0, 0.0, None, 0, (ObjectSeen(3, 1, 1, (0, 0, 1, 1)),)),), id="object not listed"),
    ],
)
def test_contradictions_are_refused(frames: tuple[FrameTruth, ...]) -> None:
    with pytest.raises(InputError, match="truth of 'short-00'"):
        _truth(frames)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"sequence": "a"}'], ids=["empty", "no keys", "list", "cut"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match="truth"):
        SequenceTruth.load(tmp_path / "t.json")
