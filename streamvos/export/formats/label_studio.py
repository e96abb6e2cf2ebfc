"""Label Studio: tasks.json with boxes over time as predictions, and label_config.xml for the project.

Each object is one `videorectangle` with a key frame at every frame (from 1) at which it is visible, places in percent
of the picture; `enabled` is false on the last one before it is gone. Label Studio has no masks for video. The task
names the video as the run did: give it the place from which your Label Studio serves the file.
After https://labelstud.io/tags/videorectangle and https://labelstud.io/guide/predictions
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import streamvos
from streamvos.export.formats.recorded import Item, RecordedFrame, RecordedRun
from streamvos.export.formats.registry import writes
from streamvos.export.formats.spill import Spill


@writes("label-studio")
def write_label_studio(run: RecordedRun, frames: Iterable[RecordedFrame], out: Path) -> None:
    """One task."""
    labels: dict[int, str] = {}
    waiting: dict[int, dict[str, Any]] = {}  # of the frame before: whether they go on is known with the next one
    num_detections, duration_s = 0, 0.0
    with Spill() as boxes, (out / "tasks.json").open("w", encoding="utf-8") as file:
        for frame in frames:
            here: dict[int, dict[str, Any]] = {}
            for item in frame.visible:
                num_detections += item.object_id is None
                track = -num_detections if item.object_id is None else item.object_id
                labels[track], here[track] = item.class_name, _key_frame(item, frame, run)
            for track, box in waiting.items():
                boxes.append(track, _text(box | {"enabled": track in here}))
            waiting, duration_s = here, frame.time_s
        for track, box in waiting.items():
            boxes.append(track, _text(box | {"enabled": False}))
        task = _text({"data": {"video": run.report["source"]["location"]}})
        model = _text(f"streamvos {streamvos.__version__}")
        file.write(f'[{task[:-1]},"predictions":[{{"model_version":{model},"result":[')
        length = {"framesCount": run.num_source_frames, "duration": run.report["source"]["duration_s"] or duration_s}
        for number, track in enumerate(boxes.keys()):
            file.write((",\n" if number else "\n") + _region_head(track, labels[track], length))
            for place, piece in enumerate(boxes.pieces(track)):
                file.write(("," if place else "") + piece)
            file.write("]}}")
        file.write("\n]}]}]\n")
    (out / "label_config.xml").write_text(_config(run.classes), encoding="utf-8")


def _region_head(track: int, label: str, length: dict[str, Any]) -> str:
    """A region up to its key frames."""
    name = f"object {track}" if track > 0 else f"detection {-track}"
    region = {"id": name.replace(" ", "-"), "type": "videorectangle", "from_name": "box", "to_name": "video"}
    value = length | {"labels": [label]}
    return f'{_text(region | {"meta": {"text": [name]}})[:-1]},"value":{_text(value)[:-1]},"sequence":['


def _key_frame(item: Item, frame: RecordedFrame, run: RecordedRun) -> dict[str, Any]:
    left, top, width, height = item.box_xywh
    return {
        "frame": frame.source_index + 1,
        "time": frame.time_s,
        "x": round(100 * left / run.width, 4),
        "y": round(100 * top / run.height, 4),
        "width": round(100 * width / run.width, 4),
        "height": round(100 * height / run.height, 4),
        "rotation": 0,
    }


def _config(classes: Iterable[str]) -> str:
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in classes)
    return (
        "<View>\n"
        f'  <Labels name="videoLabels" toName="video">\n{labels}  </Labels>\n'
        '  <Video name="video" value="$video"/>\n'
        '  <VideoRectangle name="box" toName="video"/>\n'
        "</View>\n"
    )


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
