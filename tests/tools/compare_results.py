"""Whether two folders hold the same results: `python tests/tools/compare_results.py BEFORE AFTER`.

Masks, tracks, boxes, paths and maps are compared byte by byte wherever they lie below the folders, answers
(`answers.jsonl`, one `streamvos ask --json` after the other) without the places of their pictures. What tells how a run
went (run.json, events, timings) and what is drawn from the results is left out. Exit status 1 where they differ.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_EXACT = ("tracks.json", "boxes.txt", "trajectory.txt", "scene.ply")
_ANSWERS = "answers.jsonl"
_SHOWN = 20


def compare(before: Path, after: Path) -> list[str]:
    """One line for each result that only one of the folders holds, or that differs; none where all are the same.

    Raises:
        ValueError: there are no results to compare.
    """
    ours, theirs = _results(before), _results(after)
    if not ours:
        raise ValueError(f"{before}: expected results (masks, tracks.json, …) below this folder, found none")
    told = [f"only in {before}: {name}" for name in sorted(set(ours) - set(theirs))]
    told += [f"only in {after}: {name}" for name in sorted(set(theirs) - set(ours))]
    for name in sorted(set(ours) & set(theirs)):
        if name.endswith(_ANSWERS):
            one, other = list(_answers(ours[name])), list(_answers(theirs[name]))
            pairs = enumerate(zip(one, other, strict=False))
            told += [f"differs: {name}, answer {row}" for row, (first, second) in pairs if first != second]
            told += [f"differs: {name}, {len(one)} and {len(other)} answers"] if len(one) != len(other) else []
        elif ours[name].read_bytes() != theirs[name].read_bytes():
            told.append(f"differs: {name}")
    return told


def _results(folder: Path) -> dict[str, Path]:
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        is_mask = path.suffix == ".png" and path.name != "timeline.png" and "keyframes" not in path.parts
        if path.is_file() and (path.name in (*_EXACT, _ANSWERS) or is_mask):
            found[name] = path
    return found


def _answers(path: Path) -> Iterator[Any]:
    """Each answer of a file of JSON objects, one after the other; what is not JSON is an answer as a text."""
    text, decoder = path.read_text(encoding="utf-8").strip(), json.JSONDecoder()
    while text:
        try:
            answer, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            answer, end = text.splitlines()[0], len(text.splitlines()[0])
        text = text[end:].lstrip()
        yield _without_places(answer)


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(one) for key, one in value.items() if key != "thumbnail"}
    return [_without_places(one) for one in value] if isinstance(value, list) else value


def main(arguments: list[str]) -> int:
    """Print what differs."""
    if len(arguments) != 2:
        sys.stderr.write(f"{__doc__.splitlines()[0]}\n")
        return 2
    before, after = map(Path, arguments)
    told = compare(before, after)
    for line in told[:_SHOWN]:
        sys.stdout.write(line + "\n")
    count = len(_results(before))
    sys.stdout.write(f"{count} results, " + (f"{len(told)} differences\n" if told else "all the same\n"))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
