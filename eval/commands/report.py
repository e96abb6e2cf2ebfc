"""`streamvos eval report`: the headline of every saved result in one table, put into a page between two markers."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from eval.reporting.results import markdown_table
from eval.running.harness import RESULTS
from streamvos.errors import InputError

BEGIN = "<!-- results: written by `streamvos eval report` -->"
END = "<!-- end of results -->"

_MAX_OTHER_WORK_CORES = 0.5  # more work of others beside a measurement, and its speed is left out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval report`."""
    add = parser.add_argument
    add("--results", type=Path, default=RESULTS, metavar="DIR", help="saved results (default: %(default)s)")
    add("--page", type=Path, metavar="FILE", help="page whose table between the markers is replaced")


def run(args: argparse.Namespace) -> int:
    """Print the table; with --page also put it there."""
    table = markdown_table(report_rows(args.results, args.page))
    sys.stdout.write(table)
    if args.page is not None:
        replace_table(args.page, table)
    return 0


def report_rows(results: Path, page: Path | None = None) -> list[dict[str, Any]]:
    """One row for each result with a headline, in order of name; names link to the page beside the JSON.

    Raises:
        InputError: no such result, or one that cannot be read.
    """
    base = results if page is None else Path(os.path.relpath(results.resolve(), page.resolve().parent))
    documents = {path: _read(path) for path in sorted(results.glob("*.json"))}
    rows = [
        _row(document, (base / path.name).with_suffix(".md"))
        for path, document in documents.items()
        if "headline" in document
    ]
    if not rows:
        raise InputError(f"{results} holds no result with a headline; make some with `streamvos eval … --save`")
    return rows


def replace_table(page: Path, table: str) -> None:
    """Replace what stands between the markers.

    Raises:
        InputError: the file has not both markers.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--page {page} cannot be read ({error})") from None
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f"{page}: expected the lines {BEGIN!r} and {END!r}, each once, in this order")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    part = page.with_name(page.name + ".part")
    part.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", encoding="utf-8")
    part.replace(page)


def _row(document: dict[str, Any], page: Path) -> dict[str, Any]:
    headline, meta = document["headline"], document["meta"]
    baseline = None
    if headline["baseline"] is not None:
        baseline = f"{headline['baseline']} ({headline['baseline_name']})"
    return {
        "evaluation": f"[{document['name']}]({page.as_posix()})",
        "measure": headline["measure"],
        "StreamVOS": headline["value"],
        "baseline": baseline,
        "frames/s": None if _was_busy(meta) else meta["fps"],
        "command": f"`{meta['command']}`",
    }


def _was_busy(meta: dict[str, Any]) -> bool:
    """Whether other work ran beside the measurement, so that its speed says little.

    Where it was not watched, the machine's load tells; that counts our own processes, too, which take all cores.
    """
    watched = meta.get("other_work_cores")
    if watched is not None:
        return watched > _MAX_OTHER_WORK_CORES
    machine = meta.get("machine", {})
    return (machine.get("load") or 0.0) > machine.get("cores", 1) + 1.0


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        _check(document, "name", "meta")
        _check(document["meta"], "fps", "command")
        if "headline" in document:
            _check(document["headline"], "measure", "value", "baseline", "baseline_name")
    except ValueError as error:
        raise InputError(f"{path}: expected a result that --save wrote ({error}); make it again or remove it") from None
    return document


def _check(part: Any, *keys: str) -> None:
    missing = [key for key in keys if not isinstance(part, dict) or key not in part]
    if missing:
        raise ValueError(f"without {', '.join(missing)}")
