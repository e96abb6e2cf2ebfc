"""What may lie in a run's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from streamvos.errors import InputError
from streamvos.export.plain_files import expect_plain


def test_links_below_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "00001.png").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="symbolic link"):
        expect_plain([tmp_path / "masks"])


def test_what_a_running_run_removes_meanwhile_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "00001.png.tmp").touch()
    walk = os.walk

    def walk_late(top: Path) -> Any:
        for entry in walk(top):
            (tmp_path / "00001.png.tmp").unlink()
            yield entry

    monkeypatch.setattr(os, "walk", walk_late)
    expect_plain([tmp_path])
    assert not any(tmp_path.iterdir())  # it was gone before it was looked at
