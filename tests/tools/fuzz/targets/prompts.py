"""Prompt files: our own JSON, COCO, YOLO, CVAT, DAVIS masks."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

from apps.prompt_files import digest, expect_distinct
from apps.prompt_formats import read_any_prompts
from pipelines.prompts import check_prompts
from streamvos.errors import InputError
from streamvos.export.formats import RecordedRun, export_run
from tests.conftest import RecordedClip
from tests.tools.fuzz.target import Target
from tests.tools.fuzz.targets.masks import with_palette

_OWN = {
    "prompts": [
        {"frame": 0, "object": 1, "box": [2, 5, 12, 15], "label": "dog"},
        {"frame": 3, "object": 1, "points": [[4, 8], [20, 20]], "labels": [1, 0], "box": [2, 5, 30, 40]},
        {"frame": 4, "object": 7, "mask": "mask.png"},
    ],
    "removals": [{"frame": 30, "object": 1}],
}
_POLYGONS = {
    "images": [
        {"id": 1, "file_name": "frame_00000.jpg", "height": 48, "width": 64, "video_id": 1},
        {"id": 2, "file_name": "frame_00001.jpg", "height": 48, "width": 64, "video_id": 1},
    ],
    "categories": [{"id": 1, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "track_id": 4, "segmentation": [[2, 2, 20, 2, 20, 20, 2, 20]]},
        {"id": 2, "image_id": 2, "category_id": 1, "instance_id": 4, "bbox": [2, 2, 20, 20], "iscrowd": 0},
        {
            "id": 3,
            "image_id": 2,
            "attributes": {"track_id": 5},
            "segmentation": {"size": [48, 64], "counts": [100, 50, 3072 - 150]},
        },
    ],
}
_IMAGES = """<?xml version="1.0"?>
<annotations><version>1.1</version>
<image id="0" name="frame_000000.png" width="64" height="48">
<box label="dog" xtl="2.5" ytl="3" xbr="20" ybr="30" group_id="0"/>
<polygon label="cat" points="1,1;20,1;20,20;1,20" group_id="2"/>
<mask label="car" rle="2,3,2,1" left="4" top="5" width="4" height="2"/>
</image></annotations>"""


def _make(folder: Path) -> None:
    for name in ("own", "polygons", "images"):
        (folder / name).mkdir()
    (folder / "own" / "prompts.json").write_text(json.dumps(_OWN))
    with_palette().resize((64, 48)).save(folder / "own" / "mask.png")
    (folder / "polygons" / "prompts.json").write_text(json.dumps(_POLYGONS))
    (folder / "images" / "prompts.xml").write_text(_IMAGES)
    run = RecordedRun(RecordedClip().record(folder / "run"))
    for name in ("coco", "cvat", "davis", "yolo", "yolo-seg"):
        export_run(run, name, folder / name)
    shutil.rmtree(folder / "run")


def _read(folder: Path) -> object:
    files = [one for one in sorted(folder.rglob("*")) if one.suffix in (".json", ".xml")]
    path = files[0] if files else folder
    with contextlib.suppress(InputError):  # some have no ids, and can be used in one frame alone
        _prompts(path, "all")
    return _prompts(path, "first")


def _prompts(path: Path, which: str) -> object:
    prompts, removals = read_any_prompts(path, which, lambda: (48, 64))
    expect_distinct(prompts)
    check_prompts(prompts, (48, 64), None)
    return digest(prompts, removals)


TARGET = Target("prompts", _make, _read)
