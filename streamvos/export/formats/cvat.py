"""CVAT for video 1.1: annotations.xml with one track for each object, to be uploaded into a task of the same video.

Every frame is a key frame; where an object is not visible its track is `outside`. Objects are polygons, see `outlines`
(the format knows no masks for video), detections of a run without objects are boxes, a track each. Frames are those of
the video, also where the run left some out. After https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from streamvos.export.formats.outlines import outline_of
from streamvos.export.formats.recorded import Item, RecordedFrame, RecordedRun
from streamvos.export.formats.registry import writes
from streamvos.export.formats.spill import Spill


@writes("cvat")
def write_cvat(run: RecordedRun, frames: Iterable[RecordedFrame], out: Path) -> None:
    """One file."""
    labels: dict[int, str] = {}
    shown: dict[int, str] = {}  # tracks of the frame before, and their shape there
    last, num_detections = -1, 0
    with Spill() as shapes, (out / "annotations.xml").open("w", encoding="utf-8") as file:
        for frame in frames:
            here: dict[int, str] = {}
            for item in frame.visible:
                num_detections += item.object_id is None
                track = -num_detections if item.object_id is None else item.object_id
                labels[track], here[track] = item.class_name, _shape(item)
            for track, shape in here.items():
                shapes.append(track, _key_frame(shape, frame.source_index, False))
            for track in shown.keys() - here.keys():
                shapes.append(track, _key_frame(shown[track], last + 1, True))
            shown, last = here, frame.source_index
        if run.may_stop_early or last + 1 < run.num_source_frames:  # a track goes on to the end otherwise
            last += 1
            for track, shape in shown.items():
                shapes.append(track, _key_frame(shape, last, True))
        file.write(_head(run, max(run.num_source_frames, last + 1)))
        for number, track in enumerate(shapes.keys()):
            number = number if track < 0 else track
            file.write(f'  <track id="{number}" label={quoteattr(labels[track])} source="auto">\n')
            file.writelines(f"    {piece}\n" for piece in shapes.pieces(track))
            file.write("  </track>\n")
        file.write("</annotations>\n")


def _head(run: RecordedRun, size: int) -> str:
    labels = "".join(
        f"        <label><name>{escape(name)}</name><attributes></attributes></label>\n" for name in run.classes
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <name>{escape(run.name)}</name>
      <size>{size}</size>
      <mode>interpolation</mode>
      <overlap>0</overlap>
      <start_frame>0</start_frame>
      <stop_frame>{size - 1}</stop_frame>
      <labels>
{labels}      </labels>
      <original_size><width>{run.width}</width><height>{run.height}</height></original_size>
    </task>
  </meta>
"""


def _shape(item: Item) -> str:
    """The element with its place, without the frame."""
    if item.rle is None:
        left, top, width, height = item.box_xywh
        return f'box xtl="{left:.2f}" ytl="{top:.2f}" xbr="{left + width:.2f}" ybr="{top + height:.2f}"'
    corners = (outline_of(item.mask()) + 0.5).tolist()  # the middle of each pixel
    return f'polygon points="{";".join(f"{x:.2f},{y:.2f}" for x, y in corners)}"'


def _key_frame(shape: str, frame: int, is_outside: bool) -> str:
    when = f'frame="{frame}" keyframe="1" outside="{int(is_outside)}" occluded="0" z_order="0"'
    return f"<{shape} {when}></{shape.split()[0]}>"
