"""A run's tracks as the writers of other formats need them, read frame by frame: memory holds one frame.

A run that was interrupted, or killed, is read as far as it came.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamvos import masks as mask_codec
from streamvos.errors import InputError, IntegrityError
from streamvos.export.run_report import FILE, read_report
from streamvos.video.rates import parse_rate

UNNAMED = "object"  # the class of an object that nobody named
_HEAD_END = b'"frames":['
_PART = "tracks.jsonl.part"


@dataclass(frozen=True)
class Item:
    """One object in one frame, or one detection of a run that followed none.

    Args:
        object_id: None for a detection.
        class_name: of an object, what it was called at the end of the run.
        called: what it was called in this frame, "" where nobody knew.
        state: "tracked", "occluded" or "lost"; a detection is "tracked".
        score: of the mask; of a detection, of its class.
        class_score: of the class, None where the detector never named it.
        box_xywh: left, top, width, height in pixels.
        rle: COCO run-length encoding with `counts` as text; None for a detection.
    """

    object_id: int | None
    class_name: str
    called: str
    state: str
    score: float
    class_score: float | None
    box_xywh: tuple[float, float, float, float]
    rle: dict[str, Any] | None

    @property
    def is_visible(self) -> bool:
        return self.state == "tracked" and self.box_xywh[2] > 0 and self.box_xywh[3] > 0

    def mask(self) -> np.ndarray:
        """(H, W) bool; of an object only. Raises `IntegrityError` where its run lengths do not fill the picture."""
        try:
            return mask_codec.decode(self.rle)
        except (ValueError, TypeError, MemoryError) as error:
            raise IntegrityError(f"tracks: a mask of object {self.object_id} is damaged ({error})") from None

    def area_px(self) -> int:
        """Pixels of the mask, or of the box where there is none."""
        return round(self.box_xywh[2] * self.box_xywh[3]) if self.rle is None else mask_codec.area_px(self.rle)


@dataclass(frozen=True)
class RecordedFrame:
    """One frame of a run.

    Args:
        index: its number in the run, from 0.
        source_index: its number in the video, from 0; another one where the run left frames out.
        time_s, shot: of the frame.
        items: objects, or detections where none are followed.
    """

    index: int
    source_index: int
    time_s: float
    shot: int
    items: tuple[Item, ...]

    @property
    def visible(self) -> list[Item]:
        return [item for item in self.items if item.is_visible]


class RecordedRun:
    """What `streamvos run` left of one video.

    Args:
        folder: with run.json and tracks.json, or what a killed run left in its place.

    Attributes:
        has_masks: False for a run without objects, whose frames hold detections.
        classes: names of all classes, in alphabetical order.
        num_frames: of the run.

    Raises:
        InputError: no such folder, or a run without tracks.
        IntegrityError: a file of it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        report = read_report(folder) if folder.is_dir() else None
        if report is None:
            raise InputError(f"{str(folder)!r} holds no run (no {FILE}); expected DIR/<video> of `streamvos run`")
        self.folder, self.report = folder, report
        with _clear_damage(folder / FILE):
            _expect_source(report)
            source, given = report["source"], report.get("given", {})
            self.name: str = source["name"]
            self.width, self.height = source["width"], source["height"]
            self.rate = None if source["rate"] is None else parse_rate(source["rate"])
        self._left_out = any(given.get(key) is not None for key in ("start_s", "end_s", "fps"))
        self.has_masks = "segment" in report["config"]["stages"]
        self._path = _tracks_of(folder, report["status"])
        self._names: dict[int, str] = {}
        self.num_frames, found = 0, set()
        with _clear_damage(self._path):
            for entry in _read(self._path):
                self.num_frames += 1
                for item in entry["objects"]:
                    _expect_kinds(item, id=int, **{"class": str})
                    self._names[item["id"]] = item["class"] or self._names.get(item["id"], "")
                for item in () if self.has_masks else entry.get("detections", ()):
                    _expect_kinds(item, **{"class": str})
                    found.add(item["class"])
        if not self.num_frames:
            raise InputError(f"run {str(folder)!r} has no frame yet; nothing can be exported")
        names = {name or UNNAMED for name in self._names.values()} if self.has_masks else found
        self.classes = tuple(sorted(names))
        self.object_ids = tuple(sorted(self._names))

    @property
    def num_source_frames(self) -> int:
        """Frames of the video, as far as is known: at least those of the run."""
        source = self.report["source"]
        known = source.get("num_frames") or 0
        if self._left_out and self.rate and source.get("duration_s"):  # then num_frames counts the wanted ones
            known = round(source["duration_s"] * self.rate)
        return max(self.num_frames, known)

    @property
    def may_stop_early(self) -> bool:
        """True where the video may go on after the last frame of the run."""
        is_whole = self.report["status"] == "complete" and self.report.get("given", {}).get("max_frames") is None
        return self._left_out or not is_whole

    def class_of(self, object_id: int) -> str:
        """What an object is called at the end."""
        return self._names[object_id] or UNNAMED

    def frames(self) -> Iterator[RecordedFrame]:
        """All frames in order; of a run without objects, those that the detector looked at."""
        with _clear_damage(self._path):
            for entry in _read(self._path):
                if self.has_masks:
                    items = tuple(self._object(item) for item in entry["objects"])
                elif "detections" in entry:
                    items = tuple(_detection(item) for item in entry["detections"])
                else:
                    continue
                index, time_s = int(entry["frame"]), float(entry["time_s"])
                source_index = round(time_s * self.rate) if self._left_out and self.rate else index
                yield RecordedFrame(index, source_index, time_s, int(entry["shot"]), items)

    def _object(self, item: dict[str, Any]) -> Item:
        rle = {"size": item["segmentation"]["size"], "counts": item["segmentation"]["counts"]}
        if rle["size"] != [self.height, self.width]:
            raise IntegrityError(f"{str(self._path)!r} is damaged: a mask of size {rle['size']}")
        called, sure = item["class"], item.get("class_score")
        name = self.class_of(item["id"])
        _expect_kinds(rle, counts=str)
        _expect_kinds({"state": item["state"], "class_score": sure}, state=str, class_score=float | int | None)
        return Item(item["id"], name, called, item["state"], float(item["score"]), sure, _box(item), rle)


@contextlib.contextmanager
def _clear_damage(path: Path) -> Iterator[None]:
    """What is missing or of another form in a file is its damage."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise IntegrityError(f"{str(path)!r} is damaged ({type(error).__name__}: {error})") from None


def _expect_source(report: dict[str, Any]) -> None:
    """Raise where run.json does not say what the writers of formats ask it."""
    source = report["source"]
    _expect_kinds(source, name=str, location=str, kind=str, width=int, height=int, rate=str | None)
    _expect_kinds(source, num_frames=int | None, duration_s=float | int | None)
    _expect_kinds(report, given=dict) if "given" in report else None
    _expect_kinds(report["config"], stages=list)
    if not re.fullmatch(r"[\w-][\w.-]{0,99}", source["name"]):  # files and folders are named by it
        raise ValueError(f"source {source['name']!r}")
    if min(source["width"], source["height"]) < 1:
        raise ValueError(f"source of {source['width']}x{source['height']} pixels")


def _expect_kinds(values: dict[str, Any], **kinds: Any) -> None:
    """Raise where a value is missing, or not of its type."""
    for name, kind in kinds.items():
        if not isinstance(values[name], kind) or isinstance(values[name], bool):
            raise TypeError(f"{name!r} is {values[name]!r}")
        if isinstance(values[name], str):
            values[name].encode()  # half of a character pair cannot be written


def _detection(item: dict[str, Any]) -> Item:
    score = float(item["score"])
    return Item(None, item["class"] or UNNAMED, item["class"], "tracked", score, score, _box(item), None)


def _box(item: dict[str, Any]) -> tuple[float, float, float, float]:
    left, top, width, height = (float(side) for side in item["bbox"])
    if not all(math.isfinite(side) for side in (left, top, width, height)):
        raise ValueError(f"box {item['bbox']}")
    return left, top, width, height


def _tracks_of(folder: Path, status: str) -> Path:
    """The file with the tracks; of a run that goes on or was killed, the lines written so far."""
    whole, part = folder / "tracks.json", folder / _PART
    order = (part, whole) if status == "running" else (whole, part)
    for path in order:
        if path.is_file():
            return path
    raise InputError(
        f"run {str(folder)!r} has no tracks.json; it is written by runs with the detect or the segment stage"
    )


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The frames of tracks.json line by line, as it is written; whole where someone has formatted it anew."""
    with path.open("rb") as file:
        is_part = path.name == _PART
        if not is_part and not file.readline().rstrip().endswith(_HEAD_END):
            yield from json.loads(path.read_bytes())["frames"]
            return
        for line in file:
            line = line.strip().rstrip(b",")
            if line == b"]}" or not line:
                continue
            if is_part and not line.endswith(b"}"):
                return  # a kill cut the last line
            yield json.loads(line)
