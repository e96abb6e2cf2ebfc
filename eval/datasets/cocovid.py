"""Videos with boxes and identities as one CocoVID json: COCO with `videos`, and with `instance_id` in annotations.

Each image has `video_id`, `frame_id` (its place in the video) and `file_name`. The json does not say what `file_name`
is relative to; unless a folder is given, the first of these that holds the first image is taken, beside the json or
one or two folders above it: the folder itself, `JPEGImages/480p`, `JPEGImages`, `images`, `data/VID`, `Data/VID`.
Composed benchmarks say of each image how it was degraded (`degradation`: a name, null where it is clean; `strength`),
in the image's entry or in the frame's in `truth/<video>.json` beside the json's folder.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.composed import SequenceTruth
from streamvos.errors import InputError, unknown_name
from streamvos.foreign_files import is_file, read_json
from streamvos.video.images import read_image

_IMAGE_FOLDERS = ("", "JPEGImages/480p", "JPEGImages", "images", "data/VID", "Data/VID")
_WHOLE = ("videos", "images", "annotations", "categories")


@dataclass(frozen=True)
class VideoFrame:
    """One picture of a video.

    Args:
        image_id: its number in the data set.
        index: its place in the video; gaps are frames that the data set leaves out.
        file: the picture.
        degradation: what was done to it, "" where it is known to be clean, None where nothing is known.
        strength: of the degradation, as the data set counts it.
    """

    image_id: int
    index: int
    file: Path
    degradation: str | None = None
    strength: float | None = None


@dataclass(frozen=True)
class Video:
    """One video: its frames in order, and its truth, read when it is asked for.

    Args:
        name: of the video.
        frames: at least one.
        truth: returns COCO annotations, a dict for each box, with `image_id`, `category_id`, `instance_id`, `bbox`
            (left, top, width, height) and `iscrowd`.
    """

    name: str
    frames: tuple[VideoFrame, ...]
    truth: Callable[[], list[dict[str, Any]]] = field(repr=False, compare=False)

    def images(self) -> Iterator[np.ndarray]:
        """The frames, (H, W, 3) uint8 RGB, one at a time."""
        return (read_image(frame.file) for frame in self.frames)


@dataclass(frozen=True)
class VideoSet:
    """Some videos, and the names of their categories by id."""

    videos: tuple[Video, ...]
    categories: Mapping[int, str]


def read_cocovid(path: Path, images: Path | None = None, names: Sequence[str] | None = None) -> VideoSet:
    """The videos of a CocoVID json, all of them or those named, in order of their ids.

    Args:
        path: of the json.
        images: the folder that `file_name` is relative to; looked for where None.
        names: of videos.

    Raises:
        InputError: not a CocoVID json, an unknown name, or the images are not found.
    """
    document = _load(path, path.stat().st_mtime_ns if path.is_file() else 0)
    there = sorted(document.names.values())
    for name in names or ():
        if name not in there:
            raise unknown_name("video", name, there)
    ids = [video_id for video_id, name in document.names.items() if not names or name in names]
    root = images or _find_images(path, document)
    return VideoSet(tuple(_video(document, video_id, root) for video_id in ids), document.categories)


@dataclass(frozen=True)
class _Document:
    """A json, taken apart once: by video and by image."""

    path: Path
    names: Mapping[int, str]
    categories: Mapping[int, str]
    images: Mapping[int, list[dict[str, Any]]]  # of each video, in order
    truth: Mapping[int, list[dict[str, Any]]]  # of each image


@functools.lru_cache(maxsize=1)
def _load(path: Path, changed: int) -> _Document:
    """`changed` keeps a file that was written anew from being taken for the old one."""
    document = read_json(path, f"CocoVID {str(path)!r}")
    missing = [key for key in _WHOLE if not isinstance(document, dict) or not isinstance(document.get(key), list)]
    if missing:
        raise InputError(f"{str(path)!r}: expected a CocoVID json with {', '.join(_WHOLE)}; missing {missing}")
    try:
        names = {video["id"]: str(video["name"]) for video in sorted(document["videos"], key=lambda one: one["id"])}
        images: dict[int, list[dict[str, Any]]] = {video_id: [] for video_id in names}
        for image in sorted(document["images"], key=lambda one: one["frame_id"]):
            image["file_name"] = str(image["file_name"])
            images[image["video_id"]].append(image)
        truth: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
        categories = {category["id"]: str(category["name"]) for category in document["categories"]}
        for one in document["annotations"]:
            truth[one["image_id"]].append(_annotation(one, categories))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{str(path)!r}: a CocoVID entry is incomplete or refers to nothing ({error!r})") from None
    for file_name in (image["file_name"] for frames in images.values() for image in frames):
        if _leaves(file_name):
            raise InputError(f"{str(path)!r}: expected file names inside the folder of images, got {file_name!r}")
    for name in names.values():
        if _leaves(name) or not Path(name).name:
            raise InputError(f"{str(path)!r}: results are named after videos, which {name!r} does not allow")
    if len(set(names.values())) < len(names):
        raise InputError(f"{str(path)!r}: expected videos of different names")
    if not names or any(not frames for frames in images.values()):
        raise InputError(f"{str(path)!r}: expected at least one video, and images in each")
    return _Document(path, names, categories, images, truth)


def _leaves(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts


def _annotation(one: Mapping[str, Any], categories: Mapping[int, str]) -> dict[str, Any]:
    if one["category_id"] not in categories:
        raise ValueError(f"category_id {one['category_id']}")
    box = [float(side) for side in one["bbox"]]
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise ValueError(f"bbox {one['bbox']}")
    kept = {key: one[key] for key in ("image_id", "category_id", "instance_id")}
    return {**kept, "bbox": box, "iscrowd": int(one.get("iscrowd", 0))}


def _video(document: _Document, video_id: int, root: Path) -> Video:
    name, images = document.names[video_id], document.images[video_id]
    known = _composed(document.path.parent.parent / "truth" / f"{name}.json")
    frames = []
    for image in images:
        entry = known.get(image["frame_id"], {}) | image
        what = (entry["degradation"] or "") if "degradation" in entry else None
        file = root / image["file_name"]
        frames.append(VideoFrame(image["id"], int(image["frame_id"]), file, what, entry.get("strength")))
    return Video(name, tuple(frames), lambda: [one for image in images for one in document.truth[image["id"]]])


def _composed(path: Path) -> dict[int, dict[str, Any]]:
    """What the truth of a composed sequence says of its frames; nothing where there is no such file."""
    if not is_file(path):
        return {}
    return {
        frame.frame: {"degradation": frame.degradation, "strength": frame.strength}
        for frame in SequenceTruth.load(path).frames
    }


def _find_images(path: Path, document: _Document) -> Path:
    first = next(iter(document.images.values()))[0]["file_name"]
    places = [base / folder for base in path.resolve().parents[:3] for folder in _IMAGE_FOLDERS]
    for place in places:
        if is_file(place / first):
            return place
    raise InputError(f"{str(path)!r}: {first!r} is in none of the usual folders around it; give --images FOLDER")
