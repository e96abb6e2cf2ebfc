"""The harness with a task that needs no model."""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from eval.reporting.results import Headline, bars
from eval.running.harness import SequenceScores, add_options, frames_per_second, publish, score_sequences
from streamvos.errors import InputError


@dataclass(frozen=True)
class Length:
    """Scores a sequence by the length of its name; counts its calls in a file; fails on the name "bad"."""

    log: Path
    setting: int = 0

    def __call__(self, name: str) -> SequenceScores:
        with self.log.open("a") as log:
            log.write(f"{name}\n")
        if name == "bad":
            raise InputError("sequence bad: expected a good one")
        return SequenceScores(name, 10, 0.5, {"length": len(name)})


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser, "length")
    args = parser.parse_args(words)
    args.words = ("eval", "length", *words)
    return args


@pytest.mark.parametrize("jobs", ["1", "2"], ids=["alone", "side by side"])
def test_results_come_in_order(jobs: str, tmp_path: Path) -> None:
    names = ["bbb", "a", "cc"]
    results = score_sequences(Length(tmp_path / "log"), names, options("--jobs", jobs), "length")
    assert [(one.name, one.scores["length"]) for one in results] == [("bbb", 3), ("a", 1), ("cc", 2)]
    assert frames_per_second(results) == 20
    assert all(one.peak_rss_mib > 1 and one.jobs == int(jobs) for one in results)


@pytest.mark.parametrize("jobs", ["1", "2"], ids=["alone", "side by side"])
def test_a_failure_keeps_what_was_finished(jobs: str, tmp_path: Path) -> None:
    log, out = tmp_path / "log", str(tmp_path / "out")
    with pytest.raises(InputError, match="sequence bad"):
        score_sequences(Length(log), ["good", "bad"], options("--out", out, "--jobs", jobs), "length")
    time.sleep(0.01)
    log.unlink()
    score_sequences(Length(log), ["good", "fine"], options("--out", out, "--resume"), "length")
    assert "fine" in log.read_text() and (jobs == "2" or "good" not in log.read_text())


def test_out_is_not_taken_over(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    task = Length(tmp_path / "log")
    score_sequences(task, ["a"], options("--out", out), "length")
    with pytest.raises(InputError, match="--resume goes on with it, --overwrite replaces it"):
        score_sequences(task, ["a"], options("--out", out), "length")
    with pytest.raises(InputError, match="other settings .setting."):
        score_sequences(Length(tmp_path / "log", 1), ["a"], options("--out", out, "--resume"), "length")
    score_sequences(Length(tmp_path / "log", 1), ["a"], options("--out", out, "--overwrite"), "length")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="holds no evaluation of ours"):
        score_sequences(task, ["a"], options("--out", str(tmp_path / "mine"), "--overwrite"), "length")
    assert (tmp_path / "mine" / "holiday.jpg").exists()


def test_two_methods_share_one_folder(tmp_path: Path) -> None:
    args = options("--out", str(tmp_path / "out"))
    for task, title in ((Length(tmp_path / "log"), "ours"), (Length(tmp_path / "log", 1), "baseline")):
        score_sequences(task, ["a"], args, title)
    kept = sorted(path.parent.name for path in (tmp_path / "out").rglob("a.scores.json"))
    assert kept == ["baseline", "ours"]


def test_damaged_scores_are_made_again(tmp_path: Path) -> None:
    task, out = Length(tmp_path / "log"), tmp_path / "out"
    score_sequences(task, ["a"], options("--out", str(out)), "length")
    (path,) = out.rglob("a.scores.json")
    path.write_text("{")
    (result,) = score_sequences(task, ["a"], options("--out", str(out), "--resume"), "length")
    assert result.scores == {"length": 1}


@dataclass(frozen=True)
class NumFiles:
    """Scores a sequence by the number of its files."""

    root: Path

    def __call__(self, name: str) -> SequenceScores:
        return SequenceScores(name, 1, 0.5, {"files": len(list((self.root / "JPEGImages" / name).iterdir()))})


def test_data_that_changed_are_scored_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, out = NumFiles(tmp_path / "data"), tmp_path / "data" / "results"
    for name in ("balls", "kites"):
        (task.root / "JPEGImages" / name).mkdir(parents=True)
        for index in range(3):
            (task.root / "JPEGImages" / name / f"{index}.jpg").write_bytes(b"x")

    def scored(*words: str) -> tuple[list[int], str]:
        args = options("--out", str(out), "--jobs", "1", *words)
        results = score_sequences(task, ["balls", "kites"], args, "files")
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("streamvos:")]
        return [one.scores["files"] for one in results], "".join(told)

    assert scored() == ([3, 3], "")
    assert scored("--resume") == ([3, 3], "")
    (task.root / "JPEGImages/balls/2.jpg").unlink()
    assert scored("--resume") == ([2, 3], "streamvos: the data of balls changed: scored again")
    assert scored("--resume") == ([2, 3], "")
    (task.root / "JPEGImages/kites/0.jpg").write_bytes(b"xy")
    assert scored("--resume") == ([2, 3], "streamvos: the data of kites changed: scored again")
    (task.root / "meta.json").write_text("{}")
    assert scored("--resume")[1] == "streamvos: the data of balls, kites changed: scored again"


def test_publish_records_what_anyone_can_repeat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = options("--save", str(tmp_path), "--seed", "3")
    args.words = ("eval", "length", "/home/me/data", "--seed", "3", "--out", "/home/me/out")
    results = score_sequences(Length(tmp_path / "log"), ["a"], args, "length")
    rows = [{"sequence": "a", "length": 1}]
    path_names = {Path("/home/me/data"): "DATA"}
    publish(
        args,
        rows,
        results,
        data="made up",
        path_names=path_names,
        headline=Headline("length", 1, 0, "nothing"),
        plot=bars(rows, "sequence", ("length",), "letters"),
    )
    document = json.loads((tmp_path / "length.json").read_text())
    assert document["meta"]["command"] == "streamvos eval length DATA --seed 3"
    assert document["headline"]["value"] == 1 and document["meta"]["seed"] == 3 and document["meta"]["fps"] == 20
    assert "/home/me" not in json.dumps(document)
    assert (tmp_path / "length.png").read_bytes()[:4] == b"\x89PNG"
    assert "| a | 1 |" in capsys.readouterr().out


def test_the_speed_says_how_many_ran_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed evaluation has results of before beside its own; another method was scored alone."""
    monkeypatch.setattr("eval.running.harness._num_cpus", lambda: 4)
    args = options("--save", str(tmp_path), "--jobs", "2")
    rows = [{"sequence": "a", "length": 1}]
    results = [SequenceScores("a", 10, 0.5, {}, jobs=2), SequenceScores("b", 10, 0.5, {}, jobs=1)]
    publish(args, rows, results, data="", path_names={}, headline=None, plot=bars(rows, "sequence", ("length",), ""))
    meta = json.loads((tmp_path / "length.json").read_text())["meta"]
    assert meta["jobs"] == 2 and meta["other_work_cores"] is None
    assert meta["fps_is"].endswith("of one sequence on 4 of 4 or 2 of 4 CPUs, with 1 or 2 at a time")
    results += score_sequences(Length(tmp_path / "log"), ["a"], args, "length")
    publish(args, rows, results, data="", path_names={}, headline=None, plot=bars(rows, "sequence", ("length",), ""))
    assert json.loads((tmp_path / "length.json").read_text())["meta"]["other_work_cores"] >= 0


def test_work_of_others_beside_a_sequence_is_remembered_with_its_scores(tmp_path: Path) -> None:
    score_sequences(Length(tmp_path / "log"), ["a"], options("--out", str(tmp_path / "out")), "length")
    again = options("--out", str(tmp_path / "out"), "--resume")
    (kept,) = score_sequences(Length(tmp_path / "log"), ["a"], again, "length")
    assert (tmp_path / "log").read_text().count("a") == 1
    assert kept.other_work_cores is not None and kept.other_work_cores >= 0


def test_what_was_not_timed_has_no_speed() -> None:
    assert frames_per_second([SequenceScores("a", 100, 0.0, {})]) is None
    assert frames_per_second([]) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--save", "{file}"), "expected a folder, or room for one"),
        (("--save", "{folder}", "--name", "../x"), "without folders"),
        (("--out", "{file}"), "expected a folder, or a path that does not exist"),
    ],
    ids=["save", "name", "out"],
)
def test_places_that_cannot_be_written_are_said_before_the_work(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    places = {"file": tmp_path / "file", "folder": tmp_path / "folder"}
    args = options(*(word.format(**places) for word in words))
    with pytest.raises(InputError, match=message):
        score_sequences(Length(tmp_path / "log"), ["a"], args, "length")
    assert not (tmp_path / "log").exists()


def test_damaged_settings_are_explained(tmp_path: Path) -> None:
    task, out = Length(tmp_path / "log"), tmp_path / "out"
    score_sequences(task, ["a"], options("--out", str(out)), "length")
    (path,) = out.rglob("settings.json")
    path.write_text("{")
    with pytest.raises(InputError, match="begin anew with --overwrite"):
        score_sequences(task, ["a"], options("--out", str(out), "--resume"), "length")
