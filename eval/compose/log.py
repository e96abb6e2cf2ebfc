"""The event log of a composed sequence: what happened to whom and when, by the plain reading of `visibility`.

One JSON object a line, in order of time, `OUT/events/<sequence>.jsonl`:

- appear, return, leave: an object becomes visible for the first time, again, goes out of the picture;
- hidden: something covers it `from_s` .. `to_s` (null where it does not come back); `by` is the object in front of it
  where one is there, null where the scene itself hides it;
- count: the number of visible objects of a class changes;
- meet: the boxes of two objects come near each other, `from_s` .. `to_s`;
- side: the middle of an object's box comes into another third of the picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from eval.compose.visibility import Facts, Span, runs, side_of, steady_runs
from eval.datasets.composed import SequenceTruth

Event = dict[str, Any]
_NEAR = 0.02  # of the picture's width: boxes no farther apart than this meet
_APART_S = 1.0  # boxes that part for less than this have not parted
_SIDE_MARGIN = 0.03  # of the width: how far beyond a line a middle must come to be on its other side
_COVERS = 0.3  # of a hidden object's last box, that the box in front of it covers


def events_of(truth: SequenceTruth) -> list[Event]:
    """Everything that happens in a sequence, in order of time."""
    facts = Facts(truth)
    events = [*_lives(facts), *_counts(facts), *_meetings(facts), *_sides(facts)]
    return sorted(events, key=lambda event: (event["time_s"], event["event"], event.get("object", 0)))


def write_log(truth: SequenceTruth, path: Path) -> None:
    """Write the log, one event a line; a file that is there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events_of(truth)), encoding="utf-8")


def _lives(facts: Facts) -> Iterator[Event]:
    for object_id, spans in facts.spans.items():
        for place, span in enumerate(spans):
            yield _event(facts, span.first, "return" if place else "appear", object_id)
            if span.ended == "left":
                yield _event(facts, span.last, "leave", object_id)
            elif span.ended == "hidden":
                after = spans[place + 1].from_s if place + 1 < len(spans) else None
                by = _who_hides(facts, span)
                yield {**_event(facts, span.last, "hidden", object_id), "from_s": span.to_s, "to_s": after, "by": by}


def _who_hides(facts: Facts, span: Span) -> int | None:
    """The object whose box covers most of where a hidden one was last seen."""
    mine = facts.boxes[span.object_id][span.last]
    covered = {
        other: _overlap(mine, boxes[span.last])
        for other, boxes in facts.boxes.items()
        if other != span.object_id and facts.visible[other][span.last]
    }
    best = max(covered, key=lambda other: (covered[other], -other), default=None)
    return best if best is not None and covered[best] >= _COVERS else None


def _overlap(mine: np.ndarray, other: np.ndarray) -> float:
    """The share of a box, xyxy, that another covers; 0 where one is not known."""
    if np.isnan(mine).any() or np.isnan(other).any():
        return 0.0
    low, high = np.maximum(mine[:2], other[:2]), np.minimum(mine[2:], other[2:])
    return float(np.prod(np.clip(high - low, 0, None)) / max(np.prod(mine[2:] - mine[:2]), 1e-9))


def _counts(facts: Facts) -> Iterator[Event]:
    for name in sorted(set(facts.classes.values())):
        number = facts.number_of([one for one, kind in facts.classes.items() if kind == name])
        for row in np.flatnonzero(np.diff(number, prepend=0)).tolist():
            before = int(number[row - 1]) if row else 0
            yield {**_moment(facts, row, "count"), "class": name, "from": before, "to": int(number[row])}


def _meetings(facts: Facts) -> Iterator[Event]:
    for one, other in combinations(sorted(facts.visible), 2):
        near = facts.visible[one] & facts.visible[other]
        with np.errstate(invalid="ignore"):
            near &= _distance(facts.boxes[one], facts.boxes[other]) <= _NEAR * facts.truth.size[0]
        for first, last in steady_runs(near, facts.times_s, _APART_S):
            times = {"from_s": _seconds(facts, first), "to_s": _seconds(facts, last)}
            yield {**_event(facts, first, "meet", one), "other": other, "other_class": facts.classes[other], **times}


def _distance(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(F,) gap between boxes (F, 4) xyxy, 0 where they overlap, NaN where one is not known."""
    gaps = np.maximum(boxes[:, :2] - others[:, 2:], others[:, :2] - boxes[:, 2:])
    return np.hypot(*np.clip(gaps, 0, None).T)


def _sides(facts: Facts) -> Iterator[Event]:
    for object_id, flags in facts.visible.items():
        centres = facts.centres(object_id)
        for first, last in runs(flags):
            side = None
            for row in range(first, last + 1):
                now = None if np.isnan(centres[row]) else side_of(centres[row], 0.0 if side is None else _SIDE_MARGIN)
                if now is not None and now != side:
                    yield {**_event(facts, row, "side", object_id), "from": side, "to": now}
                    side = now


def _event(facts: Facts, row: int, kind: str, object_id: int) -> Event:
    return {**_moment(facts, row, kind), "object": object_id, "class": facts.classes[object_id]}


def _moment(facts: Facts, row: int, kind: str) -> Event:
    return {"time_s": _seconds(facts, row), "frame": facts.truth.frames[row].frame, "event": kind}


def _seconds(facts: Facts, row: int) -> float:
    return round(float(facts.times_s[row]), 3)
