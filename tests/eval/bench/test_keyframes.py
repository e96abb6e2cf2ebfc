"""`streamvos bench keyframes` from end to end, short and small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.cli import main

SMALL = ["--width", "96", "--height", "64", "--size", "64", "--clip", "4", "--round", "20", "--lanes", "2"]


def test_the_budget_is_reached_and_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Room for two views of an object, of which the first is permanent; the rule writes whenever the tracker learns."""
    options = ["--frames", "200", "--lanes", "1", "--budget-mib", "1.5", "--policy", "fifo", "--base", "embedded"]
    options += ["--save", str(tmp_path)]
    assert main(["bench", "keyframes", *SMALL, *options]) == 0
    document = json.loads((tmp_path / "bench-keyframes.json").read_text())
    rows = document["rows"]
    assert [row["tenth"] for row in rows] == [*map(str, range(1, 11)), "1 again, beside 10"]
    assert [row["frames"] for row in rows[8:]] == ["160-179", "180-199", "0-19"]
    for row in rows:
        assert 0 < row["key frames, most, MiB"] <= row["budget, MiB"] == 1.5
        assert row["ms, CPU"] > 0 and row["ms, wall"] > 0 and row["objects"] == 1
    one_view = rows[0]["key frames, most, MiB"] / rows[0]["views, most"]
    assert max(row["views, most"] for row in rows) == int(1.5 / one_view) == 2, "the budget was never reached"
    assert [row["objects so far"] for row in rows] == [*range(1, 11), 1]
    assert sum(row["dropped"] for row in rows[:-1]) > 0
    headline = document["headline"]
    assert (headline["value"], headline["baseline"]) == (rows[-2]["ms, CPU"], rows[-1]["ms, CPU"])
    assert (tmp_path / "bench-keyframes.png").stat().st_size > 5000
    assert "1 again, beside 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frames", "105"], "whole rounds, such as 200"),
        (["--frames", "150"], "whole rounds, such as 200"),
        (["--lanes", "0"], "a lane or more"),
        (["--frames", "200", "--base", "cutie"], "expected base trained or embedded"),
        (["--frames", "200", "--policy", "fifa"], "did you mean 'fifo'"),
        (["--frames", "200", "--budget-mib", "0.01"], "hold no view"),
    ],
    ids=["not tenths", "not rounds", "no lane", "no key frames", "policy", "budget"],
)
def test_nonsense_is_refused(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "keyframes", *SMALL, *options]) == 2
    assert message in capsys.readouterr().err
