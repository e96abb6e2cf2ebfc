"""Writes one composed sequence in the layouts that other programs read.

Everything goes into `OUT/.part/<sequence>/…`, and is moved to its place when the sequence is whole, `truth/` last: a
sequence with a truth file is complete. Pictures are stored once; other layouts hold hard links, or copies where the
file system has none.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from eval.compose.degrade import FramePlan
from eval.compose.render import Drawn
from eval.compose.settings import FPS
from eval.datasets.composed import FrameTruth, ObjectInfo, ObjectSeen
from eval.datasets.davis import write_label_map
from streamvos.export.masks import mask_path
from streamvos.masks import encode, tight_box
from streamvos.models.coco import ID_OF
from streamvos.video.rgbd import INTRINSICS_FILE

IMAGES, MASKS, FULL, MOT, RGBD, CDNET, TRUTH = (
    "JPEGImages/480p", "Annotations/480p", "Full", "mot", "rgbd", "cdnet", "truth",
)  # fmt: skip
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]
_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class SequenceWriter:
    """Files of one sequence.

    Args:
        out: root of the benchmark. name: of the sequence. size: (H, W).
        objects: all of the sequence. intrinsics: (3, 3), only where there are depth and poses.
    """

    def __init__(
        self,
        out: Path,
        name: str,
        size: tuple[int, int],
        objects: tuple[ObjectInfo, ...],
        intrinsics: np.ndarray | None,
    ) -> None:
        self._out, self._name, self._size, self._objects = out, name, size, objects
        self._part = out / ".part" / name
        shutil.rmtree(self._part, ignore_errors=True)
        self._places = [f"{IMAGES}/{name}", f"{MASKS}/{name}", f"{FULL}/{name}", f"{MOT}/{name}", f"{CDNET}/{name}"]
        if intrinsics is not None:
            self._places.append(f"{RGBD}/{name}")
        for place in self._places:
            (self._part / place).mkdir(parents=True)
        for inner in ("input", "groundtruth"):
            (self._part / CDNET / name / inner).mkdir()
        (self._part / MOT / name / "gt").mkdir()
        if intrinsics is not None:
            np.savetxt(self._part / RGBD / name / INTRINSICS_FILE, intrinsics, fmt="%.9g")
        self._has_depth = intrinsics is not None
        self._full: dict[int, list[Any]] = {thing.id: [] for thing in objects}
        self._mot: list[str] = []
        self.frames: list[FrameTruth] = []

    def write(self, plan: FramePlan, image: np.ndarray, drawn: Drawn, pose: np.ndarray) -> None:
        """Write the next frame: the picture as the camera gives it, and what is true of it."""
        index = len(self.frames)
        picture = self._part / IMAGES / self._name / f"{index:05d}.jpg"
        _save(picture, image[..., ::-1], _JPEG)
        write_label_map(mask_path(self._part / MASKS / self._name, index), drawn.labels)
        link(picture, self._part / CDNET / self._name / "input" / f"in{index + 1:06d}.jpg")
        moving = np.where(drawn.labels > 0, np.uint8(255), np.uint8(0))
        _save(self._part / CDNET / self._name / "groundtruth" / f"gt{index + 1:06d}.png", moving, _FAST_PNG)
        if self._has_depth:
            stem = self._part / RGBD / self._name / f"frame-{index:06d}"
            link(picture, stem.with_name(stem.name + ".color.jpg"))
            depth = np.rint(np.clip(drawn.depth_m, 0, 65) * 1000).astype(np.uint16)
            _save(stem.with_name(stem.name + ".depth.png"), depth, _FAST_PNG)
            np.savetxt(stem.with_name(stem.name + ".pose.txt"), pose, fmt="%.9e", delimiter="\t")
        self._note_mot(index, drawn)
        self.frames.append(self._truth(index, plan, drawn))

    def finish(self, truth_files: Path) -> None:
        """Move everything to its place; `truth_files` holds files and folders that go to the root last."""
        self._write_full()
        self._write_mot()
        self._write_cdnet()
        for place in self._places:
            target = self._out / place
            target.parent.mkdir(parents=True, exist_ok=True)
            (self._part / place).replace(target)
        for path in sorted(truth_files.rglob("*"), key=lambda each: (each.parts[-2] == TRUTH, str(each))):
            if path.is_file():
                target = self._out / path.relative_to(truth_files)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        shutil.rmtree(self._part, ignore_errors=True)

    @property
    def part(self) -> Path:
        """Folder of what is not finished."""
        return self._part

    def _truth(self, index: int, plan: FramePlan, drawn: Drawn) -> FrameTruth:
        counts = np.bincount(drawn.labels.ravel(), minlength=256)
        seen = []
        for thing in self._objects:
            found = drawn.full.get(thing.id)
            if found is None:
                self._full[thing.id].append(None)
                continue
            window, whole = found
            mask = np.zeros(self._size, bool)
            mask[window] = whole
            rle = encode(mask)
            self._full[thing.id].append({"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")})
            box = None
            if counts[thing.id]:
                left, top = window[1].start, window[0].start
                x1, y1, x2, y2 = tight_box(drawn.labels[window] == thing.id).astype(int).tolist()
                box = (x1 + left, y1 + top, x2 + left, y2 + top)
            seen.append(ObjectSeen(thing.id, int(counts[thing.id]), int(whole.sum()), box))
        return FrameTruth(index, float(plan.tick / FPS), plan.kind, plan.strength, tuple(seen))

    def _write_full(self) -> None:
        for number, rles in self._full.items():
            path = self._part / FULL / self._name / f"{number}.json"
            path.write_text(json.dumps({"object": number, "frames": rles}), encoding="utf-8")

    def _write_cdnet(self) -> None:
        """Which frames are scored: all."""
        path = self._part / CDNET / self._name / "temporalROI.txt"
        path.write_text(f"1 {len(self.frames)}\n", encoding="utf-8")

    def _note_mot(self, index: int, drawn: Drawn) -> None:
        """MOT16 lines of a frame: frame, id, box, 1, class 1, visibility; one class, so that no scorer drops any.

        As in MOTChallenge, boxes are whole: with what is hidden, and what is beyond the border, of everything that
        would be in the picture if nothing hid it. The visibility is the visible share of all of it.
        """
        counts = np.bincount(drawn.labels.ravel(), minlength=256)
        for number, whole in sorted(drawn.whole.items()):
            x1, y1, x2, y2 = whole.box_xyxy
            share = min(1.0, counts[number] / whole.area_px)
            self._mot.append(f"{index + 1},{number},{x1 + 1},{y1 + 1},{x2 - x1},{y2 - y1},1,1,{share:.4f}\n")

    def _write_mot(self) -> None:
        folder = self._part / MOT / self._name
        (folder / "gt" / "gt.txt").write_text("".join(self._mot), encoding="utf-8")
        height, width = self._size
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={self._name}\nimDir=img1\nframeRate={FPS}\nseqLength={len(self.frames)}\n"
            f"imWidth={width}\nimHeight={height}\nimExt=.jpg\n",
            encoding="utf-8",
        )


def link(path: Path, other: Path) -> None:
    """A second name of a file, or a copy of it; what has that name already is replaced."""
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


def cocovid(truths: list[Any]) -> dict[str, Any]:
    """All sequences as one CocoVID document; boxes are xywh of what is visible.

    Args:
        truths: `SequenceTruth` of each sequence.
    """
    names = sorted({thing.class_name for truth in truths for thing in truth.objects})
    others = [name for name in names if name not in ID_OF]
    ids = {name: ID_OF.get(name, 1000 + others.index(name) if name in others else 0) for name in names}
    document: dict[str, Any] = {
        "videos": [],
        "images": [],
        "annotations": [],
        "categories": [{"id": ids[name], "name": name} for name in sorted(names, key=ids.__getitem__)],
    }
    instance_offset = 0
    for video_id, truth in enumerate(truths, start=1):
        width, height = truth.size
        document["videos"].append({"id": video_id, "name": truth.sequence, "width": width, "height": height})
        classes = {thing.id: thing.class_name for thing in truth.objects}
        for frame in truth.frames:
            image_id = len(document["images"]) + 1
            document["images"].append(
                {
                    "id": image_id,
                    "video_id": video_id,
                    "frame_id": frame.frame,
                    "file_name": f"{IMAGES}/{truth.sequence}/{frame.frame:05d}.jpg",
                    "width": width,
                    "height": height,
                    "degradation": frame.degradation,
                    "strength": frame.strength,
                }
            )
            for seen in frame.objects:
                if seen.box_xyxy is None:
                    continue
                x1, y1, x2, y2 = seen.box_xyxy
                document["annotations"].append(
                    {
                        "id": len(document["annotations"]) + 1,
                        "image_id": image_id,
                        "video_id": video_id,
                        "instance_id": instance_offset + seen.id,
                        "category_id": ids[classes[seen.id]],
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": seen.visible_px,
                        "iscrowd": 0,
                        "occluded": round(1 - seen.visible_px / seen.full_px, 4),
                    }
                )
        instance_offset += max(classes, default=0)
    return document


def _save(path: Path, array: np.ndarray, options: list[int]) -> None:
    packed = cv2.imencode(path.suffix, array, options)[1]
    path.write_bytes(packed)
