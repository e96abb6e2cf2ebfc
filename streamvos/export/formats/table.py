"""CSV: objects.csv with a line for each object and frame, whatever its state, for spreadsheets and pandas.

`score` is that of the mask and `class_score` that of the class, empty where the detector never named the object. A run
without objects leaves detections.csv, in which `score` is that of the class.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamvos.export.formats.recorded import Item, RecordedFrame, RecordedRun
from streamvos.export.formats.registry import writes

_BOX = ("x1", "y1", "x2", "y2")
OBJECT_COLUMNS = ("object_id", "class_name", "state", "score", "class_score", *_BOX, "area_px")
DETECTION_COLUMNS = ("class_name", "score", *_BOX)


@writes("csv")
def write_csv(run: RecordedRun, frames: Iterable[RecordedFrame], out: Path) -> None:
    """One file, with a head."""
    columns = OBJECT_COLUMNS if run.has_masks else DETECTION_COLUMNS
    name = "objects.csv" if run.has_masks else "detections.csv"
    with (out / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("frame", "time_s", "shot", *columns))
        for frame in frames:
            for item in frame.items:
                values = _values(item)
                writer.writerow((frame.index, frame.time_s, frame.shot, *(values[column] for column in columns)))


def _values(item: Item) -> dict[str, Any]:
    left, top, width, height = item.box_xywh
    corners = (left, top, round(left + width, 2), round(top + height, 2)) if item.is_visible else ("",) * 4
    return {
        "object_id": item.object_id,
        "class_name": item.called,
        "state": item.state,
        "score": item.score,
        "class_score": "" if item.class_score is None else item.class_score,
        "area_px": item.area_px(),
        **dict(zip(_BOX, corners, strict=True)),
    }
