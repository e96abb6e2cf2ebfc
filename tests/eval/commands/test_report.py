import json
from pathlib import Path

import pytest

from apps.cli import main
from eval.commands.report import BEGIN, END, replace_table, report_rows
from eval.reporting.results import Headline, write_results
from streamvos.errors import InputError

META = {"command": "streamvos eval davis DAVIS", "data": "made up", "seed": 0, "fps": 9.5}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("eval.reporting.results.machine", lambda: {"cores": 2, "load": 0.5})
    rows = [{"sequence": "mean", "J&F": 74.3}]
    write_results("davis", rows, META, tmp_path / "results", Headline("J&F", 74.3, 31.5, "copy of the first mask"))
    write_results("bench", rows, META, tmp_path / "results", Headline("frames/s", 7.0))
    write_results("without", rows, META, tmp_path / "results")
    return tmp_path / "results"


def test_the_table_goes_between_the_markers(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = results.parent / "README.md"
    readme.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    for _ in range(2):  # the second time changes nothing
        assert main(["eval", "report", "--results", str(results), "--page", str(readme)]) == 0
    text = readme.read_text()
    assert text.startswith("# Title\n\n") and text.endswith(f"{END}\n\nafter\n") and "old" not in text
    assert "| [davis](results/davis.md) | J&F | 74.3 | 31.5 (copy of the first mask) | 9.5 |" in text
    assert text.count("[bench]") == 1 and "without" not in text
    assert "[davis]" in capsys.readouterr().out


def test_no_speed_of_a_busy_machine(results: Path) -> None:
    path = results / "davis.json"
    document = json.loads(path.read_text())
    for load, speed in ((1.9, 9.5), (7.5, None), (None, 9.5)):
        document["meta"]["machine"] |= {"load": load, "cores": 2}
        path.write_text(json.dumps(document))
        assert [row["frames/s"] for row in report_rows(results) if "[davis]" in row["evaluation"]] == [speed]


@pytest.mark.parametrize(("others", "speed"), [(0.2, 9.5), (0.9, None)], ids=["ours", "others"])
def test_work_of_others_counts_and_our_own_does_not(results: Path, others: float, speed: float | None) -> None:
    """Our own jobs load the machine, too: the load alone would take their speed for that of a busy machine."""
    path = results / "davis.json"
    document = json.loads(path.read_text())
    document["meta"] |= {"other_work_cores": others, "machine": {"load": 6.5, "cores": 2}}
    path.write_text(json.dumps(document))
    assert [row["frames/s"] for row in report_rows(results) if "[davis]" in row["evaluation"]] == [speed]


@pytest.mark.parametrize(
    ("part", "key"), [("meta", "fps"), ("meta", "command"), ("headline", "value"), (None, "meta"), (None, "name")]
)
def test_what_a_result_lacks_is_named(results: Path, part: str | None, key: str) -> None:
    path = results / "davis.json"
    document = json.loads(path.read_text())
    del (document if part is None else document[part])[key]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=rf"davis\.json: expected a result that --save wrote .without {key}"):
        report_rows(results)


def test_bad_input(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no result with a headline"):
        report_rows(tmp_path)
    (tmp_path / "x.md").write_text(f"{END}{BEGIN}")
    with pytest.raises(InputError, match="each once, in this order"):
        replace_table(tmp_path / "x.md", "")
    (results / "davis.json").write_text(json.dumps({"name": "davis"}))
    with pytest.raises(InputError, match="davis.json: expected a result"):
        report_rows(results)
