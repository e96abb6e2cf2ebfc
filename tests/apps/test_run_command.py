"""What a run leaves, also when it is interrupted, and that a resumed run equals one that was never interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from apps.cli import main
from apps.interrupt import Interrupt
from pipelines.answer import ask

ROOT = Path(__file__).resolve().parents[2]
SAME_FILES = ("tracks.json", "boxes.txt", "events.jsonl", "trajectory.txt")
OPTIONS = ("--size", "64", "--threads", "1", "--device", "cpu", "--max-frames", "36", "--checkpoint-every", "8")
LOCAL = (*OPTIONS, "--runner", "local", "--quiet")


def run(*arguments) -> int:
    return main(["run", "sample:bikes", *map(str, arguments)])


def num_frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An uninterrupted run; the sample's first cut is at frame 30."""
    out = tmp_path_factory.mktemp("whole")
    (out / "config.toml").write_text("[detect]\nevery = 3\n[output]\noverlay_crf = 30\n")
    assert run("--out", out, *LOCAL, "--config", out / "config.toml") == 0
    return out / "bikes"


def assert_same_run(whole: Path, other: Path) -> None:
    for name in SAME_FILES:
        assert (other / name).read_bytes() == (whole / name).read_bytes(), name
    masks = sorted(path.name for path in (whole / "masks").iterdir())
    assert masks == sorted(path.name for path in (other / "masks").iterdir())
    for name in masks:
        assert (other / "masks" / name).read_bytes() == (whole / "masks" / name).read_bytes(), name
    for question in ("what was seen?", "how many shots were there?", "how many cars were there?"):
        one, two = (ask(folder / "memory", question).to_dict() for folder in (whole, other))
        for answer in (one, two):
            for item in answer["evidence"]:
                item["thumbnail"] = item["thumbnail"] and Path(item["thumbnail"]).name
        assert one == two


def test_what_a_run_leaves(whole):
    report = json.loads((whole / "run.json").read_text())
    assert report["status"] == "complete" and report["counts"]["frames"] == 36 and report["counts"]["cuts"] == 1
    assert report["config"]["detect"]["every"] == 3 and report["config"]["size"] == 64
    assert report["config"]["threads"] == 1 and report["config"]["output"]["overlay_crf"] == 30
    assert set(report["memories"]) == {
        "objects",
        "features",
        "expected_places",
        "keyframes",
        "appearance",
        "retired",
        "scene",
        "episodes",
    }
    assert all(0 <= memory["bytes"] <= memory["capacity_bytes"] for memory in report["memories"].values())
    assert set(report["timings_s"]) == {"shots", "detect", "segment", "reconstruct", "remember"}
    assert report["dropped_frames"] == 0 and report["steady_frames_per_s"] > 0
    names = {"masks", "tracks.json", "boxes.txt", "overlay.mp4", "trajectory.txt", "scene.ply", "memory"}
    assert {path.name for path in whole.iterdir()} == names | {"events.jsonl", "timeline.png", "run.json"}
    assert num_frames_of(whole / "overlay.mp4") == 36


def test_interrupted_and_resumed_equals_uninterrupted(whole, tmp_path, monkeypatch):
    """Stopped by Ctrl-C at a frame that is no checkpoint of its own."""
    options = ("--out", tmp_path, *LOCAL, "--config", whole.parent / "config.toml")
    num_left = 21

    def next_of(interrupt, source):
        nonlocal num_left
        num_left -= 1
        if num_left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return plain_next_of(interrupt, source)

    plain_next_of = Interrupt.next_of
    monkeypatch.setattr(Interrupt, "next_of", next_of)
    assert run(*options) == 130
    monkeypatch.undo()
    report = json.loads((tmp_path / "bikes/run.json").read_text())
    done = report["counts"]["frames"]
    assert report["status"] == "interrupted" and 0 < done < 36
    assert num_frames_of(tmp_path / "bikes/overlay.mp4") == done
    assert run(*options, "--resume") == 0
    assert_same_run(whole, tmp_path / "bikes")
    assert num_frames_of(tmp_path / "bikes/overlay.mp4") == 36


@pytest.mark.parametrize("at", [3, 19], ids=["before the first checkpoint", "after two"])
def test_killed_and_resumed_equals_uninterrupted(whole, tmp_path, at):
    """As if the power failed: nothing is closed, what was written since the last checkpoint is taken back."""
    options = ["--out", str(tmp_path), *LOCAL, "--config", str(whole.parent / "config.toml")]
    code = (
        "import os, sys\nfrom apps import cli\nfrom streamvos.export import run_dir\n"
        "write = run_dir.RunDirectory.write\n"
        "def dying(self, frame, result):\n"
        "    write(self, frame, result)\n"
        f"    if frame.index == {at}: os._exit(9)\n"
        "run_dir.RunDirectory.write = dying\n"
        "cli.main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", code, "run", "sample:bikes", *options]
    assert subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode == 9
    assert run(*options, "--resume") == 0
    assert_same_run(whole, tmp_path / "bikes")


@pytest.mark.parametrize("runner", ["local", "ray"])
def test_ctrl_c_leaves_playable_results(tmp_path, runner):
    """A signal to the whole process group, as a terminal sends it."""
    options = [*OPTIONS, "--max-frames", "250", "--runner", runner, "--stages", "reconstruct"]
    command = [sys.executable, "-m", "streamvos", "run", "sample:bikes", "--out", str(tmp_path), *options]
    with (tmp_path / "stderr.txt").open("w") as stderr:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        )
        masks = tmp_path / "bikes/trajectory.txt.part"
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if masks.is_file() and masks.stat().st_size:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        out = process.communicate(timeout=60)[0]
    errors = (tmp_path / "stderr.txt").read_text()
    assert process.returncode == 130, errors
    assert "bikes: interrupted" in out and "--resume" in out
    assert "Traceback" not in errors
    report = json.loads((tmp_path / "bikes/run.json").read_text())
    assert report["status"] == "interrupted"
    assert num_frames_of(tmp_path / "bikes/overlay.mp4") == report["counts"]["frames"] > 0


@pytest.mark.parametrize("num_sources", [1, 2])
def test_a_signal_while_the_results_are_closed_interrupts_only_what_was_still_to_come(
    tmp_path, monkeypatch, num_sources
):
    from streamvos.export.run_dir import RunDirectory

    close = RunDirectory.close

    def signalled(self, *given, **more) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        close(self, *given, **more)

    monkeypatch.setattr(RunDirectory, "close", signalled)
    options = [*LOCAL, "--stages", "reconstruct", "--max-frames", "2", "--out", str(tmp_path)]
    code = main(["run", *["sample:bikes"] * num_sources, *options])
    assert json.loads((tmp_path / "bikes/run.json").read_text())["status"] == "complete"
    assert not (tmp_path / "bikes-2").exists()
    assert code == (0 if num_sources == 1 else 130)
