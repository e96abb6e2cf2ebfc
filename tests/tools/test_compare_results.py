"""The tool that says whether two result folders are the same."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_results", Path(__file__).with_name("compare_results.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def results(folder: Path, mask: bytes = b"mask", answer: str = "at 0:01", place: str = "/one/000001.jpg") -> Path:
    run = folder / "clip"
    (run / "masks").mkdir(parents=True)
    (run / "masks" / "00000.png").write_bytes(mask)
    (run / "tracks.json").write_text("{}")
    (run / "run.json").write_text(json.dumps({"started": str(folder)}))  # tells of the run, not its results
    answers = [{"text": answer, "evidence": [{"thumbnail": place}]}, {"text": "no"}]
    (run / "answers.jsonl").write_text("\n".join(json.dumps(one, indent=2) for one in answers))
    return folder


def test_the_same_results_are_the_same(tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = results(tmp_path / "a"), results(tmp_path / "b", place="/other/000001.jpg")
    assert tool.compare(one, other) == [] and tool.main([str(one), str(other)]) == 0
    assert capsys.readouterr().out == "3 results, all the same\n"


def test_what_differs_is_named(tool: ModuleType, tmp_path: Path) -> None:
    one = results(tmp_path / "a")
    assert tool.compare(one, results(tmp_path / "b", mask=b"other")) == ["differs: clip/masks/00000.png"]
    assert tool.compare(one, results(tmp_path / "c", answer="at 0:02")) == ["differs: clip/answers.jsonl, answer 0"]
    (tmp_path / "c" / "clip" / "tracks.json").unlink()
    assert tool.compare(one, tmp_path / "c")[0] == f"only in {one}: clip/tracks.json"
    assert tool.main([str(one), str(tmp_path / "c")]) == 1


def test_nothing_to_compare_is_no_agreement(tool: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected results"):
        tool.compare(tmp_path, tmp_path)
    assert tool.main(["one"]) == 2
