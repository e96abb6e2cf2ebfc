"""How runs end that do not end well: damaged segments, no memory, an impatient user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streamvos.errors import IntegrityError, OutputError
from streamvos.export import run_dir
from streamvos.export.run_dir import RunDirectory
from tests.streamvos.export.runs import FAST, PRODUCTS, expect_equal_runs, report, video_times, whole_run, write_frames


def a_run_of_segments(folder: Path, info, step) -> RunDirectory:
    run = RunDirectory(folder, info, {"seed": 1}, config=replace(FAST, segment_frames=4))
    write_frames(run, step, range(10))
    return run


def shorten(folder: Path, name: str) -> None:
    segment = folder / "overlay.parts" / name
    segment.write_bytes(segment.read_bytes()[: segment.stat().st_size * 2 // 3])


@pytest.mark.parametrize("name", ["000000000000000.mp4", "000000000002048.mp4"], ids=["the first", "another"])
def test_a_damaged_overlay_segment_is_not_complete(tmp_path, info, step, name):
    run = a_run_of_segments(tmp_path, info, step)
    run._worker.drain()
    (tmp_path / "overlay.parts" / name).write_bytes(b"\0" * 3000)
    with pytest.raises(IntegrityError, match=f"overlay.mp4 lacks 4 of 10 frames: its segment .*{name}' is damaged"):
        run.close("complete")
    assert report(tmp_path)["status"] == "failed" and "lacks 4 of 10 frames" in report(tmp_path)["error"]
    assert len(video_times(tmp_path / "overlay.mp4")) == 6  # what can be read
    assert (tmp_path / "tracks.json").is_file() and (tmp_path / "boxes.txt").is_file()


@pytest.mark.parametrize("damage", [shorten, lambda folder, name: (folder / "overlay.parts" / name).unlink()])
def test_going_on_tells_a_damaged_overlay_segment_at_once(tmp_path, info, step, damage):
    run = a_run_of_segments(tmp_path, info, step)
    run.checkpoint({})
    run.close("interrupted")
    damage(tmp_path, "000000000002048.mp4")
    with pytest.raises(IntegrityError, match="overlay segment .*2048.mp4' is gone or damaged"):
        RunDirectory(tmp_path, info, {"seed": 1}, resume=True)


def no_memory(*_, **__) -> None:
    raise MemoryError


def test_a_report_for_which_there_is_no_memory_does_not_leave_it_running(tmp_path, info, step, monkeypatch):
    run = RunDirectory(tmp_path, info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(3))
    with monkeypatch.context() as patch:
        patch.setattr(run_dir, "write_report", no_memory)
        with pytest.raises(OutputError, match="not enough memory; results of about 3 frames are kept"):
            run.close("complete")
    assert report(tmp_path)["status"] == "failed" and "not enough memory" in report(tmp_path)["error"]


def test_a_run_whose_thread_cannot_start_is_not_running(tmp_path, info, monkeypatch):
    def no_thread(*_) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", no_thread)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        RunDirectory(tmp_path, info, {"seed": 1}, config=FAST)
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("place", ["assemble_tracks", "write_scene"])
def test_ctrl_c_while_closing_is_an_interrupted_run_that_goes_on(tmp_path, info, step, monkeypatch, place):
    whole = whole_run(tmp_path / "whole", info, step)
    folder = tmp_path / "parts"
    run = RunDirectory(folder, info, {"seed": 1}, config=FAST)
    write_frames(run, step, range(17))
    run.checkpoint({})
    write_frames(run, step, range(17, 40))

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"streamvos.export.result_files.{place}", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run.close("complete", PRODUCTS)
    assert report(folder)["status"] == "interrupted"
    again = RunDirectory(folder, info, {"seed": 1}, resume=True, config=FAST)
    write_frames(again, step, range(again.next_index, 40))
    again.close("complete", PRODUCTS)
    expect_equal_runs(whole, folder)
