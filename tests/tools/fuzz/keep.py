"""Inputs that were read wrongly, kept to be read again: a zip of the files, named by target, seed and number."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.tools.fuzz.target import Case


def keep(folder: Path, target_name: str, seed: int, index: int, case: Case) -> Path:
    """Write an input; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target_name}-{seed}-{index}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in case.items():
            file.writestr(name, data)
    return path


def load(path: Path) -> tuple[str, Case]:
    """The name of the target, and the input."""
    with zipfile.ZipFile(path) as file:
        return path.stem.split("-")[0], {name: file.read(name) for name in file.namelist()}
