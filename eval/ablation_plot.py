"""Ablations as a picture: J&F of each variant with its spread, and what became of returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.results import Plot

_BASE_COLOUR, _COLOUR = "0.6", "tab:blue"
_OUTCOMES = {"found": "tab:green", "missed": "0.85", "wrong": "tab:red"}


def ablation_plot(rows: Sequence[Mapping[str, Any]]) -> Plot:
    """Bars of the rows of `eval.ablation.ablation_rows`, a column of panels for each data set.

    The first row of a data set is the base. Whiskers of J&F are standard errors of the gain over the base, object by
    object, which is what a comparison of two bars is about; the base has none.
    """
    names = list(dict.fromkeys(row["data"] for row in rows))
    parts = [[row for row in rows if row["data"] == name] for name in names]
    with_returns = [any(row["returns"] for row in part) for part in parts]

    def draw(figure: Figure) -> None:
        tall = max(map(len, parts))
        figure.set_size_inches(1.8 + 4.2 * len(parts), (0.34 * tall + 1.1) * (1 + any(with_returns)))
        grid = figure.subplots(1 + any(with_returns), len(parts), squeeze=False)
        for column, (name, part) in enumerate(zip(names, parts, strict=True)):
            _quality(grid[0][column], name, part, is_first=column == 0)
            if not any(with_returns):
                continue
            if with_returns[column]:
                _returns(grid[1][column], part, is_first=column == with_returns.index(True))
            else:
                grid[1][column].set_axis_off()

    return draw


def _quality(axes: Axes, name: str, rows: Sequence[Mapping[str, Any]], is_first: bool) -> None:
    values = [row["J&F"] for row in rows]
    spread = [row["± gain"] or 0.0 for row in rows]
    colours = [_BASE_COLOUR] + [_COLOUR] * (len(rows) - 1)
    axes.barh(range(len(rows)), values, 0.65, xerr=spread, color=colours, error_kw={"elinewidth": 1, "capsize": 2})
    axes.axvline(values[0], color=_BASE_COLOUR, linewidth=0.8, linestyle="--")
    low, high = min(values), max(value + wide for value, wide in zip(values, spread, strict=True))
    room = max(1.0, high - low)
    left = max(0.0, low - 0.6 * room)
    axes.set_xlim(left, high + 0.35 * room)
    for place, (row, value, wide) in enumerate(zip(rows, values, spread, strict=True)):
        gain = "" if row["gain"] is None else f" ({row['gain']:+.1f})"
        axes.text(value + wide + 0.02 * room, place, f"{value:.1f}{gain}", va="center", fontsize=7)
    axes.set_title(name, fontsize=9)
    axes.set_xlabel("J&F, percent" + (f" (from {left:.0f})" if left > 0 else ""))
    _name_rows(axes, rows, is_first)


def _returns(axes: Axes, rows: Sequence[Mapping[str, Any]], is_first: bool) -> None:
    start = [0.0] * len(rows)
    for outcome, colour in _OUTCOMES.items():
        widths = [_share(row, outcome) for row in rows]
        axes.barh(range(len(rows)), widths, 0.65, left=start, color=colour, label=outcome)
        for place, (width, begin) in enumerate(zip(widths, start, strict=True)):
            if width >= 6:
                axes.text(begin + width / 2, place, f"{width:.0f}", ha="center", va="center", fontsize=7)
        start = [begin + width for begin, width in zip(start, widths, strict=True)]
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"of {rows[0]['returns']:g} returns, percent")
    axes.legend(frameon=False, fontsize=7, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    _name_rows(axes, rows, is_first)


def _share(row: Mapping[str, Any], outcome: str) -> float:
    found, wrong = row["found"] or 0.0, row["wrong"] or 0.0
    return {"found": found, "wrong": wrong, "missed": 100.0 - found - wrong}[outcome]


def _name_rows(axes: Axes, rows: Sequence[Mapping[str, Any]], is_first: bool) -> None:
    axes.set_yticks(range(len(rows)), [row["variant"] for row in rows] if is_first else [""] * len(rows), fontsize=8)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
