"""Variants of the graph side by side on the same sequences: what each part brings, and how sure that is.

Each variant is compared with the base object by object, so that the spread of a gain does not hold the (much larger)
difference between easy and hard objects. Where a variant draws random numbers it is run with several seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eval.running.controls import CONTROLS, Control
from eval.running.harness import SequenceScores, frames_per_second
from eval.running.jf_table import identity_columns
from eval.running.semi_supervised import SemiSupervisedTask
from pipelines.graph.build import GraphConfig
from streamvos import config as configuration
from streamvos.config import read_settings
from streamvos.errors import InputError, unknown_name
from streamvos.models.catalogue import list_entries, sha256_of

TABLE = Path(__file__).parents[1] / "configs" / "ablation.toml"
BASE = "base"  # the variant that all others are compared with
_FIELDS = ("title", "extends", "control", "settings")


@dataclass(frozen=True)
class Variant:
    """A named way to run the graph.

    Args:
        name, title: short, and for people.
        settings: nested, to be laid over a `GraphConfig`.
        control: of the key-frame memory.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    control: Control = "none"


@dataclass(frozen=True)
class Runs:
    """The results of a variant: of each seed, all sequences in the same order."""

    variant: Variant
    by_seed: Sequence[Sequence[SequenceScores]]


@dataclass(frozen=True)
class AblationTask(SemiSupervisedTask):
    """As there, with what else must be the same when kept scores are taken up again.

    Args:
        weights: checksums of the weights trained here.
    """

    weights: str = ""


def read_variants(path: Path, names: Sequence[str] | None = None) -> list[Variant]:
    """The variants of a TOML file such as `eval/configs/ablation.toml`, in its order.

    Args:
        path: of the file.
        names: those wanted, with the base whatever is wanted; None for all.

    Raises:
        InputError: unknown names or fields, a table without a base, or one that extends a variant below it.
    """
    table, variants = read_settings(path), {}
    for name, entry in table.items():
        if not isinstance(entry, Mapping):
            raise InputError(f"{path}: expected a table for each variant, got {name} = {entry!r}")
        for field in entry:
            if field not in _FIELDS:
                raise unknown_name(f"field of variant {name}", field, _FIELDS)
        parent = entry.get("extends")
        if parent is not None and parent not in variants:
            raise unknown_name(f"variant above {name}", str(parent), variants)
        control = entry.get("control", "none")
        if control not in CONTROLS:
            raise unknown_name(f"control of variant {name}", str(control), CONTROLS)
        settings = _laid_over(variants[parent].settings if parent else {}, entry.get("settings", {}))
        configuration.merge(GraphConfig(), settings)  # what is wrong with them shows before the work
        variants[name] = Variant(name, str(entry.get("title", name)), settings, control)
    if next(iter(variants), None) != BASE:
        raise InputError(f"{path}: expected {BASE!r}, which the others are compared with, as the first variant")
    for name in names or ():
        if name not in variants:
            raise unknown_name("variant", name, variants)
    return [one for name, one in variants.items() if not names or name in names or name == BASE]


def draws_random(config: GraphConfig, first: Literal["mask", "box"]) -> bool:
    """Whether the segment stage draws random numbers: of its parts GrabCut does, and nothing else."""
    segment = config.segment
    return segment.refiner == "grabcut" or (first == "box" and segment.first_masks == "grabcut")


def own_weights() -> str:
    """Names and checksums of the weights that are trained here and can change under kept scores."""
    there = [one for one in list_entries() if one.entry.kind == "ours" and one.path is not None]
    return ", ".join(f"{one.entry.name} {sha256_of(one.path)[:12]}" for one in there)


def ablation_rows(data: str, runs: Sequence[Runs], with_identities: bool) -> list[dict[str, Any]]:
    """A row for each variant on one data set.

    Args:
        data: its name.
        runs: of all variants, the base first, over the same sequences.
        with_identities: whether identities and returns were counted.
    """
    base = _by_object(runs[0])
    return [_row(data, one, base, with_identities) for one in runs]


def _row(data: str, runs: Runs, base: Mapping[tuple[str, int], float], with_identities: bool) -> dict[str, Any]:
    scores, flat = _by_object(runs), [result for results in runs.by_seed for result in results]
    gains = np.array([scores[key] - base[key] for key in scores])
    means = [np.mean(list(_by_object(dataclasses.replace(runs, by_seed=[one])).values())) for one in runs.by_seed]
    several = len(runs.by_seed) > 1
    is_base = runs.variant.name == BASE
    counted = identity_columns(flat) if with_identities else {}
    peaks = [one.scores["key_frame_bytes"] for one in flat]
    return {
        "data": data,
        "variant": runs.variant.title,
        "objects": len(scores),
        "J&F": round(float(np.mean(means)), 2),
        "±": _standard_error(np.array(list(scores.values()))),
        "gain": None if is_base else round(float(gains.mean()), 2),
        "± gain": None if is_base else _standard_error(gains),
        "seeds": len(runs.by_seed),
        "± seeds": round(float(np.std(means, ddof=1)), 2) if several else None,
        "id switches": _per_seed(counted.get("id switches"), runs),
        "returns": _per_seed(counted.get("returns"), runs),
        "found": counted.get("found"),
        "wrong": counted.get("wrong"),
        "found, any px": counted.get("found, any px"),
        "wrong, any px": counted.get("wrong, any px"),
        "frames/s": frames_per_second(flat),
        "key frames, MiB": round(max(peaks) / 2**20, 2),
    }


def _by_object(runs: Runs) -> dict[tuple[str, int], float]:
    """J&F in percent of each object of each sequence, the mean over seeds."""
    values: dict[tuple[str, int], list[float]] = {}
    for results in runs.by_seed:
        for one in results:
            parts = one.scores["by_object"]
            for object_id, region, boundary in zip(
                one.scores["object_ids"], parts["J mean"], parts["F mean"], strict=True
            ):
                values.setdefault((one.name, object_id), []).append((region + boundary) / 2)
    return {key: float(np.mean(seeds)) for key, seeds in values.items()}


def _standard_error(values: np.ndarray) -> float | None:
    """Of a mean over objects; None for a single one."""
    return round(float(values.std(ddof=1) / np.sqrt(len(values))), 2) if len(values) > 1 else None


def _per_seed(count: int | None, runs: Runs) -> float | None:
    return None if count is None else round(count / len(runs.by_seed), 1)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings, those above over those below."""
    merged = dict(below)
    for name, value in above.items():
        lower = merged.get(name)
        nested = isinstance(value, Mapping) and isinstance(lower, Mapping)
        merged[name] = _laid_over(lower, value) if nested else value
    return merged
