"""Feed damaged input to every parser that reads what a user or a stranger gives; count errors that nobody explains.

    python -m tests.tools.fuzz --seed 1 --minutes 30 --keep faults
    python -m tests.tools.fuzz --seed 1 --minutes 1 --only masks questions
    python -m tests.tools.fuzz --replay faults/masks-1-217.zip

Each parser is fed in a process of its own, whose memory is limited. An input gives a result or an `InputError`, one
clear line; any other error, a process that ends, and an input that takes more than `--hang-s` of CPU time are faults.
The same seed gives the same inputs. Exit status 1 where there is a fault. Linux alone: it looks into /proc.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before NumPy: threads do not outlive a fork
    os.environ.setdefault(_name, "1")

from tests.tools.fuzz.keep import keep, load  # noqa: E402
from tests.tools.fuzz.target import Target, make_case  # noqa: E402
from tests.tools.fuzz.watch import Limits, Tally, fuzz, table  # noqa: E402
from tests.tools.fuzz.worker import read_one  # noqa: E402

_KEPT = 3  # inputs of each place


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    from tests.tools.fuzz.targets import TARGETS  # imports what is fuzzed, which help need not wait for

    if args.replay is not None:
        return _replay(args.replay, TARGETS)
    names = args.only or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        sys.stderr.write(f"unknown target {unknown[0]!r} (valid: {', '.join(TARGETS)})\n")
        return 2
    limits = Limits(60 * args.minutes / len(names), args.inputs, args.hang_s, round(args.memory_gib * 2**30))
    return run([TARGETS[name] for name in names], args.seed, limits, args.keep)


def run(targets: Sequence[Target], seed: int, limits: Limits, folder: Path | None = None) -> int:
    """Fuzz targets one after another, tell their faults and the summary; returns the exit status."""
    tallies: list[Tally] = []
    try:
        for target in targets:
            tallies.append(fuzz(target, seed, limits, _progress))
            sys.stderr.write("\r\x1b[K")
            _tell(target, tallies[-1], seed, folder)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
    sys.stdout.write(table(tallies))
    return 1 if any(one.num_wrong for one in tallies) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of all random choices (%(default)s)")
    add("--minutes", type=float, default=10.0, help="in all; each target has the same share (%(default)s)")
    add("--inputs", type=int, default=10**9, metavar="N", help="at most so many of each target")
    add("--only", nargs="+", metavar="NAME", help="these targets (default: all)")
    add("--keep", type=Path, metavar="DIR", help="write inputs that are read wrongly there")
    add("--replay", type=Path, metavar="FILE", help="read one of those again, in this process")
    add("--hang-s", type=float, default=10.0, metavar="S", help="CPU time of one input (%(default)s)")
    add("--memory-gib", type=float, default=4.0, metavar="G", help="of the process that reads (%(default)s)")
    return parser


def _tell(target: Target, tally: Tally, seed: int, folder: Path | None) -> None:
    for place, outcomes in tally.faults.items():
        sys.stdout.write(f"{target.name}: {len(outcomes)} times {place}\n")
        for outcome in outcomes[:_KEPT]:
            sys.stdout.write(f"  seed {seed}, input {outcome.index}")
            if folder is not None:
                case = make_case(target, tally.corpus, seed, outcome.index)
                sys.stdout.write(f", kept as {keep(folder, target.name, seed, outcome.index, case)}")
            sys.stdout.write("\n")
        sys.stdout.write("".join(f"    {line}\n" for line in outcomes[0].text.splitlines()[-12:]))


def _progress(tally: Tally) -> None:
    if tally.num_inputs % 20 == 0 and sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{tally.name}: {tally.num_inputs} inputs, {tally.num_wrong} wrong")


def _replay(path: Path, targets: dict[str, Target]) -> int:
    name, case = load(path)
    with tempfile.TemporaryDirectory() as scratch:
        outcome = read_one(targets[name], case, 0, False, Path(scratch))
    sys.stdout.write(f"{name}: {outcome.kind} {outcome.place}\n{outcome.text}")
    return 1 if outcome.kind == "fault" else 0


if __name__ == "__main__":
    sys.exit(main())
