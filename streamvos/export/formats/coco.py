"""COCO: annotations.json with boxes, run-length masks and track ids, as pycocotools reads it.

A class that COCO knows has its number there, others go on from 91. Beside what COCO has, an image tells its
`frame_index` and `time_s` and belongs to a video (as in CocoVID), and an annotation has `track_id`, `score` (of the
mask; of a detection, of its class) and `class_score`. Run lengths are exact, and stand with `iscrowd` 0, since an
object is no crowd; readers that take them for crowds alone (supervision's) see the boxes: they get masks by `yolo-seg`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamvos.export.formats.recorded import RecordedFrame, RecordedRun
from streamvos.export.formats.registry import picture_name, writes
from streamvos.models import coco

FILE = "annotations.json"
_FIRST_OWN_ID = 91  # COCO's numbers end at 90


@writes("coco", pictures="images")
def write_coco(run: RecordedRun, frames: Iterable[RecordedFrame], out: Path) -> None:
    """Annotations first, since they are many and come frame by frame; images, which are few words each, after them."""
    categories = _categories(run.classes)
    images: list[dict[str, Any]] = []
    num_annotations = 0
    with (out / FILE).open("w", encoding="utf-8") as file:
        info = {"description": f"{run.name}, by StreamVOS"}
        file.write(f'{{"info":{_text(info)},\n"annotations":[')
        for frame in frames:
            image_id = frame.index + 1
            images.append(_image(run, frame, image_id))
            for item in frame.visible:
                num_annotations += 1
                entry = {
                    "id": num_annotations,
                    "image_id": image_id,
                    "category_id": categories[item.class_name],
                    "bbox": list(item.box_xywh),
                    "area": item.area_px(),
                    "iscrowd": 0,
                    "score": item.score,
                    "class_score": item.class_score,
                }
                if item.rle is not None:
                    entry |= {"segmentation": item.rle, "track_id": item.object_id}
                file.write((",\n" if num_annotations > 1 else "\n") + _text(entry))
        listed = [{"id": number, "name": name} for name, number in categories.items()]
        video = {"id": 1, "name": run.name, "width": run.width, "height": run.height}
        file.write(f'\n],\n"images":{_text(images)},\n"categories":{_text(listed)},\n"videos":{_text([video])}}}\n')


def _categories(names: Iterable[str]) -> dict[str, int]:
    own = [name for name in names if name not in coco.ID_OF]
    numbers = {name: _FIRST_OWN_ID + place for place, name in enumerate(own)}
    return {name: coco.ID_OF.get(name) or numbers[name] for name in names}


def _image(run: RecordedRun, frame: RecordedFrame, image_id: int) -> dict[str, Any]:
    return {
        "id": image_id,
        "file_name": picture_name(frame.index),
        "width": run.width,
        "height": run.height,
        "video_id": 1,
        "frame_index": frame.index,
        "time_s": frame.time_s,
    }


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
