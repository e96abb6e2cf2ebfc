"""`streamvos eval strips`: for each sequence a picture of results and truth, at the worst and at a typical frame."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from eval.datasets.davis import find_sequences, list_sequences
from eval.reporting.results import markdown_table, render
from eval.reporting.strips import strip
from streamvos.errors import InputError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval strips`."""
    add = parser.add_argument
    add("root", type=Path, help="folder with JPEGImages and Annotations, an annotation for each frame")
    add(
        "--results",
        nargs="+",
        required=True,
        metavar="NAME=DIR",
        help="label maps as `eval davis --out DIR` keeps them, a column each; the last one decides which frames are "
        "shown",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the pictures, <sequence>.png")
    add("--resolution", default="480p", metavar="FOLDER", help="(default: %(default)s)")
    add("--year", type=int, choices=(2016, 2017), default=2017, help="2016: all objects count as one (default: 2017)")
    add("--sequences", nargs="+", metavar="NAME", help="default: all")


def run(args: argparse.Namespace) -> int:
    """Write the pictures, print a row for each."""
    results = parse_results(args.results)
    names = list_sequences(args.root, args.sequences, resolution=args.resolution, year=args.year)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in names:
        (sequence,) = find_sequences(args.root, [name], args.resolution, args.year == 2016)
        folders = {label: folder / name for label, folder in results.items()}
        plot, row = strip(sequence, folders, sequence.objects_at_first())
        path = args.out / f"{name}.png"
        path.write_bytes(render(plot))
        logger.info("wrote %s", path)
        rows.append(row)
    sys.stdout.write(markdown_table(rows))
    return 0


def parse_results(words: list[str]) -> dict[str, Path]:
    """Names and folders out of NAME=DIR.

    Raises:
        InputError: a word without name or folder, a name twice, a folder that is not there.
    """
    results: dict[str, Path] = {}
    for word in words:
        name, _, folder = word.partition("=")
        if not name or not folder:
            raise InputError(f"--results: expected NAME=DIR, got {word!r}")
        if name in results:
            raise InputError(f"--results: the name {name!r} is given twice")
        if not Path(folder).is_dir():
            raise InputError(f"--results {name}: {folder} is no folder; make it with `streamvos eval davis --out DIR`")
        results[name] = Path(folder)
    return results
