"""Whether the data of a sequence are those that were scored: names, sizes and times of its files."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_ANNOTATIONS = ("annotations", "Annotations")  # folders whose JSON files hold the truth of all sequences


def data_digests(task: Any, names: Sequence[str], out: Path | None) -> dict[str, str]:
    """A short text for each sequence, which differs where its files do.

    Args:
        task: a dataclass; the folders among its fields, and among the fields of its dataclasses, hold the data.
        names: of the sequences. A file is a sequence's own where a folder above it, or the file, is called so; JSON
            files at the top of the data, and of its annotations, are everybody's.
        out: the folder of results, no part of the data.
    """
    shared, own = hashlib.sha256(), {name: hashlib.sha256() for name in names}
    for number, folder in enumerate(sorted(set(_folders(task)))):
        for relative, stat in _files(folder, out):
            entry = f"{number} {relative} {stat.st_size} {stat.st_mtime_ns}\n".encode(errors="surrogateescape")
            if _is_shared(relative):
                shared.update(entry)
            place = f"/{os.path.splitext(relative)[0]}/"
            for name in names:
                if f"/{name}/" in place:
                    own[name].update(entry)
    return {name: hashlib.sha256(sha.digest() + shared.digest()).hexdigest()[:16] for name, sha in own.items()}


def _folders(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        if value.is_dir():
            yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for part in dataclasses.fields(value):
            if part.name != "out":
                yield from _folders(getattr(value, part.name))


def _files(folder: Path, out: Path | None) -> Iterator[tuple[str, os.stat_result]]:
    results = None if out is None else out.resolve()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if Path(place, name).resolve() != results)
        for name in sorted(files):
            path = os.path.join(place, name)
            try:
                yield os.path.relpath(path, folder).replace(os.sep, "/"), os.stat(path)
            except OSError:
                continue  # a broken link is no data


def _is_shared(relative: str) -> bool:
    *folders, name = relative.split("/")
    return name.endswith(".json") and (not folders or (len(folders) == 1 and folders[0] in _ANNOTATIONS))
