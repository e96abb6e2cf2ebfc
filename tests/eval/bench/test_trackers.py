"""`streamvos bench trackers` from end to end, small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.cli import main
from streamvos.models.cutie import INSTALL

SMALL = ["--width", "96", "--height", "64", "--size", "64", "--threads", "1", "--clip", "4", "--rounds", "1"]


def test_trackers_side_by_side(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("cutie", reason=f"rf-cutie is not installed: {INSTALL}")
    options = [
        "--trackers",
        "trained",
        "embedded",
        "cutie",
        "--objects",
        "2",
        "--frames",
        "2",
        "--warm-up",
        "2",
        "--cutie-size",
        "64",
        "--save",
        str(tmp_path),
    ]
    assert main(["bench", "trackers", *SMALL, *options]) == 0
    rows = json.loads((tmp_path / "bench-trackers.json").read_text())["rows"]
    assert [(row["tracker"], row["objects"]) for row in rows] == [("trained", 2), ("embedded", 2), ("cutie", 2)]
    assert rows[2]["times cutie"] == 1 and all(row["frames/s"] > 0 and row["peak MiB"] > 100 for row in rows)
    assert "| cutie " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--objects", "0"], "at least one object"), (["--trackers", "embeded"], "did you mean 'embedded'")],
    ids=["no object", "unknown tracker"],
)
def test_nonsense_is_refused(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "trackers", *SMALL, *options]) == 2
    assert message in capsys.readouterr().err
