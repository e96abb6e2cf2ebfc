"""A run directory is closed whatever a session does at its end."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.run_recorder import record
from streamvos.export.run_dir import RunDirectory
from streamvos.video.info import SourceInfo


class NoMemoryFor:
    """A session without frames that finds no memory for one of its calls."""

    waiting_prompts: tuple = ()

    def __init__(self, name: str) -> None:
        self._name = name

    def steps(self, source, snapshot_every):
        self._call("steps")
        return iter(())

    def restore(self, *_) -> None:
        self._call("restore")

    def finish(self) -> None:
        self._call("finish")

    def products(self) -> dict:
        self._call("products")
        return {}

    def stats(self) -> dict:
        return {}

    def _call(self, name: str) -> None:
        if name == self._name:
            raise MemoryError("no memory")


@pytest.mark.parametrize("place", ["restore", "steps", "finish", "products"])
def test_no_run_stays_running_for_want_of_memory(tmp_path: Path, place: str) -> None:
    info = SourceInfo("clip", "video", "clip.mp4", 64, 48, Fraction(25), 4, 0.2, False, Fraction(1, 1000))
    run = RunDirectory(tmp_path, info, {})
    run.checkpoint({"segment": {}})
    run.close("interrupted")
    run = RunDirectory(tmp_path, info, {}, resume=True)
    source = SimpleNamespace(warnings=[], num_dropped=0)
    with pytest.raises(MemoryError):
        record(NoMemoryFor(place), source, run)
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["status"] == "failed" and report["error"] == "no memory"
