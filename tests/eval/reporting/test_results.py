import json
from pathlib import Path

import pytest

from eval.reporting.results import bars, command_line, markdown_table, render, write_results
from streamvos.errors import InputError

META = {"command": "streamvos eval x", "data": "made up", "seed": 0, "fps": 12.5}


def test_both_files_say_the_same(tmp_path):
    rows = [{"sequence": "dog", "J&F": 71.5, "note": "a|b"}, {"sequence": "mean", "J&F": 71.5, "note": None}]
    json_path, markdown_path = write_results("trial", rows, META, tmp_path / "results")
    document = json.loads(json_path.read_text())
    assert document["rows"] == rows
    assert META.items() <= document["meta"].items()
    assert document["meta"]["commit"]
    assert document["meta"]["peak_rss_mib"] > 1
    assert {"cpu", "cores", "memory_gib", "torch"} <= set(document["meta"]["machine"])
    page = markdown_path.read_text()
    assert "| dog | 71.5 | a\\|b |" in page
    assert document["meta"]["commit"] in page and "streamvos eval x" in page
    assert sorted(path.name for path in json_path.parent.iterdir()) == ["trial.json", "trial.md"]


def test_table_by_hand():
    assert markdown_table([{"a": "x", "b": 1}]) == "| a | b |\n| :--- | ---: |\n| x | 1 |\n"


@pytest.mark.parametrize(
    "rows, meta, message",
    [
        pytest.param([], META, "at least one row", id="no-rows"),
        pytest.param([{"a": 1}, {"b": 1}], META, "same columns", id="columns-differ"),
        pytest.param([{"a": 1}], {"command": "x"}, "missing.*data", id="meta-incomplete"),
    ],
)
def test_bad_input(rows, meta, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_results("trial", rows, meta, tmp_path)


def test_bars_leave_out_what_is_none():
    rows = [{"name": "ours", "J": 70.0, "F": 60.0}, {"name": "baseline", "J": 30.0, "F": None}]
    assert render(bars(rows, "name", ("J", "F"), "percent"))[:4] == b"\x89PNG"


def test_places_are_not_recorded_when_given_by_an_equals_sign() -> None:
    words = ("eval", "davis", "/home/me/d", "--out=/home/me/o", "--toolkit=/home/me/vot", "--seed=3")
    named = {Path("/home/me/d"): "DAVIS", Path("/home/me/vot"): "VOT"}
    assert command_line(words, named) == "streamvos eval davis DAVIS --toolkit VOT --seed 3"
