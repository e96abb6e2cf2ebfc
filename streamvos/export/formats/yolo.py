"""YOLO, as Ultralytics has it: labels/%05d.txt with one line for each object, and data.yaml.

`yolo` writes boxes (`class x y width height`, the middle of the box), `yolo-seg` polygons (`class x1 y1 x2 y2 ...`),
all divided by width and height of the picture. A frame without objects has an empty file, which says that nothing is
there. The format knows neither ids nor scores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from streamvos.export.formats.outlines import outline_of
from streamvos.export.formats.recorded import Item, RecordedFrame, RecordedRun
from streamvos.export.formats.registry import writes


@writes("yolo", pictures="images")
def write_boxes(run: RecordedRun, frames: Iterable[RecordedFrame], out: Path) -> None:
    """Boxes."""
    _write(run, frames, out, lambda item: _box(item, run.width, run.height))


@writes("yolo-seg", pictures="images", needs_masks=True)
def write_polygons(run: RecordedRun, frames: Iterable[RecordedFrame], out: Path) -> None:
    """Polygons, see `streamvos.export.formats.outlines` for what one polygon cannot say."""
    _write(run, frames, out, lambda item: _polygon(item, run.width, run.height))


def _write(
    run: RecordedRun, frames: Iterable[RecordedFrame], out: Path, numbers_of: Callable[[Item], list[float]]
) -> None:
    (out / "labels").mkdir()
    classes = {name: number for number, name in enumerate(run.classes)}
    for frame in frames:
        lines = [
            " ".join([str(classes[item.class_name]), *(f"{number:.6f}" for number in numbers_of(item))])
            for item in frame.visible
        ]
        (out / "labels" / f"{frame.index:05d}.txt").write_text("".join(f"{line}\n" for line in lines))
    names = "".join(f"  {number}: {json.dumps(name, ensure_ascii=False)}\n" for name, number in classes.items())
    text = f"# {len(classes)} classes\npath: .\ntrain: images\nval: images\nnames:\n{names}"
    (out / "data.yaml").write_text(text, encoding="utf-8")


def _box(item: Item, width: int, height: int) -> list[float]:
    left, top, wide, high = item.box_xywh
    right, bottom = min(left + wide, width), min(top + high, height)
    left, top = max(left, 0.0), max(top, 0.0)
    return [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height]


def _polygon(item: Item, width: int, height: int) -> list[float]:
    corners = (outline_of(item.mask()) + 0.5) / (width, height)  # the middle of each pixel
    return corners.ravel().tolist()
