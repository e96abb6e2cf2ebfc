"""timeline.png: who was visible when.

One row for each object: solid while it is tracked, hatched while it is occluded, a gap while it is lost;
cuts are vertical lines. What is kept is bounded: at most `max_rows` objects are drawn (the longest-lived)
and about twice as many remembered; an object's spans beyond `max_spans` are joined over their shortest gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamvos.export.colours import id_colour
from streamvos.export.parts import replacing
from streamvos.records import ObjectMasks, StepResult

_SHOWN = ("tracked", "occluded")
_MAX_CUTS = 1000


@dataclass
class Row:
    """The spans of one object: [state, from, to] in seconds, in order of time."""

    class_name: str = ""
    spans: list[list[Any]] = field(default_factory=list)
    open_at: int = -2  # last frame of the span that is still open

    def lifetime_s(self) -> float:
        return sum(to - start for _, start, to in self.spans)


class Timeline:
    """Collects spans frame by frame.

    Args:
        max_rows: objects drawn at most.
        max_spans: spans kept for an object.
    """

    def __init__(self, max_rows: int = 200, max_spans: int = 200) -> None:
        self._max_rows, self._max_spans = max_rows, max_spans
        self._rows: dict[int, Row] = {}
        self._cuts: list[float] = []
        self._num_cuts = self._num_forgotten = 0
        self._last_s: float | None = None
        self._frame = -1

    def add(self, result: StepResult) -> None:
        """Take in one frame."""
        self._frame += 1
        if result.is_cut:
            self._num_cuts += 1
            if len(self._cuts) < _MAX_CUTS:
                self._cuts.append(result.time_s)
        if result.masks is not None:
            self._add_objects(result.masks, result.time_s)
        self._last_s = result.time_s
        if len(self._rows) > 2 * self._max_rows:
            self._forget()

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": {
                object_id: [row.class_name, [list(span) for span in row.spans], row.open_at]
                for object_id, row in self._rows.items()
            },
            "cuts": list(self._cuts),
            "counts": [self._num_cuts, self._num_forgotten, self._frame],
            "last_s": self._last_s,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rows = {object_id: Row(*row) for object_id, row in state["rows"].items()}
        self._cuts = list(state["cuts"])
        self._num_cuts, self._num_forgotten, self._frame = state["counts"]
        self._last_s = state["last_s"]

    @property
    def num_cuts(self) -> int:
        return self._num_cuts

    def draw(self, path: Path, name: str) -> None:
        """Write the picture; `name` is that of the video."""
        with replacing(path) as temporary:
            _draw(temporary, self._longest_lived(), self._cuts, self._title(name), self._last_s or 0.0)

    def _add_objects(self, masks: ObjectMasks, time_s: float) -> None:
        for row, object_id in enumerate(masks.object_ids.tolist()):
            is_shown = masks.states[row] in _SHOWN
            if not is_shown and object_id not in self._rows:
                continue
            known = self._rows.setdefault(object_id, Row())
            known.class_name = masks.class_names[row] or known.class_name
            is_open = known.open_at == self._frame - 1
            if is_open:
                known.spans[-1][2] = time_s  # a state holds until the next frame
            if not is_shown:
                continue
            if not is_open or known.spans[-1][0] != masks.states[row]:
                known.spans.append([masks.states[row], time_s, time_s])
                if len(known.spans) > self._max_spans:
                    _join_shortest(known.spans)
            known.open_at = self._frame

    def _forget(self) -> None:
        ended = [(row.lifetime_s(), key) for key, row in self._rows.items() if row.open_at < self._frame]
        for _, key in sorted(ended)[: len(self._rows) - self._max_rows]:
            del self._rows[key]
            self._num_forgotten += 1

    def _longest_lived(self) -> list[tuple[int, Row]]:
        rows = [(key, row) for key, row in self._rows.items() if row.spans]
        longest = sorted(rows, key=lambda item: (-item[1].lifetime_s(), item[0]))[: self._max_rows]
        return sorted(longest, key=lambda item: (item[1].spans[0][1], item[0]))

    def _title(self, name: str) -> str:
        total, shown = len(self._rows) + self._num_forgotten, len(self._longest_lived())
        title = f"{name}: who was visible when"
        if shown < total:
            title += f" (the {shown} longest-lived of {total} objects)"
        if self._num_cuts > len(self._cuts):
            title += f" (the first {len(self._cuts)} of {self._num_cuts} cuts)"
        return title


def _join_shortest(spans: list[list[Any]]) -> None:
    """Join the two neighbours with the shortest gap, those of one state first; the last stays as it is."""
    best = min(
        range(len(spans) - 2),
        key=lambda i: (spans[i][0] != spans[i + 1][0], spans[i + 1][1] - spans[i][2], i),
    )
    longer = max(spans[best], spans[best + 1], key=lambda span: span[2] - span[1])
    spans[best : best + 2] = [[longer[0], spans[best][1], spans[best + 1][2]]]


def _draw(path: Path, rows: list[tuple[int, Row]], cuts: list[float], title: str, end_s: float) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, needed once
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    height = 1.5 + 0.27 * max(len(rows), 1)
    figure = Figure(figsize=(11, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (object_id, row) in enumerate(rows):
        colour = [channel / 255 for channel in id_colour(object_id)]
        for state, hatch, face in (("tracked", None, colour), ("occluded", "////", "white")):
            bars = [(start, max(to - start, end_s / 2000)) for kind, start, to in row.spans if kind == state]
            axes.broken_barh(bars, (place - 0.34, 0.68), facecolor=face, edgecolor=colour, hatch=hatch, lw=0.6)
    for cut in cuts:
        axes.axvline(cut, color="0.1", lw=0.9, ls="--", zorder=3)
    names = [f"#{object_id} {row.class_name}".strip() for object_id, row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.set_xlim(0, max(end_s, 1e-3))
    axes.set_xlabel("seconds")
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if not rows:
        axes.text(0.5, 0.5, "no objects", transform=axes.transAxes, ha="center", va="center", color="0.5")
    keys = [
        Patch(fc="0.55", ec="0.4", label="tracked"),
        Patch(fc="w", ec="0.4", hatch="////", label="occluded"),
    ]
    figure.legend(handles=keys, loc="outside lower right", ncols=2, fontsize=8, frameon=False)
    figure.savefig(path, format="png")
