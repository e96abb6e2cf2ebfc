"""`streamvos eval`: the data sets; `davis` is the tracker with the first mask given, beside a copy of that mask."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eval import trajectory_command
from eval.davis import DavisEvaluation, Step, Tracker, copy_first_mask, evaluate, find_sequences
from eval.results import markdown_table, write_results
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.masks import label_map
from streamvos.records import Prompt

RESULTS = Path("eval/results")
_FRAME_S = Fraction(1, 24)  # DAVIS pictures carry no times


def add_parser(subparsers: argparse._SubParsersAction, parents: Sequence[argparse.ArgumentParser] = ()) -> None:
    """Add `eval` to the command line; the parsed arguments carry `run` as `args.run`."""
    parser = subparsers.add_parser("eval", help="evaluate on data sets")
    sets = parser.add_subparsers(dest="dataset", required=True, metavar="davis|trajectory")
    trajectory_command.add_parser(sets, list(parents), RESULTS)
    davis = sets.add_parser(
        "davis", parents=list(parents), help="J&F on DAVIS (2016 and 2017 layout), the first masks given"
    )
    davis.set_defaults(run=run_davis)
    davis.add_argument("root", type=Path, help="folder with JPEGImages/480p and Annotations/480p")
    davis.add_argument("--sequences", nargs="+", metavar="NAME", help="default: all")
    davis.add_argument("--size", type=int, default=384, help="working short side in pixels (default: 384)")
    davis.add_argument("--seed", type=int, default=0)
    davis.add_argument("--out", type=Path, metavar="DIR", help="keep the masks as DIR/SEQUENCE/00000.png")
    davis.add_argument("--baseline", action="store_true", help="also score a copy of the first mask")
    davis.add_argument(
        "--save", nargs="?", type=Path, const=RESULTS, metavar="DIR", help=f"write JSON and table (default: {RESULTS})"
    )
    davis.add_argument("--name", default="davis2016-embedded", help="name of the files that --save writes")


def run_davis(args: argparse.Namespace) -> int:
    """Run the evaluation and print its table; 0 where all went well."""
    if args.out is not None and args.out.exists() and any(args.out.iterdir()):
        raise InputError(f"{args.out} is not empty; official scorers would read stale masks: choose another --out")
    names = args.sequences or [sequence.name for sequence in find_sequences(args.root)]
    tracker = SessionTracker(stages=("segment",), size=args.size, seed=args.seed)
    rows, fps = _score(tracker, args.root, names, args.out, "embedded tracker")
    if args.baseline:
        floor, _ = _score(copy_first_mask, args.root, names, None, "copy of the first mask")
        rows.append({**floor[-1], "sequence": "mean, copy of the first mask", "frames/s": None})
    sys.stdout.write(markdown_table(rows))
    if args.save is not None:
        options = " --baseline" if args.baseline else ""
        meta = {
            "command": f"streamvos eval davis DAVIS_ROOT --size {args.size}{options}",
            "data": f"DAVIS, {len(names)} sequences: {', '.join(names)}",
            "seed": args.seed,
            "fps": fps,
        }
        for path in write_results(args.name, rows, meta, args.save):
            sys.stdout.write(f"{path}\n")
    return 0


class SessionTracker:
    """The segment stage as `eval.davis` asks for a tracker: a fresh session for each sequence.

    Args:
        settings: of `Session`.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._session: Session | None = None

    def __call__(self, image: np.ndarray, labels: np.ndarray) -> Step:
        self.close()
        ids = [int(label) for label in np.unique(labels) if label not in (0, 255)]
        prompts = [Prompt(0, object_id, mask=labels == object_id) for object_id in ids]
        session = self._session = Session(prompts=prompts, discover=False, **self._settings)
        session.step(image, 0.0)

        def step(image: np.ndarray) -> np.ndarray:
            result = session.step(image, float(session.next_index * _FRAME_S))
            return label_map(result.masks).astype(np.uint8)

        return step

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _score(
    tracker: Tracker, root: Path, names: list[str], out: Path | None, title: str
) -> tuple[list[dict[str, Any]], float]:
    """Rows of the table and frames per second; shows progress by sequence."""
    done = []
    with tqdm(names, desc=title, unit="sequence", file=sys.stderr, disable=not sys.stderr.isatty()) as progress:
        for name in progress:
            progress.set_postfix_str(name)
            done += evaluate(tracker, root, [name], out).sequences
    result = DavisEvaluation(tuple(done))
    rows = result.rows()
    return rows, rows[-1]["frames/s"]
