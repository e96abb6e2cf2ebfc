"""DAVIS: Annotations/480p/<video>/%05d.png with the ids as palette values, and the list of videos.

480p is the name of the folder that DAVIS's tools look into; the pictures have the size of the video. 255 means void
there, so ids end at 254.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from streamvos.errors import InputError
from streamvos.export.formats.recorded import RecordedFrame, RecordedRun
from streamvos.export.formats.registry import writes
from streamvos.export.masks import MaskWriter
from streamvos.masks import VOID


@writes("davis", pictures="JPEGImages/480p/{name}", needs_masks=True)
def write_davis(run: RecordedRun, frames: Iterable[RecordedFrame], out: Path) -> None:
    """One picture for each frame, also where nothing is visible."""
    if run.object_ids and run.object_ids[-1] >= VOID:
        raise InputError(
            f"run {str(run.folder)!r} has an object of id {run.object_ids[-1]}; DAVIS masks hold ids up to {VOID - 1}: "
            "export as coco, which holds any"
        )
    folder = out / "Annotations" / "480p" / run.name
    folder.mkdir(parents=True)
    writer = MaskWriter(folder)
    for frame in frames:
        labels = np.zeros((run.height, run.width), np.uint16)
        for item in frame.visible:
            labels[item.mask()] = item.object_id
        writer.write(frame.index, labels)
    lists = out / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text(f"{run.name}\n", encoding="utf-8")
