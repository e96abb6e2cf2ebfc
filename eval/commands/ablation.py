"""`streamvos eval ablation`: a table of variants over data sets of the DAVIS layout, with controls and spread."""

from __future__ import annotations

import argparse
import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.commands.davis import Davis
from eval.datasets.davis import list_sequences
from eval.metrics.returns import ReturnRule
from eval.reporting.ablation_plot import ablation_plot
from eval.reporting.results import Headline
from eval.running.harness import SequenceScores, add_options, graph_config, publish, score_sequences
from eval.running.semi_supervised import tracking_task
from eval.studies.ablation import (
    BASE,
    TABLE,
    AblationTask,
    Runs,
    Variant,
    ablation_rows,
    draws_random,
    own_weights,
    read_variants,
)
from streamvos import config as configuration
from streamvos.errors import InputError, unknown_name

_WHOLE = "all"  # the variant that the headline shows, where it runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval ablation`."""
    add = parser.add_argument
    add("--davis2016", type=Path, metavar="ROOT", action="append", default=[], help="all objects count as one")
    add("--davis2017", type=Path, metavar="ROOT", action="append", default=[], help="the objects of the first frame")
    add(
        "--composed",
        type=Path,
        metavar="ROOT",
        action="append",
        default=[],
        help="as `eval davis --late-objects`: all objects, given where they appear; identities and returns counted",
    )
    add("--visible-px", type=int, default=400, metavar="N", help="of --composed, see `eval davis` (default: 400)")
    add("--given-share", type=float, default=0.5, metavar="S", help="of --composed, likewise (default: 0.5)")
    add("--absence", type=int, default=200, metavar="N", help="of --composed, likewise (default: 200)")
    add(
        "--table",
        type=Path,
        default=TABLE,
        metavar="FILE",
        help="TOML of variants (default: eval/configs/ablation.toml)",
    )
    add("--variants", nargs="+", metavar="NAME", help="of the table, beside the base (default: all)")
    add("--seeds", type=int, default=3, metavar="N", help="seeds, from --seed on, where there is chance (default: 3)")
    add("--first", choices=("mask", "box"), default="mask", help="what is given of each object (default: its mask)")
    add_options(parser, "ablation")


@dataclass(frozen=True)
class _DataSet:
    """A data set with its protocol, the sequences wanted of it, and all that it has."""

    name: str
    benchmark: Davis
    sequences: tuple[str, ...]
    there: tuple[str, ...]


def run(args: argparse.Namespace) -> int:
    """Run all variants on all data sets, print and save."""
    if args.seeds < 1:
        raise InputError(f"--seeds: expected 1 or more, got {args.seeds}")
    if args.baseline:
        raise InputError(f"--baseline: variants are compared with {BASE!r}, which always runs; leave the option out")
    variants, sets = read_variants(args.table, args.variants), _data_sets(args)
    lenders = {data.name: _lender(data, sets, variants) for data in sets}
    rows: list[dict[str, Any]] = []
    everything: list[SequenceScores] = []
    for data in sets:
        own = copy.copy(args)  # each data set keeps its scores in a folder of its own
        own.out = None if args.out is None else args.out / data.name
        runs = [_run_variant(variant, data, lenders[data.name], own) for variant in variants]
        everything += [result for one in runs for results in one.by_seed for result in results]
        rows += ablation_rows(data.name, runs, data.benchmark.late is not None)
    names = [variant.name for variant in variants]
    whole = rows[names.index(_WHOLE) if _WHOLE in names else len(names) - 1]
    return publish(
        args,
        rows,
        everything,
        data="; ".join(f"{data.name}, {len(data.sequences)} sequences: {', '.join(data.sequences)}" for data in sets),
        path_names={data.benchmark.root: data.name.upper() for data in sets} | {args.table: args.table.name},
        headline=Headline(f"J&F, {whole['variant']}, {whole['data']}", whole["J&F"], rows[0]["J&F"], BASE),
        plot=ablation_plot(rows),
        notes=_notes(args, variants),
    )


def _lender(data: _DataSet, sets: Sequence[_DataSet], variants: Sequence[Variant]) -> _DataSet:
    """The data set whose sequences lend their memory in a control: the same, another where it has but one sequence."""
    if len(data.there) > 1:
        return data
    others = [other for other in sets if other is not data]
    if not others and any(variant.control == "other-video" for variant in variants):
        raise InputError(
            f"{data.name} has one sequence, and the memory of another video needs another one: give a second data set, "
            "or choose other variants (--variants)"
        )
    return others[0] if others else data


def _run_variant(variant: Variant, data: _DataSet, lender: _DataSet, args: argparse.Namespace) -> Runs:
    config = configuration.merge(graph_config(args, stages=["segment"]), variant.settings)
    num_seeds = args.seeds if draws_random(config, args.first) else 1
    by_seed = []
    for seed in range(args.seed, args.seed + num_seeds):
        seeded = dataclasses.replace(config, seed=seed)
        task = tracking_task(data.benchmark, seeded, lender.there, args.first, variant.control)
        values = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
        values["lent_by"] = lender.benchmark if task.lenders else None
        title = f"{variant.name} on {data.name}" + f", seed {seed}" * (num_seeds > 1)
        by_seed.append(score_sequences(AblationTask(**values, weights=own_weights()), data.sequences, args, title))
    return Runs(variant, by_seed)


def _data_sets(args: argparse.Namespace) -> list[_DataSet]:
    """All that the options name, with the sequences wanted; raises `InputError` for names that none of them has."""
    late = ReturnRule(args.absence, visible_px=args.visible_px)
    if not 0 <= args.given_share <= 1:
        raise InputError(f"--given-share: expected 0 to 1, got {args.given_share}")
    benchmarks = [
        *(Davis(root, merge=True) for root in args.davis2016),
        *(Davis(root) for root in args.davis2017),
        *(Davis(root, late=late, given_share=args.given_share) for root in args.composed),
    ]
    names = [one.root.resolve().name for one in benchmarks]
    if not names or len(set(names)) < len(names):
        raise InputError(
            "expected at least one of --davis2016, --davis2017, --composed, with folders of different names; "
            f"got {', '.join(names) or 'none'}"
        )
    there = [list_sequences(one.root, year=2016 if one.merge else 2017) for one in benchmarks]
    for name in args.sequences or ():
        if not any(name in sequences for sequences in there):
            raise unknown_name("sequence", name, [name for sequences in there for name in sequences])
    wanted = [tuple(name for name in part if not args.sequences or name in args.sequences) for part in there]
    sets = zip(names, benchmarks, wanted, map(tuple, there), strict=True)
    return [_DataSet(*one) for one in sets if one[2]]


def _notes(args: argparse.Namespace, variants: Sequence[Variant]) -> dict[str, Any]:
    rule = (
        f"given from {args.visible_px} pixels and {args.given_share} of the median area on, away for {args.absence} "
        f"frames, back from {ReturnRule.back_share} of what was given on"
    )
    return {
        "given": f"the {args.first} of each object" + (f"; of composed sets {rule}" if args.composed else ""),
        "±": "standard errors over objects; of a gain, over the objects' differences to the base",
        "variants": {one.name: _settings_line(one) for one in variants},
        "weights": own_weights(),
    }


def _settings_line(variant: Variant) -> str:
    """All settings of a variant in one line."""
    parts = [f"{name}={value}" for name, value in _flat(variant.settings)]
    return " ".join(parts + [f"control={variant.control}"] * (variant.control != "none"))


def _flat(settings: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{where}{name}.")
        else:
            yield f"{where}{name}", value
