"""MOTChallenge: gt/gt.txt, gt/labels.txt and seqinfo.ini, as TrackEval and CVAT read them.

A line is `frame,id,left,top,width,height,1,class,visibility`; frames and pixels count from 1, and classes by the lines
of labels.txt. A run without objects leaves det/det.txt, `frame,-1,left,top,width,height,score,-1,-1,-1`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from streamvos.export.formats.recorded import RecordedFrame, RecordedRun
from streamvos.export.formats.registry import writes

_DEFAULT_RATE = 25  # seqinfo.ini must have one, and a camera may tell none


@writes("mot", pictures="img1")
def write_mot(run: RecordedRun, frames: Iterable[RecordedFrame], out: Path) -> None:
    """One sequence."""
    folder = out / ("gt" if run.has_masks else "det")
    folder.mkdir()
    classes = {name: number for number, name in enumerate(run.classes, start=1)}
    with (folder / f"{folder.name}.txt").open("w", encoding="utf-8") as file:
        for frame in frames:
            for item in frame.visible:
                left, top, width, height = item.box_xywh
                box = f"{left + 1:.2f},{top + 1:.2f},{width:.2f},{height:.2f}"
                if run.has_masks:
                    file.write(f"{frame.index + 1},{item.object_id},{box},1,{classes[item.class_name]},1\n")
                else:
                    file.write(f"{frame.index + 1},-1,{box},{item.score:.4f},-1,-1,-1\n")
    if run.has_masks:
        (folder / "labels.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    facts = {
        "name": run.name,
        "imDir": "img1",
        "frameRate": f"{float(run.rate or _DEFAULT_RATE):g}",
        "seqLength": run.num_frames,
        "imWidth": run.width,
        "imHeight": run.height,
        "imExt": ".jpg",
    }
    lines = "".join(f"{key}={value}\n" for key, value in facts.items())
    (out / "seqinfo.ini").write_text(f"[Sequence]\n{lines}", encoding="utf-8")
