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
from streamvos.export.run_report import read_report

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
RESULT_FOLDERS = ("masks", "memory", "overlay.parts")  # in masks only numbered pictures are ours
_PART_FILES = ("tracks.jsonl.part", *(name + PART for name in RESULT_FILES))


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
    _look(folder, overwrite or resume)  # no lock is put into what is not ours
    with disk_errors(folder, "nothing was written"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
    try:
        report = _look(folder, overwrite or resume)  # again: now nobody changes it any more
        if report is not None and overwrite:
            with disk_errors(folder, "some results of the earlier run may be left"):
                _remove_results(folder)
            report = None
    except BaseException:
        lock.release()
        raise
    return report, lock


def list_results(folder: Path) -> list[str]:
    """The results that are there, folders with a slash at the end."""
    files = [name for name in RESULT_FILES if (folder / name).is_file()]
    return files + [name + "/" for name in RESULT_FOLDERS if (folder / name).is_dir()]


def _look(folder: Path, may_be_used: bool) -> dict[str, Any] | None:
    """The run.json of the run in the folder, None where there is nothing; raises `InputError` for all else."""
    if not folder.exists() or all(path.name == LOCK_FILE for path in folder.iterdir()):
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


def _remove_results(folder: Path) -> None:
    for name in (*RESULT_FILES, *_PART_FILES, *(f".{name}.tmp" for name in RESULT_FILES)):
        (folder / name).unlink(missing_ok=True)
    for name in RESULT_FOLDERS:
        path = folder / name
        if path.is_symlink():
            path.unlink()  # what it points to is not ours
        elif path.is_dir() and name != "masks":
            shutil.rmtree(path)
    masks = folder / "masks"
    if masks.is_dir():
        for picture in masks.iterdir():
            if re.fullmatch(r"\d+\.png|\.\d+\.png\.tmp", picture.name):
                picture.unlink()
        if not any(masks.iterdir()):
            masks.rmdir()
