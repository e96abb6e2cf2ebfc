from __future__ import annotations

import pytest

from apps.cli import main
from apps.live.bench import DemoBench, bench_demo, headline
from apps.live.chromium import find_chromium
from streamvos.errors import InputError


def test_all_waits_are_measured() -> None:
    try:
        find_chromium()
    except InputError as error:
        pytest.skip(str(error))
    bench = DemoBench(clip=8, width=192, height=128, size=96, clicks=2, questions=2, threads=1)
    rows = bench_demo(bench)
    assert [row["what"] for row in rows] == [
        "click to mask, at rest",
        "click to mask, playing",
        "frame to screen, playing",
        "question to answer, playing",
    ]
    assert [row["measured"] for row in rows][:2] == [2, 2] and rows[3]["measured"] == 2
    assert all(0 < row["median, s"] <= row["p95, s"] < 60 for row in rows)
    assert headline(rows).value == rows[1]["p95, s"]


def test_without_a_browser_it_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["bench", "demo"]) == 2
    assert "apt-get install chromium" in capsys.readouterr().err


def test_nothing_to_measure_is_refused(capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "demo", "--clicks", "0"]) == 2
    assert "--clicks: expected at least 1" in capsys.readouterr().err
