from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamvos.errors import InputError, IntegrityError, OutputError
from streamvos.export import run_dir
from streamvos.export.lock import FILE
from streamvos.export.masks import MaskWriter
from streamvos.export.overlay import OverlayWriter
from streamvos.export.parts import PartFile
from streamvos.export.ply import read_scene
from streamvos.export.run_dir import RunDirectory
from streamvos.export.tracks import read_tracks
from streamvos.export.trajectory import read_trajectory
from tests.streamvos.export.runs import (
    COMPLETE,
    FAST,
    PRODUCTS,
    expect_equal_runs,
    report,
    video_times,
    whole_run,
    write_frames,
)

ROOT = Path(__file__).resolve().parents[3]


def test_a_run_leaves_all_files_and_nothing_else(tmp_path, info, step):
    folder = whole_run(tmp_path / "run", info, step)
    assert sorted(path.name for path in folder.iterdir()) == COMPLETE
    assert len(list((folder / "masks").iterdir())) == 40
    assert read_tracks(folder / "tracks.json")["video"]["num_frames"] == 40
    assert len(read_trajectory(folder / "trajectory.txt")) == 40 - 5
    assert read_trajectory(folder / "trajectory.txt").map_ids[[0, -1]].tolist() == [0, 3]
    assert len(read_scene(folder / "scene.ply")) == 3
    assert video_times(folder / "overlay.mp4") == pytest.approx([index / 25 for index in range(40)])
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert len(events) == 40
    assert events[2] == {
        "frame": 2, "time_s": 0.08, "bank": "keyframes", "action": "write", "entry": "object 1, slot 2",
        "reason": "kept a view of object 1: it shows something new", "bytes": 102, "numbers": {"novelty": 0.123457},
    }  # fmt: skip


def test_the_report(tmp_path, info, step):
    run = RunDirectory(tmp_path, info, {"seed": 1, "size": 384}, config=FAST)
    first = report(tmp_path)
    assert first["status"] == "running" and first["config"] == {"seed": 1, "size": 384}
    write_frames(run, step, range(13))
    run.warn("two packets were damaged")
    run.close("complete", extra={"num_dropped": 3})
    found = report(tmp_path)
    assert found["status"] == "complete" and found["error"] is None and found["num_dropped"] == 3
    assert found["counts"] == {
        "frames": 13, "next_index": 13, "detections": 10, "memory_events": 13, "cuts": 1, "objects": 3
    }  # fmt: skip
    assert found["timings_s"]["segment"]["mean"] == pytest.approx(0.1)
    assert found["warnings"] == ["two packets were damaged"]
    assert found["source"]["rate"] == "25" and found["versions"]["numpy"] == np.__version__
    assert found["peak_rss_bytes"] > 1e7 and found["frames_per_s"] > 0
    assert "overlay.mp4" in found["files"] and "masks/" in found["files"]


def test_stages_that_did_not_run_leave_no_files(tmp_path, info, step):
    run = RunDirectory(tmp_path, info, {}, config=replace(FAST, overlay=False))
    for index in range(3):
        frame, result = step(index)
        run.write(frame, replace(result, masks=None, detections=None, scene=None))
    run.close("complete")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "run.json", "timeline.png"]


@pytest.mark.parametrize("more_after", [0, 6], ids=["at the checkpoint", "six frames later"])
@pytest.mark.parametrize("ending", ["interrupted", "killed"])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, info, step, ending, more_after):
    whole = whole_run(tmp_path / "whole", info, step)
    folder = tmp_path / "parts"
    run = RunDirectory(folder, info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(17))
    run.checkpoint({"segment": {"weights": np.arange(4), "count": 17}})
    write_frames(run, step, range(17, 17 + more_after))
    if ending == "interrupted":
        run.close("interrupted")
        assert len(video_times(folder / "overlay.mp4")) == 17 + more_after
        assert read_tracks(folder / "tracks.json")["video"]["num_frames"] == 17 + more_after
        assert report(folder)["status"] == "interrupted"
    else:
        run._worker.stop()
        run._lock.release()  # as the system does
    again = RunDirectory(folder, info, {"seed": 1}, resume=True, config=FAST)
    assert not again.is_complete and again.next_index == 17 and again.last_time_s == pytest.approx(0.64)
    state = again.load_state()
    assert state["segment"]["count"] == 17 and state["segment"]["weights"].tolist() == [0, 1, 2, 3]
    write_frames(again, step, range(17, 40))
    again.close("complete", PRODUCTS)
    expect_equal_runs(whole, folder)
    assert sorted(path.name for path in folder.iterdir()) == COMPLETE
    assert report(folder)["counts"] == report(whole)["counts"]


def test_resuming_without_a_checkpoint_begins_at_the_beginning(tmp_path, info, step):
    whole = whole_run(tmp_path / "whole", info, step)
    run = RunDirectory(tmp_path / "parts", info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(9))
    run.close("failed", error=RuntimeError("the stage broke"))
    assert report(tmp_path / "parts")["error"] == "the stage broke"
    again = RunDirectory(tmp_path / "parts", info, {"seed": 1}, resume=True, config=FAST)
    assert again.next_index == 0 and again.load_state() is None
    write_frames(again, step, range(40))
    again.close("complete", PRODUCTS)
    expect_equal_runs(whole, tmp_path / "parts")


@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_a_folder_in_which_a_run_is_writing_is_refused(tmp_path, info, step, option):
    whole = whole_run(tmp_path / "whole", info, step)
    folder = tmp_path / "parts"
    run = RunDirectory(folder, info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(17))
    with pytest.raises(InputError, match=f"another run .process {os.getpid()}. is writing into .*parts'"):
        RunDirectory(folder, info, {"seed": 1}, config=FAST, **{option: True})
    write_frames(run, step, range(17, 40))
    run.close("complete", PRODUCTS)
    expect_equal_runs(whole, folder)
    assert sorted(path.name for path in folder.iterdir()) == COMPLETE


@pytest.mark.parametrize("ending", ["killed", "refused"])
def test_a_lock_does_not_outlive_its_run(tmp_path, info, ending):
    """The file may stay, the folder counts as empty nevertheless."""
    if ending == "killed":
        code = "import os, pathlib, sys; from streamvos.export.lock import FolderLock as L; "
        code += "lock = L(pathlib.Path(sys.argv[1])); os._exit(9)"
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, timeout=60, check=False)
        assert done.returncode == 9 and (tmp_path / FILE).read_text().strip().isdigit()
    else:
        RunDirectory(tmp_path, info, {}, config=FAST).close("interrupted")
        with pytest.raises(InputError, match="another source"):
            RunDirectory(tmp_path, replace(info, width=80), {}, resume=True)
    RunDirectory(tmp_path, info, {}, resume=ending == "refused", config=FAST).close("complete")
    assert not (tmp_path / FILE).exists()


def test_resuming_twice(tmp_path, info, step):
    whole = whole_run(tmp_path / "whole", info, step)
    for start, stop in ((0, 11), (11, 26), (26, 40)):
        run = RunDirectory(tmp_path / "parts", info, {"seed": 1}, resume=True, config=FAST)
        assert run.next_index == start
        write_frames(run, step, range(start, stop))
        if stop < 40:
            run.checkpoint({})
            write_frames(run, step, range(stop, stop + 2))
        run.close("interrupted" if stop < 40 else "complete", PRODUCTS)
    expect_equal_runs(whole, tmp_path / "parts")


def test_resuming_a_complete_run_has_nothing_to_do(tmp_path, info, step):
    whole_run(tmp_path, info, step)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    run = RunDirectory(tmp_path, info, {}, resume=True)
    assert run.is_complete and run.next_index == 40
    run.close("complete")
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_resuming_with_another_source_or_config(tmp_path, info, step):
    run = RunDirectory(tmp_path, info, {"seed": 1}, config=FAST)
    run.close("interrupted")
    with pytest.raises(InputError, match="made from another source .width 64, now 80"):
        RunDirectory(tmp_path, replace(info, width=80), {"seed": 1}, resume=True)
    run = RunDirectory(tmp_path, info, {"seed": 1}, resume=True, config=FAST)
    run.close("interrupted")
    with pytest.raises(InputError, match="other settings .seed was 1, now 2.; .*overwrite=True"):
        RunDirectory(tmp_path, info, {"seed": 2}, resume=True, config=FAST)


@pytest.mark.parametrize("ending", ["complete", "interrupted"])
@pytest.mark.parametrize(
    ("now", "message"),
    [
        ({"max_frames": 100}, "max_frames was 60, now 100"),
        ({"stages": ("detect",)}, "stages was detect,segment, now detect"),
        ({"prompts": "ab"}, "prompts was none, now ab"),
        ({"runner": "local", "threads": 2}, None),
        ({"of_another_version": 3}, None),
    ],
)
def test_what_may_change_when_a_run_goes_on(tmp_path, info, ending, now, message):
    config = {"stages": ("detect", "segment"), "threads": 1}
    given = {"runner": "ray", "max_frames": 60, "prompts": None}
    RunDirectory(tmp_path, info, config, given, config=FAST).close(ending)
    asked = {**config, **{name: value for name, value in now.items() if name in config}}
    other = {**given, **{name: value for name, value in now.items() if name not in config}}
    if message is None:
        run = RunDirectory(tmp_path, info, asked, other, resume=True, config=FAST)
        assert run.is_complete == (ending == "complete")
        run.close("interrupted")
    else:
        with pytest.raises(InputError, match=message):
            RunDirectory(tmp_path, info, asked, other, resume=True, config=FAST)


def test_a_full_folder_is_refused_naming_both_ways_on(tmp_path, info, step):
    whole_run(tmp_path, info, step, 2)
    with pytest.raises(InputError, match="resume=True.*overwrite=True"):
        RunDirectory(tmp_path, info, {})
    with pytest.raises(InputError, match="exclude each other"):
        RunDirectory(tmp_path, info, {}, overwrite=True, resume=True)


@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_a_folder_that_is_not_ours_is_never_touched(tmp_path, info, option):
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "run.json").write_text('{"of": "someone else"}')
    with pytest.raises(InputError, match="no run.json of StreamVOS"):
        RunDirectory(tmp_path, info, {}, **{option: True})
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_overwrite_removes_only_what_a_run_writes(tmp_path, info, step):
    whole_run(tmp_path, info, step, 5)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "masks" / "corrected.png").write_text("mine")
    run = RunDirectory(tmp_path, info, {}, overwrite=True, config=FAST)
    write_frames(run, step, range(2))
    run.close("complete")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == ["00000.png", "00001.png", "corrected.png"]
    assert not (tmp_path / "scene.ply").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path, info):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        RunDirectory(tmp_path / "out", info, {})


def test_frames_must_come_in_order(tmp_path, info, step):
    run = RunDirectory(tmp_path, info, {}, config=FAST)
    run.write(*step(3))
    with pytest.raises(InputError, match="expected frame 4 or later, got frame 3"):
        run.write(*step(3))
    run.close("complete")


def test_a_damaged_part_file_is_noticed(tmp_path, info, step):
    run = RunDirectory(tmp_path, info, {}, config=FAST)
    write_frames(run, step, range(5))
    run.checkpoint({})
    run.close("interrupted")
    (tmp_path / "boxes.txt.part").write_bytes(b"")
    with pytest.raises(IntegrityError, match="shorter.*overwrite=True"):
        RunDirectory(tmp_path, info, {}, resume=True)


def no_space(*_, **__) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("place", [(MaskWriter, "write"), (PartFile, "append"), (OverlayWriter, "write")],
                         ids=["masks", "tracks", "overlay"])  # fmt: skip
def test_a_full_disk_is_one_clear_error_and_the_run_goes_on_later(tmp_path, info, step, monkeypatch, place):
    whole = whole_run(tmp_path / "whole", info, step)
    folder = tmp_path / "parts"
    run = RunDirectory(folder, info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(10))
    run.checkpoint({})
    with monkeypatch.context() as patch:
        patch.setattr(*place, no_space)
        with pytest.raises(OutputError, match="no space left.*frames are kept.*resume=True") as caught:
            write_frames(run, step, range(10, 40))
        run.close("failed", error=caught.value)
    assert "no space left" in report(folder)["error"] and report(folder)["status"] == "failed"
    assert len(video_times(folder / "overlay.mp4")) >= 10
    again = RunDirectory(folder, info, {"seed": 1}, resume=True, config=FAST)
    assert again.next_index == 10
    write_frames(again, step, range(10, 40))
    again.close("complete", PRODUCTS)
    expect_equal_runs(whole, folder)


def test_a_disk_that_fills_up_at_the_end_keeps_everything_to_go_on(tmp_path, info, step, monkeypatch):
    run = RunDirectory(tmp_path, info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(10))
    run.checkpoint({})
    with monkeypatch.context() as patch:
        patch.setattr(OverlayWriter, "join", no_space)
        with pytest.raises(OutputError, match="no space left"):
            run.close("complete", PRODUCTS)
    assert report(tmp_path)["status"] == "failed"
    assert (tmp_path / "boxes.txt").is_file() and (tmp_path / "scene.ply").is_file()
    again = RunDirectory(tmp_path, info, {"seed": 1}, resume=True, config=FAST)
    assert again.next_index == 10
    again.close("complete", PRODUCTS)
    assert len(video_times(tmp_path / "overlay.mp4")) == 10


@pytest.mark.parametrize(("ending", "status"), [("complete", "failed"), ("interrupted", "interrupted")])
def test_a_disk_too_full_for_a_new_report_does_not_leave_it_running(tmp_path, info, step, monkeypatch, ending, status):
    run = RunDirectory(tmp_path, info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(3))
    before = (tmp_path / "run.json").stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(run_dir, "write_report", no_space)
        with pytest.raises(OutputError, match="no space left.*3 frames are kept"):
            run.close(ending)
    assert report(tmp_path)["status"] == status and "no space left" in report(tmp_path)["error"]
    assert (tmp_path / "run.json").stat().st_size == before
    RunDirectory(tmp_path, info, {"seed": 1}, resume=True, config=FAST).close("complete")
    assert report(tmp_path)["status"] == "complete"


def test_a_folder_that_cannot_be_made(tmp_path, info, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", no_space)
    with pytest.raises(OutputError, match="no space left"):
        RunDirectory(tmp_path / "run", info, {})


def test_an_error_while_drawing_is_raised_by_the_next_call(tmp_path, info, step, monkeypatch):
    run = RunDirectory(tmp_path, info, {}, config=FAST)

    def broken(*_) -> None:
        raise KeyError("a bug of ours")

    monkeypatch.setattr(OverlayWriter, "write", broken)
    run.write(*step(0))
    with pytest.raises(KeyError, match="a bug of ours"):
        run.checkpoint({})
    run.close("failed", error="a bug of ours")
    assert report(tmp_path)["status"] == "failed"


def test_variable_rate_and_odd_size_through_a_whole_run(tmp_path, info, step):
    info = replace(info, width=63, height=47, rate=Fraction(25), time_base=Fraction(1, 1000))
    run = RunDirectory(tmp_path, info, {}, config=FAST)
    times = [0.0, 0.033, 0.2, 0.201, 1.5]
    for index, time_s in enumerate(times):
        run.write(*step(index, size=(47, 63), time_s=time_s))
    run.close("complete")
    assert video_times(tmp_path / "overlay.mp4") == pytest.approx(times)
