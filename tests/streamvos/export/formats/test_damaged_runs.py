"""Runs whose files are damaged: each export says so."""

from __future__ import annotations

import pytest

from streamvos.errors import IntegrityError
from streamvos.export.formats import RecordedRun, export_run


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run.json", '"name": "clip"', '"name": "../clip"'),
        ("run.json", '"location": "clip.mp4"', '"location": "\\ud800"'),
        ("run.json", '"location": "clip.mp4",', ""),
        ("run.json", '"width": 64', '"width": 0'),
        ("tracks.json", '"class":"dog"', '"class":["dog"]'),
        ("tracks.json", '"state":"tracked"', '"state":{}'),
        ("tracks.json", '"bbox":[', '"bbox":[1,'),
        ("tracks.json", '"counts":"', '"counts":"zzzzzz'),
    ],
)
@pytest.mark.parametrize("form", ["cvat", "label-studio", "csv", "davis"])
def test_damaged_runs_are_told(recorded, tmp_path, form, name, old, new):
    folder = recorded.record(tmp_path / "run")
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    try:
        export_run(RecordedRun(folder), form, tmp_path / "out")
    except IntegrityError as error:
        assert "damaged" in str(error)
    else:
        assert new.endswith("zzzzzz") and form in ("csv", "label-studio")  # which write no mask
