"""Who may write into an output folder: nothing of a user's is ever overwritten or deleted."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from streamvos.errors import InputError
from streamvos.export.lock import FILE as LOCK_FILE
from streamvos.export.lock import FolderLock
from streamvos.export.parts import PART, disk_errors
from streamvos.export.plain_files import expect_plain, expect_single
from streamvos.export.run_report import FILE as REPORT_FILE
from streamvos.export.run_report import read_report, write_report

RESULT_FILES = (
    "tracks.json",
    "boxes.txt",
    "overlay.mp4",
    "trajectory.txt",
    "scene.ply",
    "events.jsonl",
    "timeline.png",
    "state.npz",
    "run.json",
)
_FOR_GOING_ON = ("state.npz", "overlay.parts")
RESULT_FOLDERS = ("masks", "memory", "overlay.parts")  # in masks only numbered pictures are ours
_TEMPORARY_FILES = (
    "tracks.jsonl.part",
    *(name + PART for name in RESULT_FILES),
    *(f".{name}.tmp" for name in RESULT_FILES),
)
_TEMPORARY_MASK, _MASK = r"\.\d+\.png\.tmp", r"\d+\.png|\.\d+\.png\.tmp"
_IN_PLACE = (*_TEMPORARY_FILES, "run.json", "memory/memory.sqlite", "memory/memory.sqlite-wal")  # changed, not replaced


def claim(folder: Path, overwrite: bool, resume: bool) -> tuple[dict[str, Any] | None, FolderLock]:
    """Make the folder ready for a run, and keep other runs out of it.

    Args:
        folder: made if it does not exist.
        overwrite: remove the results of an earlier run first; whatever else lies there stays.
        resume: keep them, to go on.

    Returns:
        The run.json of the run to go on with, or None for a new one; and the lock, to be released at the end.

    Raises:
        InputError: something is there that may not be touched, or another run is writing there.
    """
    if overwrite and resume:
        raise InputError("overwrite=True and resume=True exclude each other")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {str(folder)!r} is a file; expected a folder, or a path that does not exist")
    if overwrite or resume:
        expect_plain(folder / name for name in (LOCK_FILE, *RESULT_FILES, *_TEMPORARY_FILES, *RESULT_FOLDERS))
        expect_single(folder / name for name in (LOCK_FILE, *_IN_PLACE))
    _look(folder, overwrite or resume)  # no lock is put into what is not ours
    with disk_errors(folder, "nothing was written"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
    try:
        report = _look(folder, overwrite or resume)  # again: now nobody changes it any more
        if report is not None and overwrite:
            with disk_errors(folder, "some results of the earlier run may be left"):
                _remove_results(folder, report)
            report = None
    except BaseException:
        lock.release()
        raise
    return report, lock


def list_results(folder: Path, is_complete: bool = False) -> list[str]:
    """The results that are there, folders with a slash at the end; of a complete run without what it needs to go on."""
    left_out = _FOR_GOING_ON if is_complete else ()
    files = [name for name in RESULT_FILES if name not in left_out and (folder / name).is_file()]
    return files + [name + "/" for name in RESULT_FOLDERS if name not in left_out and (folder / name).is_dir()]


def remove_leftovers(folder: Path) -> None:
    """Remove from a complete run what it would have needed to go on, and what kills left behind."""
    for name in ("state.npz", *_TEMPORARY_FILES):
        (folder / name).unlink(missing_ok=True)
    if (folder / "overlay.parts").is_dir():
        shutil.rmtree(folder / "overlay.parts")
    _remove_masks(folder, _TEMPORARY_MASK)


def _look(folder: Path, may_be_used: bool) -> dict[str, Any] | None:
    """The run.json of the run in the folder, None where there is nothing; raises `InputError` for all else."""
    nothing = (LOCK_FILE, f".{REPORT_FILE}.tmp")  # what a run leaves that was killed as it began
    if not folder.exists() or all(path.name in nothing for path in folder.iterdir()):
        return None
    if not may_be_used:
        raise InputError(
            f"output folder {str(folder)!r} is not empty; go on with resume=True, or replace it with overwrite=True"
        )
    report = read_report(folder)
    if report is None:
        raise InputError(
            f"output folder {str(folder)!r} holds no run.json of StreamVOS; nothing in it is touched, "
            "choose another folder"
        )
    return report


def _remove_results(folder: Path, report: dict[str, Any]) -> None:
    """Remove all that a run writes. run.json, by which the folder is known as ours, goes last."""
    (folder / "state.npz").unlink(missing_ok=True)
    write_report(folder, report | {"status": "failed", "error": "removed by overwrite=True, which did not end"})
    for name in (*RESULT_FILES, *_TEMPORARY_FILES):
        if name != REPORT_FILE:
            (folder / name).unlink(missing_ok=True)
    for name in RESULT_FOLDERS:
        if name != "masks" and (folder / name).is_dir():
            shutil.rmtree(folder / name)
    _remove_masks(folder, _MASK)
    (folder / REPORT_FILE).unlink(missing_ok=True)


def _remove_masks(folder: Path, pattern: str) -> None:
    masks = folder / "masks"
    if not masks.is_dir():
        return
    for picture in masks.iterdir():
        if re.fullmatch(pattern, picture.name):
            picture.unlink()
    if not any(masks.iterdir()):
        masks.rmdir()
