"""J&F of DAVIS as scores that are kept and as rows of a table, for all evaluations that report it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from eval.metrics.davis import MEASURES, SequenceScore
from eval.running.harness import SequenceScores, frames_per_second
from eval.running.semi_supervised import curve_of

# More columns of a row, from the results that it sums up.
Columns = Callable[[Sequence[SequenceScores]], Mapping[str, Any]]


def jf_scores(score: SequenceScore) -> dict[str, Any]:
    """What is kept of a sequence: statistics of each object, and J and F of each frame."""
    return {
        "object_ids": list(score.object_ids),
        "by_object": score.percents(),
        "curve": curve_of(score.region, score.boundary),
        "by_frame": {"J": _rounded(score.region), "F": _rounded(score.boundary)},
    }


def jf_rows(results: Sequence[SequenceScores], more: Columns | None = None) -> list[dict[str, Any]]:
    """Each sequence, each object where a sequence has several, and the mean."""
    rows = []
    for one in results:
        rows.append(jf_row(one.name, [one], more))
        ids = one.scores["object_ids"]
        if len(ids) > 1:
            rows += [{**jf_row(f"{one.name}, object {key}", [_only(one, key)], more), "frames/s": None} for key in ids]
    return [*rows, jf_row("mean", results, more)]


def jf_row(name: str, results: Sequence[SequenceScores], more: Columns | None = None) -> dict[str, Any]:
    """Means over objects, as the toolkit reports them, in percent."""
    by_object = [one.scores["by_object"] for one in results]
    means = {measure: float(np.concatenate([part[measure] for part in by_object]).mean()) for measure in MEASURES}
    return {
        "sequence": name,
        "frames": sum(one.num_frames for one in results),
        "objects": sum(len(one.scores["object_ids"]) for one in results),
        "J&F": round((means["J mean"] + means["F mean"]) / 2, 2),
        **{measure: round(value, 2) for measure, value in means.items()},
        **({} if more is None else more(results)),
        "frames/s": frames_per_second(results),
    }


def identity_columns(results: Sequence[SequenceScores]) -> dict[str, Any]:
    """Counts over all objects: shares in percent, None where there is nothing to share."""
    objects = [counted for one in results for counted in one.scores["identities"].values()]
    outcomes, outcomes_any = (
        [back["outcome"] for counted in objects for back in counted[name]] for name in ("returns", "returns_any")
    )

    def percent(part: int, whole: int) -> float | None:
        return round(100 * part / whole, 2) if whole else None

    def total(name: str) -> int:
        return sum(counted[name] for counted in objects)

    return {
        "id switches": total("switches"),
        "wrong id": percent(total("wrong_id_frames"), total("visible_frames")),
        "imagined": percent(total("imagined_frames"), total("absent_frames")),
        "returns": len(outcomes),
        "found": percent(outcomes.count("found"), len(outcomes)),
        "wrong": percent(outcomes.count("wrong"), len(outcomes)),
        "found, any px": percent(outcomes_any.count("found"), len(outcomes_any)),
        "wrong, any px": percent(outcomes_any.count("wrong"), len(outcomes_any)),
    }


def _only(result: SequenceScores, object_id: int) -> SequenceScores:
    """The scores of one object."""
    place, key = result.scores["object_ids"].index(object_id), str(object_id)
    scores: dict[str, Any] = {
        "object_ids": [object_id],
        "by_object": {measure: [values[place]] for measure, values in result.scores["by_object"].items()},
    }
    if "identities" in result.scores:
        scores["identities"] = {key: result.scores["identities"][key]}
    return SequenceScores(result.name, result.num_frames, result.seconds, scores)


def _rounded(values: np.ndarray) -> list[list[float | None]]:
    """Frames of each object; None where it is not scored."""
    return [[None if np.isnan(value) else round(float(value), 4) for value in row] for row in values]
