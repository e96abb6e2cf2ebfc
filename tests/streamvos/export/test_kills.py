"""A run that is killed at any file operation goes on, and leaves what a run that was never killed leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import matplotlib.backends.backend_agg  # noqa: F401  once here, in place of once in each process that is killed
import matplotlib.figure  # noqa: F401
import matplotlib.patches  # noqa: F401
import pytest

from streamvos.export.run_dir import RunDirectory
from tests.streamvos.export.runs import FAST, PRODUCTS
from tests.tools.kill_sweep import count_operations, is_killed_at

NUM_FRAMES, CHECKPOINT = 4, 2


@pytest.fixture
def play(info, step) -> Callable[..., None]:
    """A whole run with a checkpoint, or the rest of one."""

    def run(folder: Path, **how: bool) -> None:
        run = RunDirectory(folder, info, {"seed": 1}, config=FAST, **how)
        for index in range(run.next_index, NUM_FRAMES):
            run.write(*step(index))
            if index + 1 == CHECKPOINT:
                run.checkpoint({"segment": {"count": index}})
        run.close("complete", PRODUCTS)

    return run


def contents(folder: Path) -> dict[str, bytes]:
    """All files, run.json without what tells the time."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    report = json.loads(files.pop("run.json"))
    kept = {name: report[name] for name in ("status", "error", "counts", "files", "warnings")}
    return files | {"run.json": json.dumps(kept).encode()}


def expect_the_same_after_kills(tmp_path: Path, play, expected: dict[str, bytes], operations: range, **how) -> None:
    for operation in operations:
        folder = tmp_path / f"killed{operation}"
        if how:
            shutil.copytree(tmp_path / "earlier", folder)
        is_killed_at(operation, folder, lambda folder=folder: play(folder, **how))
        count_operations(folder, lambda folder=folder: play(folder, resume=True))
        assert contents(folder) == expected, f"killed at file operation {operation}"


def test_a_kill_at_any_file_operation_costs_nothing(tmp_path: Path, play) -> None:
    whole = tmp_path / "whole"
    total = count_operations(whole, lambda: play(whole))
    expected = contents(whole)
    assert total > 30 and "state.npz" not in expected and json.loads(expected["run.json"])["status"] == "complete"
    expect_the_same_after_kills(tmp_path, play, expected, range(1, total + 1))


def test_a_kill_while_an_earlier_run_is_removed_leaves_a_folder_of_ours(tmp_path: Path, play) -> None:
    earlier, whole = tmp_path / "earlier", tmp_path / "whole"
    total = count_operations(earlier, lambda: play(earlier))
    shutil.copytree(earlier, whole)
    num_removals = count_operations(whole, lambda: play(whole, overwrite=True)) - total
    assert num_removals > 10
    expect_the_same_after_kills(tmp_path, play, contents(whole), range(1, num_removals + 2), overwrite=True)
