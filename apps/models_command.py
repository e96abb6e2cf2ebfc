"""`streamvos models list | fetch | verify`: which weights there are, are here, are right."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from streamvos.errors import IntegrityError, MissingWeightsError, unknown_name
from streamvos.models.catalogue import ENTRIES, Listing, fetch, list_entries, verify


def add_parser(subparsers: argparse._SubParsersAction, parents: Sequence[argparse.ArgumentParser] = ()) -> None:
    """Add `models` to the command line; the parsed arguments carry `run` as `args.run`."""
    parser = subparsers.add_parser("models", help="list, fetch and verify weights")
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|fetch|verify")
    actions.add_parser("list", parents=parents, help="all weights, which are on this machine, size and licence")
    fetching = actions.add_parser(
        "fetch", parents=parents, help="download weights from their hub into the cache and check them"
    )
    fetching.add_argument("names", nargs="+", metavar="NAME", help="a name from `streamvos models list`")
    verifying = actions.add_parser("verify", parents=parents, help="read weights and compare their sha256")
    verifying.add_argument("names", nargs="*", metavar="NAME", help="default: all that are on this machine")


def run(args: argparse.Namespace) -> int:
    """Run one action; 0 where all went well, 1 where some weights are missing, unreachable or damaged.

    Raises:
        InputError: unknown name.
    """
    if args.action == "list":
        _out(_table(list_entries()))
        return 0
    for name in args.names:
        if name not in ENTRIES:
            raise unknown_name("weights", name, ENTRIES)
    names = args.names or [listing.entry.name for listing in list_entries() if listing.path]
    results = [_report(args.action, name) for name in names]
    return 0 if all(results) else 1


def _report(action: str, name: str) -> bool:
    try:
        if action == "fetch":
            fetch(name)
        found = verify(name)
    except (MissingWeightsError, IntegrityError) as error:
        sys.stderr.write(f"error: {error}\n")
        return False
    _out(f"{name}: ok, sha256 {found.sha256} (checked against: {found.against}), {found.path}")
    return True


def _table(listings: list[Listing]) -> str:
    rows = [("NAME", "KIND", "HERE", "SIZE", "LICENCE", "GET IT WITH")]
    for listing in listings:
        entry, here = listing.entry, listing.path is not None
        install = "–" if here else entry.install
        rows.append((entry.name, entry.kind, "yes" if here else "no", _size(listing), entry.licence, install))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _size(listing: Listing) -> str:
    return f"{listing.bytes / 1e6:.1f} MB" if listing.bytes else "unknown"


def _out(text: str) -> None:
    sys.stdout.write(text + "\n")
