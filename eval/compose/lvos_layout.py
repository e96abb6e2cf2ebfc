"""A composed benchmark as LVOS lays its data out: `lvos/JPEGImages`, `lvos/Annotations`, `lvos/valid_meta.json`.

LVOS gives an object to the tracker where an annotation first shows it. Composed objects walk into the picture, a sliver
first, which nobody would annotate: here an object is annotated from the frame on in which enough of it is seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.compose.layout import IMAGES, MASKS, link
from eval.datasets.composed import SequenceTruth
from eval.datasets.davis import read_label_map, write_label_map
from eval.datasets.lvos import EVERY
from streamvos.export.masks import mask_path

FOLDER = "lvos"
MIN_GIVEN_PX = 400  # visible pixels of an object's first annotation
MIN_GIVEN_SHARE = 0.5  # of the object that is visible there
_MIN_ANNOTATED = 3  # frames without which LVOS has nothing to score


def write_lvos(truths: Sequence[SequenceTruth], out: Path) -> None:
    """Add the folder `lvos` to a composed benchmark in `out`. No class is "unseen": nothing was trained on a split."""
    videos = {}
    for truth in truths:
        starts = first_annotations(truth)
        _write_sequence(truth, out, {key: start for key, (start, _) in starts.items()})
        videos[truth.sequence] = {
            "objects": {
                str(key): {"frame_range": {"start": f"{start + 1:08d}", "end": f"{end + 1:08d}", "frame_nums": count}}
                for key, (start, end) in starts.items()
                if (count := len(range(start, end, EVERY)))
            }
        }
    folder = out / FOLDER
    (folder / "valid_meta.json").write_text(json.dumps({"videos": videos}, indent=1), encoding="utf-8")
    (folder / "unseen_videos.txt").write_text("", encoding="utf-8")


def first_annotations(truth: SequenceTruth) -> dict[int, tuple[int, int]]:
    """First annotated frame of each object, and the frame after its last; without those that are seen too little."""
    found: dict[int, tuple[int, int]] = {}
    for frame in truth.frames:
        for seen in frame.objects:
            if seen.id in found and seen.visible_px:
                found[seen.id] = found[seen.id][0], frame.frame + 1
            elif seen.visible_px >= MIN_GIVEN_PX and seen.visible_px >= MIN_GIVEN_SHARE * seen.full_px:
                found[seen.id] = frame.frame, frame.frame + 1
    return {key: span for key, span in found.items() if len(range(*span, EVERY)) >= _MIN_ANNOTATED}


def _write_sequence(truth: SequenceTruth, out: Path, starts: Mapping[int, int]) -> None:
    images, masks = (out / FOLDER / kind / truth.sequence for kind in ("JPEGImages", "Annotations"))
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    for frame in truth.frames:
        index, name = frame.frame, f"{frame.frame + 1:08d}"
        link(out / IMAGES / truth.sequence / f"{index:05d}.jpg", images / f"{name}.jpg")
        source = mask_path(out / MASKS / truth.sequence, index)
        early = [seen.id for seen in frame.objects if index < starts.get(seen.id, len(truth.frames))]
        if early:
            labels = read_label_map(source)
            write_label_map(masks / f"{name}.png", np.where(np.isin(labels, early), 0, labels))
        else:
            link(source, masks / f"{name}.png")
