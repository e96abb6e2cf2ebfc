"""What a run leaves, as one file to take home: the folder that `streamvos run` would write, and what was pointed at."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from streamvos.export.folder import list_results
from streamvos.export.parts import disk_errors

PROMPTS_FILE = "prompts.json"
_PACKED = {".mp4", ".png", ".jpg", ".jpeg", ".sqlite"}  # packing them again gains little


class Log:
    """What a person said of objects, in the form that `streamvos run --prompts` reads."""

    def __init__(self) -> None:
        self._prompts: list[dict[str, Any]] = []
        self._removals: list[dict[str, int]] = []
        self._names: dict[int, str] = {}

    def prompt(self, frame_index: int, object_id: int, fields: dict[str, np.ndarray]) -> None:
        """Note a prompt; one for the same object and frame takes the place of the earlier."""
        entry: dict[str, Any] = {"frame": frame_index, "object": object_id}
        for name, value in fields.items():
            entry[name] = value.astype(int).tolist() if name == "labels" else np.round(value, 2).tolist()
        self._prompts = [one for one in self._prompts if (one["frame"], one["object"]) != (frame_index, object_id)]
        self._prompts.append(entry)

    def remove(self, frame_index: int, object_id: int) -> None:
        self._removals.append({"frame": frame_index, "object": object_id})

    def name(self, object_id: int, label: str) -> None:
        self._names[object_id] = label

    def take_back(self, frame_index: int, entry: str) -> None:
        """Forget a prompt that was refused; `entry` as its event names it, "object 3"."""
        self._prompts = [
            one for one in self._prompts if one["frame"] != frame_index or f"object {one['object']}" != entry
        ]

    def to_dict(self, num_frames: int) -> dict[str, Any] | None:
        """What took effect in so many frames; None where nothing did. Names stand with each object's first prompt."""
        taken = [one for one in self._prompts if one["frame"] < num_frames]
        if not taken:
            return None
        first: dict[int, dict[str, Any]] = {}
        for entry in taken:
            first.setdefault(entry["object"], entry)
        prompts = [
            entry | {"label": self._names[entry["object"]]}
            if entry is first[entry["object"]] and entry["object"] in self._names
            else entry
            for entry in taken
        ]
        removals = [one for one in self._removals if one["object"] in first and one["frame"] < num_frames]
        return {"prompts": prompts, "removals": removals}


def write_archive(folder: Path, name: str, said: dict[str, Any] | None) -> Path:
    """Pack the results of a closed run; returns the archive beside its folder.

    Args:
        folder: of the run.
        name: safe as a file name; of the archive and of the folder in it.
        said: what was pointed at, see `Log.to_dict`.
    """
    target = folder.with_name(f"{name}.zip")
    part = target.with_name(f".{target.name}.tmp")
    with disk_errors(folder, "no archive was made; the run itself is kept"), _removed_on_error(part):
        if said is not None:
            (folder / PROMPTS_FILE).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        with zipfile.ZipFile(part, "w") as archive:
            for path in _files(folder, said is not None):
                how = zipfile.ZIP_STORED if path.suffix in _PACKED else zipfile.ZIP_DEFLATED
                archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}", how)
        os.replace(part, target)
    return target


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _files(folder: Path, with_prompts: bool) -> list[Path]:
    names = list_results(folder) + ([PROMPTS_FILE] if with_prompts else [])
    files: list[Path] = []
    for name in names:
        if name in ("state.npz", "overlay.parts/"):
            continue  # for going on, here
        path = folder / name
        files += sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return files
