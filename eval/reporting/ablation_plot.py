"""Ablations as a picture: what each variant gains over the base, with its spread, and what became of returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.reporting.results import Plot

_COLOUR = "tab:blue"
_OUTCOMES = {"found": "tab:green", "missed": "0.85", "wrong": "tab:red"}


def ablation_plot(rows: Sequence[Mapping[str, Any]]) -> Plot:
    """Bars of the rows of `eval.studies.ablation`: one panel for each data set, one more where it has returns.

    The first row of a data set is the base. Bars begin at the base, so that their lengths are gains; whiskers are
    standard errors of the gains over objects, which is what a comparison of two bars is about.
    """
    names = list(dict.fromkeys(row["data"] for row in rows))
    panels = []
    for name in names:
        part = [row for row in rows if row["data"] == name]
        panels.append((_gains, name, part))
        if any(row["returns"] for row in part):
            panels.append((_returns, name, part))

    def draw(figure: Figure) -> None:
        tall = max(len(part) for _, _, part in panels)
        figure.set_size_inches(1.8 + 3.6 * len(panels), 0.34 * tall + 1.2)
        for column, (axes, (paint, name, part)) in enumerate(
            zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True)
        ):
            paint(axes, name, part)
            titles = [row["variant"] for row in part]
            axes.set_yticks(range(len(part)), titles if column == 0 else [""] * len(part), fontsize=8)
            axes.invert_yaxis()
            axes.spines[["top", "right"]].set_visible(False)

    return draw


def _gains(axes: Axes, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    gains = [row["gain"] or 0.0 for row in rows]
    spread = [row["± gain"] or 0.0 for row in rows]
    axes.barh(range(len(rows)), gains, 0.65, xerr=spread, color=_COLOUR, error_kw={"elinewidth": 1, "capsize": 2})
    axes.axvline(0, color="0.3", linewidth=0.8)
    low = min(gain - wide for gain, wide in zip(gains, spread, strict=True))
    high = max(gain + wide for gain, wide in zip(gains, spread, strict=True))
    room = max(1.0, high - low)
    axes.set_xlim(low - 0.05 * room, high + 0.3 * room)
    for place, (row, gain, wide) in enumerate(zip(rows, gains, spread, strict=True)):
        axes.text(max(0.0, gain + wide) + 0.02 * room, place, f"{row['J&F']:.1f}", va="center", fontsize=7)
    axes.set_title(f"{name}: J&F", fontsize=9)
    axes.set_xlabel(f"points above the base's {rows[0]['J&F']:.1f}", fontsize=8)


def _returns(axes: Axes, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    start = [0.0] * len(rows)
    for outcome, colour in _OUTCOMES.items():
        widths = [_share(row, outcome) for row in rows]
        axes.barh(range(len(rows)), widths, 0.65, left=start, color=colour, label=outcome)
        for place, (width, begin) in enumerate(zip(widths, start, strict=True)):
            if width >= 8:
                axes.text(begin + width / 2, place, f"{width:.0f}", ha="center", va="center", fontsize=7)
        start = [begin + width for begin, width in zip(start, widths, strict=True)]
    axes.set_xlim(0, 100)
    axes.set_title(f"{name}: {rows[0]['returns']:g} returns", fontsize=9)
    axes.set_xlabel("percent: found (green), missed, wrong (red)", fontsize=8)


def _share(row: Mapping[str, Any], outcome: str) -> float:
    found, wrong = row["found"] or 0.0, row["wrong"] or 0.0
    return {"found": found, "wrong": wrong, "missed": 100.0 - found - wrong}[outcome]
