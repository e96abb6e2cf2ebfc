"""`streamvos eval vots`, with and without the toolkit."""

import json
from pathlib import Path

import pytest

from apps.cli import main


def rows(text: str) -> dict[str, list[str]]:
    cells = ([cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if "|" in line)
    return {first: rest for first, *rest in cells}


def command(davis: Path | None, workspace: Path, *more: str) -> list[str]:
    root = [] if davis is None else [str(davis)]
    return ["eval", "vots", *root, "--workspace", str(workspace), "--size", "64", "--jobs", "1", *more]


def test_own_measures_kept_results_and_refusals(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "w"
    saved = ["--save", str(tmp_path / "results")]
    assert main(command(davis, workspace, "--no-toolkit", "--baseline", *saved)) == 0
    first = rows(capsys.readouterr().out)
    assert float(first["pair"][2]) > float(first["mean, copy of the first mask"][2]) > 0
    assert first["pair"][:2] == ["6", "2"] and "mean, by the VOT toolkit" not in first
    document = json.loads((tmp_path / "results" / "vots.json").read_text())
    assert document["headline"]["measure"] == "VOTS quality" and document["meta"]["fps"] > 0
    kept = {path: path.stat().st_mtime_ns for path in workspace.glob("results/**/*.bin")}
    assert len(kept) == 6

    assert main(command(davis, workspace, "--no-toolkit")) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert main(command(davis, workspace, "--no-toolkit", "--resume", "--seed", "5")) == 2
    assert "with other settings" in capsys.readouterr().err
    assert main(command(davis, workspace, "--no-toolkit", "--resume", "--visible-px", "9")) == 2
    assert "was written with --visible-px 1" in capsys.readouterr().err
    for again in (command(davis, workspace, "--resume"), command(None, workspace)):
        assert main([*again, "--no-toolkit"]) == 0
        assert rows(capsys.readouterr().out)["pair"] == first["pair"]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert main(command(davis, workspace, "--no-toolkit", "--overwrite", "--sequences", "single", "--seed", "5")) == 0
    assert "pair" not in rows(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--no-toolkit", "--pack"], "--pack is done by the toolkit"),
        (["--toolkit", "nowhere/vot"], "attributee==0.1.9"),
        (["--no-toolkit", "--sequences", "piar"], "did you mean 'pair'"),
    ],
    ids=["pack", "toolkit", "name"],
)
def test_mistakes_are_explained(
    more: list[str], words: str, davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(davis, tmp_path / "w", *more)) == 2
    assert words in capsys.readouterr().err


def test_the_toolkit_cannot_run_a_part_of_a_workspace(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that ends with status 7 stands for the toolkit: what matters is whether it is run at all."""
    toolkit = tmp_path / "vot"
    toolkit.write_text("#!/bin/sh\nexit 7\n")
    toolkit.chmod(0o755)
    workspace = tmp_path / "w"
    assert main(command(davis, workspace, "--no-toolkit")) == 0
    part = command(None, workspace, "--toolkit", str(toolkit), "--sequences", "single")
    assert main(part) == 2
    assert "(status 7" in capsys.readouterr().err, "all the others have results: nothing else would be run"
    next(workspace.glob("results/**/pair_1_001.bin")).unlink()
    assert main(part) == 2
    assert "no results yet of pair; leave out --sequences, or give --no-toolkit" in capsys.readouterr().err
    assert main(command(None, workspace, "--no-toolkit", "--sequences", "single")) == 0
    assert not list(workspace.glob("results/**/pair_1_001.bin"))


def test_other_folders_are_left_alone(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("x")
    assert main(command(davis, tmp_path, "--no-toolkit", "--overwrite")) == 2
    assert "is no VOT workspace" in capsys.readouterr().err
    assert main(command(None, tmp_path, "--no-toolkit")) == 2
    assert "is not a VOT workspace" in capsys.readouterr().err
    assert main(command(None, tmp_path, "--no-toolkit", "--overwrite")) == 2
    assert "writes the workspace anew" in capsys.readouterr().err
    assert main(["eval", "vots", str(davis), "--no-toolkit"]) == 2
    assert "expected --workspace DIR" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "x"


def test_the_toolkit_stands_beside_and_gets_what_we_get(
    davis: Path, vot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = ["--save", str(tmp_path / "results")]
    assert main(command(davis, tmp_path / "toolkit", "--toolkit", str(vot), "--pack", *saved)) == 0
    assert "one sequence at a time" in json.loads((tmp_path / "results" / "vots.json").read_text())["meta"]["fps_is"]
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].endswith(".zip")
    table = rows(printed)
    assert table["mean"][2:8] == table["mean, by the VOT toolkit"][2:8]
    assert all(cell in ("0.0", "–") for cell in table["mean, difference"][2:8])
    assert main(command(davis, tmp_path / "own", "--no-toolkit")) == 0
    files = {path.name: path.read_bytes() for path in tmp_path.glob("toolkit/results/**/*.bin")}
    assert files == {path.name: path.read_bytes() for path in tmp_path.glob("own/results/**/*.bin")} and len(files) == 3


def test_workspaces_of_others_are_left_alone(davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Many things have a config.yaml."""
    (tmp_path / "config.yaml").write_text("mine: true\n")
    for words in (["--overwrite"], ["--resume"]):
        assert main(command(davis, tmp_path, "--no-toolkit", *words)) == 2
        assert "that eval vots wrote" in capsys.readouterr().err
    (tmp_path / "sequences").mkdir()
    (tmp_path / "sequences" / "list.txt").write_text("../../elsewhere\n")
    assert main(command(None, tmp_path, "--no-toolkit")) == 2
    assert "expected names of folders beside it" in capsys.readouterr().err
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["config.yaml", "sequences"]
    assert (tmp_path / "config.yaml").read_text() == "mine: true\n"
