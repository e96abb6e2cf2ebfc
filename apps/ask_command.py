"""`streamvos ask RUN_DIR question`: answers from the long memory of a run, with what proves them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from apps.console import prints_unicode
from streamvos.answers import Answer, Evidence, clock
from streamvos.errors import InputError
from streamvos.export.run_report import FILE


def add_parser(subparsers: argparse._SubParsersAction, parents: list[argparse.ArgumentParser]) -> None:
    """Add `ask` to the command line."""
    parser = subparsers.add_parser(
        "ask", parents=parents, help="ask about a run", description=__doc__.split(": ", 1)[1]
    )
    parser.set_defaults(run=run)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="folder of one video's results")
    parser.add_argument("question", nargs="+", help="such as: when did the first bicycle appear")
    parser.add_argument("--as-of", type=float, metavar="S", help="answer with what was known at this second")
    parser.add_argument("--json", action="store_true", help="the answer for programs")


def run(args: argparse.Namespace) -> int:
    """Print an answer; an abstention is an answer."""
    from pipelines.answer import ask  # loads torch, which help and wrong usage need not wait for

    answer = ask(find_memory(args.run_dir), " ".join(args.question), args.as_of)
    if args.json:
        plain = not prints_unicode(sys.stdout)
        sys.stdout.write(json.dumps(answer.to_dict(), indent=2, ensure_ascii=plain) + "\n")
    else:
        sys.stdout.write(_text(answer))
    return 0


def find_run(folder: Path) -> Path:
    """The folder of one video's results, given it or a folder with exactly one in it.

    Raises:
        InputError: none, or several; says which.
    """
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is not a folder; expected one that `streamvos run` has made")
    if not (folder / FILE).is_file():
        runs = sorted(path.parent for path in folder.glob(f"*/{FILE}"))
        if not runs:
            raise InputError(f"{str(folder)!r} holds no run (no {FILE}); expected DIR/<video> of `streamvos run`")
        if len(runs) > 1:
            names = ", ".join(str(path) for path in runs)
            raise InputError(f"{str(folder)!r} holds {len(runs)} runs; give one of them: {names}")
        folder = runs[0]
    return folder


def find_memory(folder: Path) -> Path:
    """The memory of a run, see `find_run`; raises `InputError` where it has none."""
    folder = find_run(folder)
    if not (folder / "memory").is_dir():
        raise InputError(f"run {str(folder)!r} has no memory; run it with the remember stage to ask about it")
    return folder / "memory"


def _text(answer: Answer) -> str:
    lines = [answer.text, f"confidence {answer.confidence:.2f} ({answer.outcome.replace('_', ' ')})"]
    lines += [f"  {_proof(evidence)}" for evidence in answer.evidence]
    return "\n".join(lines) + "\n"


def _proof(evidence: Evidence) -> str:
    begin, end = (clock(round(1000 * time_s)) for time_s in (evidence.from_s, evidence.to_s))
    parts = [begin if begin == end else f"{begin} to {end}", f"frame {evidence.frame_index}"]
    if evidence.object_id is not None:
        parts.append(f"object {evidence.object_id}")
    parts.append(evidence.claim)
    if evidence.thumbnail is not None:
        parts.append(str(evidence.thumbnail))
    return " | ".join(parts)
