"""tracks.json: every object at every frame, with COCO run-length masks.

    {"format": "streamvos tracks 1",
     "video": {"name", "width", "height", "rate", "time_base", "num_frames"},
     "objects": [{"id", "class", "first_frame", "last_frame", "num_tracked"}],
     "frames": [{"frame", "time_s", "shot", "cut",
                 "objects": [{"id", "class", "state", "score", "class_score", "bbox", "whole_bbox", "segmentation"}],
                 "detections": [{"id", "class", "score", "bbox"}]}]}

An object's `score` is that of its mask, by the tracker; its `class_score` is that of the detection that last confirmed
it, null where none did. A detection's `score` is that of its class.

`bbox` is [left, top, width, height] in pixels, of an object that of its mask; `whole_bbox` holds all of it, also what
is hidden or outside the picture, where an occluded object is expected; zeros where it is lost. `segmentation` is COCO
RLE with `counts` as text, as pycocotools reads it. `detections` is missing where the detector did not run; a
detection's id is -1 where the segmenter made nothing of it.

During a run there is one line for each frame in tracks.jsonl.part; the document is put together at the end line by
line, so that memory holds one frame and one entry for each object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from streamvos.errors import InputError, IntegrityError
from streamvos.export.parts import replacing
from streamvos.records import Detections, ObjectMasks, StepResult
from streamvos.video.info import SourceInfo

FORMAT = "streamvos tracks 1"


def track_line(result: StepResult) -> bytes:
    """One frame as a line of JSON."""
    entry: dict[str, Any] = {
        "frame": result.frame_index,
        "time_s": round(result.time_s, 6),
        "shot": result.shot_index,
        "cut": result.is_cut,
        "objects": [] if result.masks is None else _objects(result.masks),
    }
    if result.detections is not None:
        entry["detections"] = _detections(result.detections)
    return _compact(entry) + b"\n"


def assemble_tracks(lines_path: Path, path: Path, info: SourceInfo) -> list[dict[str, Any]]:
    """Make tracks.json from the lines of a run; returns its "objects"."""
    objects: dict[int, dict[str, Any]] = {}
    num_frames = 0
    source = info.to_dict()
    video = {name: source[name] for name in ("name", "width", "height", "rate", "time_base")}
    try:
        for entry in _entries(lines_path):
            num_frames += 1
            for item in entry["objects"]:
                _count(objects, item, entry["frame"])
        listed = [objects[object_id] for object_id in sorted(objects)]
        head = _compact({"format": FORMAT, "video": video | {"num_frames": num_frames}, "objects": listed})
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"{str(lines_path)!r} is damaged after {num_frames} frames ({type(error).__name__}: {error}); run again "
            "with overwrite=True"
        ) from None
    with replacing(path) as temporary, temporary.open("wb") as output, lines_path.open("rb") as lines:
        output.write(head[:-1] + b',"frames":[')
        for number, line in enumerate(lines):
            output.write((b",\n" if number else b"\n") + line.rstrip(b"\n"))
        output.write(b"\n]}\n")
    return listed


def read_tracks(path: Path) -> dict[str, Any]:
    """Read a tracks.json whole; raises `InputError` if it is absent, `IntegrityError` if damaged."""
    try:
        tracks = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{str(path)!r} does not exist; expected the tracks.json of a run") from None
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{str(path)!r} is damaged ({error})") from None
    if not isinstance(tracks, dict) or tracks.get("format") != FORMAT:
        raise IntegrityError(f"{str(path)!r}: expected a document of format {FORMAT!r}")
    return tracks


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def _objects(masks: ObjectMasks) -> list[dict[str, Any]]:
    return [
        {
            "id": int(masks.object_ids[row]),
            "class": masks.class_names[row],
            "state": masks.states[row],
            "score": round(float(masks.scores[row]), 4),
            "class_score": None if np.isnan(masks.class_scores[row]) else round(float(masks.class_scores[row]), 4),
            "bbox": _xywh(masks.boxes_xyxy[row]),
            "whole_bbox": _xywh(masks.whole_boxes_xyxy[row]),
            "segmentation": {
                "size": [int(side) for side in masks.rles[row]["size"]],
                "counts": _text(masks, row),
            },
        }
        for row in range(len(masks))
    ]


def _text(masks: ObjectMasks, row: int) -> str:
    counts = masks.rles[row]["counts"]
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def _detections(found: Detections) -> list[dict[str, Any]]:
    return [
        {
            "id": int(found.object_ids[row]),
            "class": found.class_names[row],
            "score": round(float(found.scores[row]), 4),
            "bbox": _xywh(found.boxes_xyxy[row]),
        }
        for row in range(len(found))
    ]


def _xywh(box: np.ndarray) -> list[float]:
    left, top, right, bottom = (float(side) for side in box)
    return [round(left, 2), round(top, 2), round(right - left, 2), round(bottom - top, 2)]


def _count(objects: dict[int, dict[str, Any]], item: dict[str, Any], frame: int) -> None:
    known = objects.setdefault(
        item["id"],
        {"id": item["id"], "class": "", "first_frame": frame, "last_frame": frame, "num_tracked": 0},
    )
    known["class"] = item["class"] or known["class"]
    known["last_frame"] = frame
    known["num_tracked"] += item["state"] == "tracked"


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
