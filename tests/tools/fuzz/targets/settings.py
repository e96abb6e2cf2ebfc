"""Configuration files: TOML, and the run.json of a run."""

from __future__ import annotations

import json
from pathlib import Path

from apps.settings import RunConfig, read_config
from tests.conftest import RecordedClip
from tests.tools.fuzz.target import Target

_TOML = """
seed = 3
size = 128
stages = ["detect", "segment"]

[detect]
every = 3
classes = ["dog", "cat"]

[segment]
base = "embedded"

[segment.embedded]

[memory]

[scores]
detect = 0.5

[output]
overlay = false

[source]
image_rate = "29.97"
rgbd_rate = 30

[demo]
streams = {door = "rtsp://door/1"}
max_video_s = 20.5
"""


def _make(folder: Path) -> None:
    (folder / "toml").mkdir()
    (folder / "toml" / "settings.toml").write_text(_TOML)
    (folder / "whole").mkdir()
    (folder / "whole" / "settings.json").write_text(json.dumps(RunConfig().to_dict()))
    (folder / "run").mkdir()
    report = json.loads((RecordedClip().record(folder / "run" / "run") / "run.json").read_text())
    for path in sorted((folder / "run").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "run" / "run.json").write_text(json.dumps(report | {"config": RunConfig().to_dict()}))


def _read(folder: Path) -> object:
    for path in folder.iterdir():
        run, demo = read_config(path, {})
        return json.dumps(run.to_dict()), demo
    return None


TARGET = Target("settings", _make, _read)
