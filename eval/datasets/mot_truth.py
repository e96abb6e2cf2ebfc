"""gt.txt of MOTChallenge and its kin, in all the forms that are published, read whole before anything runs.

    frame, id, left, top, width, height, flag                        7 values
    frame, id, left, top, width, height, flag, class[, visibility]   MOT16, MOT17, MOT20, DanceTrack: 8 or 9
    frame, id, left, top, width, height, flag, x, y, z               MOT15: 10, the last three of the world, or -1

Boxes with flag 0 do not count. Which other ones do follows from the truth, not from its name: where some class is
another than 1 (pedestrian), the rules of MOT17 apply, by which other classes are left out, and tracks on some of them
(people in vehicles, statues, reflections) are no errors; elsewhere all boxes count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from streamvos.errors import InputError

TruthRules = Literal["MOT15", "MOT17", "MOT20"]
_FEWEST_VALUES, _MOT15_VALUES = 7, 10
_CLASSES = range(1, 14)  # of MOTChallenge
_NO_CLASS = -1
_LARGEST_ID = 10_000_000  # TrackEval makes lists as long as the largest


@dataclass(frozen=True)
class MotTruth:
    """What a gt.txt holds.

    Args:
        lines: in the order of frames, each "frame,id,left,top,width,height,flag,class,1", as every scorer reads it.
        rules: "MOT15" where all boxes count, "MOT17" where boxes have classes.
    """

    lines: tuple[str, ...]
    rules: TruthRules


def read_truth(path: Path, num_frames: int) -> MotTruth:
    """Read a truth; blank lines, spaces, a byte order mark and any order of rows are fine.

    Args:
        path: of gt.txt.
        num_frames: of the sequence.

    Raises:
        InputError: names the line that has too few values, no numbers, a frame after the end, an unknown class, or the
            identity of an earlier one of its frame.
    """
    rows: list[tuple[int, list[str], int]] = []
    seen: set[tuple[int, int]] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        words = [word for word in re.split("[,\\s]+", line) if word]
        if not words:
            continue
        frame, object_id, kind = _checked(f"{path}, line {number}", words, line, num_frames)
        if (frame, object_id) in seen:
            raise InputError(f"{path}, line {number}: frame {frame} has a box of id {object_id} already")
        seen.add((frame, object_id))
        rows.append((frame, words[:_FEWEST_VALUES], kind))
    rows.sort(key=lambda row: row[0])
    has_classes = any(kind not in (1, _NO_CLASS) for _, _, kind in rows)
    if has_classes and any(kind not in _CLASSES for _, _, kind in rows):
        strange = next(kind for _, _, kind in rows if kind not in _CLASSES)
        raise InputError(
            f"{path}: class {strange}; expected MOTChallenge's 1 (pedestrian) to 13 in the eighth value, or 1 or -1 in "
            "all lines"
        )
    lines = tuple(f"{','.join(words)},{kind if has_classes else 1},1" for _, words, kind in rows)
    return MotTruth(lines, "MOT17" if has_classes else "MOT15")


def _checked(where: str, words: list[str], line: str, num_frames: int) -> tuple[int, int, int]:
    """Frame, id and class of a line; class -1 where it has none."""
    try:
        values = [float(word) for word in words]
        is_whole = len(values) >= _FEWEST_VALUES and bool(np.isfinite(values[:8]).all()) and values[0] % 1 == 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise InputError(
            f"{where}: expected frame, id, left, top, width, height, flag (at least {_FEWEST_VALUES} numbers), got "
            f"{line[:80]!r}"
        )
    if not 1 <= values[0] <= num_frames:
        raise InputError(f"{where}: expected a frame from 1 to {num_frames}, got {words[0][:20]}")
    if not 0 <= values[1] <= _LARGEST_ID:
        raise InputError(f"{where}: expected an id from 0 to {_LARGEST_ID}, got {words[1][:20]}")
    kind = int(values[7]) if _FEWEST_VALUES < len(values) < _MOT15_VALUES else _NO_CLASS
    return int(values[0]), int(values[1]), kind
