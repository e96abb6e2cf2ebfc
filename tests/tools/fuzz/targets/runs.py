"""What a run left: read by `export`, by a run that goes on, and snapshots by themselves."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from streamvos.errors import InputError
from streamvos.export.formats import FORMATS, RecordedRun, export_run
from streamvos.export.result_files import OutputConfig
from streamvos.export.run_dir import RunDirectory
from streamvos.export.tracks import read_tracks
from streamvos.records import Frame
from streamvos.snapshot import load_snapshot, save_snapshot
from streamvos.video.info import SourceInfo
from tests.conftest import RecordedClip
from tests.tools.fuzz.target import Target


def _make_runs(folder: Path) -> None:
    for status in ("complete", "killed", "interrupted"):
        RecordedClip().record(folder / status, status=status)
    RecordedClip().record(folder / "detections", stages=("detect",))


def _read_export(folder: Path) -> object:
    came = []
    for name in FORMATS.names():
        try:
            came.append(export_run(RecordedRun(folder), name, folder / "exported" / name))
        except InputError as error:
            if not FORMATS.get(name).needs_masks:
                raise
            came.append(error)
    if (folder / "tracks.json").is_file():
        came.append(read_tracks(folder / "tracks.json"))
    return came


def _make_stopped(folder: Path) -> None:
    for status in ("killed", "interrupted", "failed"):
        RecordedClip().record(folder / status, status=status)


def _read_resume(folder: Path) -> object:
    clip, rate = RecordedClip(), Fraction(25)
    size = clip.width, clip.height
    info = SourceInfo("clip", "video", "clip.mp4", *size, rate, clip.count, clip.count / 25, False, 1 / rate)
    config = OutputConfig(overlay=False, masks=False)
    run = RunDirectory(folder, info, {"stages": ["detect", "segment"]}, {}, resume=True, config=config)
    try:
        for index in range(run.next_index, min(run.next_index, 10**6) + 3):
            frame = Frame("s", index, index / 25, np.zeros((clip.height, clip.width, 3), np.uint8))
            run.write(frame, clip.result_at(index, True))
    finally:
        run.close("complete")
    return run.load_state()


def _make_snapshots(folder: Path) -> None:
    (folder / "state").mkdir()
    state = {
        "numbers": np.arange(12, dtype=np.float32).reshape(3, 4),
        "nested": {1: {"text": "ü", "none": None, "flag": True}, "two": [1, 2.5, (3, np.zeros(2, bool))]},
        "bytes": b"\x00\xff",
    }
    save_snapshot(folder / "state" / "state.npz", state)


def _read_snapshot(folder: Path) -> object:
    path = folder / "state.npz"
    return load_snapshot(path) if path.is_file() else None


TARGETS = [
    Target("export", _make_runs, _read_export),
    Target("resume", _make_stopped, _read_resume),
    Target("snapshots", _make_snapshots, _read_snapshot),
]
