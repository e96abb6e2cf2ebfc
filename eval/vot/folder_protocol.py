"""The VOT toolkit's folder protocol: a request as files in a folder, the answer as files beside them.

Request: `frames_color.txt` with a picture a line; `query_<id>.txt` for each object, with the frame at which it is given
(from 0), then its region. Answer: `output_<id>.txt` with a region for each frame, `0` before the object is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.datasets.vot_regions import Mask, Region, parse_region, write_trajectory
from streamvos.errors import InputError
from streamvos.foreign_files import read_text


@dataclass(frozen=True)
class Query:
    """An object to follow: the frame at which it is given, and where it is there."""

    frame_index: int
    mask: Mask


def read_request(folder: Path) -> tuple[list[Path], dict[str, Query]]:
    """The pictures, and the objects by id.

    Raises:
        InputError: no pictures, no objects, or an object that is not given by a mask.
    """
    listing = folder / "frames_color.txt"
    if not listing.is_file():
        raise InputError(f"{folder}: expected frames_color.txt; only colour pictures are followed")
    frames = [folder / line for line in read_text(listing, str(listing)).splitlines() if line]
    queries = {path.stem.removeprefix("query_"): _read_query(path) for path in sorted(folder.glob("query_*.txt"))}
    if not frames or not queries:
        raise InputError(f"{folder}: expected frames and queries, got {len(frames)} frames and {len(queries)} queries")
    return frames, queries


def write_answer(folder: Path, answers: Mapping[str, Sequence[Region]]) -> None:
    """Write the regions of each object, one for each frame."""
    for name, regions in answers.items():
        write_trajectory(folder / f"output_{name}.txt", regions)


def _read_query(path: Path) -> Query:
    lines = read_text(path, str(path)).splitlines()
    region = parse_region(lines[1]) if len(lines) > 1 else None
    if not isinstance(region, Mask) or not re.fullmatch("[0-9]{1,18}", lines[0]):
        raise InputError(f"{path}: expected a frame number, then a mask, got {[line[:40] for line in lines[:2]]}")
    return Query(int(lines[0]), region)
