"""What `streamvos eval trajectory` shows: the rows of its table, and the paths with their errors as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from eval.metrics.trajectory import Aligned, constant_velocity_baseline, identity_baseline
from eval.reporting.results import Headline, Plot
from eval.running.harness import SequenceScores, frames_per_second
from streamvos.export.trajectory import Trajectory

Input = Literal["rgbd", "rgb"]
TITLES: Mapping[Input, str] = {"rgbd": "colour and depth", "rgb": "colour alone"}
BASELINES = {"the camera rests": identity_baseline, "constant velocity": constant_velocity_baseline}
_ALIGNMENTS = {False: "SE(3)", True: "Sim(3)"}
_MAX_PLOTTED = 4  # sequences in the picture
_MAX_POINTS = 600  # of a path in the picture


def rows_of(results: Mapping[Input, Sequence[SequenceScores]], with_baseline: bool) -> list[dict[str, Any]]:
    """The table: each sequence and the means, for each kind of input, then the baselines."""
    rows = []
    for kind, part in results.items():
        rows += [row_of(one.name, TITLES[kind], one.scores, frames_per_second([one])) for one in part]
        if len(part) > 1:
            rows.append(_mean_row(TITLES[kind], rows[-len(part) :], frames_per_second(part)))
    if with_baseline:
        rows += baseline_rows(next(iter(results.values())))
    return rows


def row_of(name: str, title: str, scores: Mapping[str, Any], fps: float | None) -> dict[str, Any]:
    """One row: `scores` as `eval.commands.trajectory.compare` makes them."""
    errors = scores["errors"]
    return {
        "sequence": name,
        "input": title,
        "aligned by": _ALIGNMENTS[scores["with_scale"]],
        "frames": scores["num_true"],
        "with a pose, %": round(100 * scores["num_posed"] / max(scores["num_true"], 1), 1),
        "maps": scores["num_maps"],
        "compared, %": round(100 * (errors["coverage"] if errors else 0), 1),
        **_columns(errors),
        "frames/s": fps,
    }


def _columns(errors: Mapping[str, float | None] | None) -> dict[str, float | None]:
    def scaled(name: str, factor: float, digits: int) -> float | None:
        value = errors[name] if errors else None
        return None if value is None else round(factor * value, digits)

    return {
        "ATE, cm": scaled("ate_rmse_m", 100, 2),
        "RPE, mm": scaled("rpe_translation_rmse_m", 1000, 2),
        "RPE, degrees": scaled("rpe_rotation_rmse_deg", 1, 3),
    }


def baseline_rows(results: Sequence[SequenceScores]) -> list[dict[str, Any]]:
    """Rows of the baselines, for each sequence and in the mean."""
    rows = []
    for name in BASELINES:
        part = []
        for one in results:
            errors, frames = one.scores["baselines"][name], one.scores["num_true"]
            scores = {"errors": errors, "num_true": frames, "num_posed": frames, "num_maps": 1, "with_scale": False}
            part.append(row_of(one.name, f"baseline: {name}", scores, None))
        rows += [*part, _mean_row(f"baseline: {name}", part, None)] if len(part) > 1 else part
    return rows


def _mean_row(title: str, rows: Sequence[Mapping[str, Any]], fps: float | None) -> dict[str, Any]:
    """Means over sequences; of errors over those that have one, so "compared" must be read beside them."""
    row = {**rows[0], "sequence": "mean", "input": title, "frames": sum(one["frames"] for one in rows)}
    for column in ("with a pose, %", "maps", "compared, %", "ATE, cm", "RPE, mm", "RPE, degrees"):
        values = [one[column] for one in rows if one[column] is not None]
        row[column] = round(float(np.mean(values)), 3 if column == "RPE, degrees" else 2) if values else None
    return {**row, "frames/s": fps}


def headline_of(results: Mapping[Input, Sequence[SequenceScores]], with_baseline: bool) -> Headline | None:
    """Mean ATE of the first kind of input, with the share of frames it speaks of; None where no sequence has one."""
    kind, part = next(iter(results.items()))
    found = [one.scores["errors"]["ate_rmse_m"] for one in part if one.scores["errors"]]
    if not found:
        return None
    num_true = sum(one.scores["num_true"] for one in part)
    num_compared = sum(one.scores["errors"]["num_poses"] for one in part if one.scores["errors"])
    baseline = [one.scores["baselines"]["the camera rests"]["ate_rmse_m"] for one in part] if with_baseline else []
    return Headline(
        f"ATE from {TITLES[kind]}, cm, over {100 * num_compared / num_true:.0f}% of the frames",
        round(100 * float(np.mean(found)), 2),
        round(100 * float(np.mean(baseline)), 2) if baseline else None,
        "the camera rests",
    )


def paths_of(aligned: Aligned, truth: Trajectory) -> dict[str, Any]:
    """What the picture needs, thinned out: both paths seen along the direction in which the true one varies least."""
    xyz = truth.world_from_camera[:, :3, 3]
    _, _, axes = np.linalg.svd(xyz - xyz.mean(axis=0), full_matrices=False)

    def seen(points: np.ndarray, keep: np.ndarray) -> list[list[float]]:
        return np.round((points - xyz.mean(axis=0))[keep] @ axes[:2].T, 4).tolist()

    rows, true_rows = _thinned(len(aligned.times_s)), _thinned(len(xyz))
    return {
        "times_s": np.round(aligned.times_s[rows], 4).tolist(),
        "errors_m": np.round(aligned.errors_m[rows], 5).tolist(),
        "estimate": seen(aligned.have_xyz, rows),
        "truth": seen(xyz, true_rows),
    }


def _thinned(count: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, _MAX_POINTS)).astype(np.int64)


def plot_of(results: Sequence[SequenceScores]) -> Plot:
    """The paths seen from above, and the position error over time, of the first sequences."""
    drawn = [one for one in results if one.scores["paths"]][:_MAX_PLOTTED]

    def draw(figure: Figure) -> None:
        if not drawn:
            figure.text(0.5, 0.5, "no poses to draw", ha="center")
            return
        figure.set_size_inches(max(4.0 * len(drawn), 6), 6)
        axes = figure.subplots(2, len(drawn), squeeze=False, height_ratios=(2, 1))
        for column, one in enumerate(drawn):
            above, below = axes[:, column]
            paths = one.scores["paths"]
            above.plot(*np.array(paths["truth"]).T, color="0.6", label="true")
            above.plot(*np.array(paths["estimate"]).T, color="C0", linewidth=1, label="estimated")
            above.set_aspect("equal", adjustable="datalim")
            above.set(title=one.name, xlabel="m", ylabel="m")
            below.plot(paths["times_s"], 100 * np.array(paths["errors_m"]), color="C3", linewidth=1)
            below.set(xlabel="s", ylabel="position error, cm", ylim=(0, None))
        axes[0, 0].legend(frameon=False, fontsize=8)

    return draw
