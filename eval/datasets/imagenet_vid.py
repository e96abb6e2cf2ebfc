"""ImageNet VID as it lies on disk, and its 30 classes in the words of COCO.

Layout: `Data/VID/val/<video>/000000.JPEG`, `Annotations/VID/val/<video>/000000.xml` below the root or its folder
`ILSVRC` or `ILSVRC2015`. Boxes reach from xmin to xmax as they are written there, without the pixel that some scripts
add; so do the CocoVID files that mmtracking makes of them.
"""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.datasets.cocovid import Video, VideoFrame, VideoSet, read_cocovid
from streamvos.errors import InputError, unknown_name
from streamvos.models import coco
from streamvos.video.names import files_in, folders_in

# WordNet id: (name, the COCO class that is the same thing, or None)
CLASSES: dict[str, tuple[str, str | None]] = {
    "n02691156": ("airplane", "airplane"),
    "n02419796": ("antelope", None),
    "n02131653": ("bear", "bear"),
    "n02834778": ("bicycle", "bicycle"),
    "n01503061": ("bird", "bird"),
    "n02924116": ("bus", "bus"),
    "n02958343": ("car", "car"),
    "n02402425": ("cattle", "cow"),
    "n02084071": ("dog", "dog"),
    "n02121808": ("domestic_cat", "cat"),
    "n02503517": ("elephant", "elephant"),
    "n02118333": ("fox", None),
    "n02510455": ("giant_panda", None),
    "n02342885": ("hamster", None),
    "n02374451": ("horse", "horse"),
    "n02129165": ("lion", None),
    "n01674464": ("lizard", None),
    "n02484322": ("monkey", None),
    "n03790512": ("motorcycle", "motorcycle"),
    "n02324045": ("rabbit", None),
    "n02509815": ("red_panda", None),
    "n02411705": ("sheep", "sheep"),
    "n01726692": ("snake", None),
    "n02355227": ("squirrel", None),
    "n02129604": ("tiger", None),
    "n04468005": ("train", "train"),
    "n01662784": ("turtle", None),
    "n04530566": ("watercraft", "boat"),
    "n02062744": ("whale", None),
    "n02391049": ("zebra", "zebra"),
}
_CATEGORY_OF = {wordnet: number for number, wordnet in enumerate(CLASSES, start=1)}
_COUNTERPART = {name: counterpart for name, counterpart in CLASSES.values()}
_COCOVID = ("annotations/cocovid.json", "annotations/imagenet_vid_val.json", "cocovid.json")
_ILSVRC = ("", "ILSVRC", "ILSVRC2015")
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_videos(root: Path, images: Path | None = None, names: Sequence[str] | None = None) -> VideoSet:
    """The videos of a CocoVID json, of a folder with one, or of ImageNet VID in its own layout.

    Args:
        root: the json or the folder.
        images: the folder of a CocoVID's pictures; looked for where None.
        names: of videos; all where None.

    Raises:
        InputError: none of these is there, or an unknown name.
    """
    if root.is_file():
        return read_cocovid(root, images, names)
    for place in _COCOVID:
        if (root / place).is_file():
            return read_cocovid(root / place, images, names)
    for place in _ILSVRC:
        if (root / place / "Data/VID/val").is_dir():
            return _read_ilsvrc(root / place, names)
    raise InputError(
        f"{str(root)!r}: expected a CocoVID json, a folder with {_COCOVID[0]}, or ImageNet VID with "
        "Data/VID/val and Annotations/VID/val"
    )


def counterparts(categories: Mapping[int, str]) -> dict[str, int]:
    """The category of each COCO class that the data knows, by the class's name; ImageNet's own names are understood."""
    found: dict[str, int] = {}
    for category_id, name in categories.items():
        counterpart = _COUNTERPART.get(name, name if name in coco.ID_OF else None)
        if counterpart is not None:
            found.setdefault(counterpart, category_id)
    return found


def _read_ilsvrc(root: Path, names: Sequence[str] | None) -> VideoSet:
    pictures = _pictures(root / "Data/VID/val")
    for name in names or ():
        if name not in pictures:
            raise unknown_name("video", name, pictures)
    videos, image_id = [], 1
    for name, files in pictures.items():  # the others are counted, too: an image has the same id in every selection
        if not names or name in names:
            videos.append(_ilsvrc_video(root / "Annotations/VID/val" / name, files, image_id))
        image_id += len(files)
    return VideoSet(tuple(videos), {_CATEGORY_OF[wordnet]: name for wordnet, (name, _) in CLASSES.items()})


@functools.lru_cache(maxsize=1)
def _pictures(folder: Path) -> dict[str, tuple[Path, ...]]:
    pictures = {place.name: tuple(files_in(place, "*.JPEG")) for place in folders_in(folder)}
    empty = [name for name, files in pictures.items() if not files]
    if not pictures or empty:
        raise InputError(f"{str(folder)!r}: expected folders of .JPEG files, got {empty[0] if empty else 'none'}")
    return pictures


def _ilsvrc_video(annotations: Path, files: Sequence[Path], first_id: int) -> Video:
    frames = [VideoFrame(image_id, _number(file), file) for image_id, file in enumerate(files, start=first_id)]

    def truth() -> list[dict[str, Any]]:
        return [box for one in frames for box in _boxes(annotations / f"{one.file.stem}.xml", one.image_id)]

    return Video(annotations.name, tuple(frames), truth)


def _number(file: Path) -> int:
    if not file.stem.isdecimal():
        raise InputError(f"{str(file)!r}: expected a frame's number as name, such as 000000.JPEG; remove or rename it")
    return int(file.stem)


def _boxes(path: Path, image_id: int) -> list[dict[str, Any]]:
    try:
        page = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:  # the last two: of its encoding
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{str(path)!r}: expected the annotation of a frame ({why})") from None
    return [_box(path, thing, image_id) for thing in page.iter("object")]


def _box(path: Path, thing: ElementTree.Element, image_id: int) -> dict[str, Any]:
    try:
        left, top, right, bottom = (
            float(thing.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        category_id = _CATEGORY_OF[thing.findtext("name")]
        instance_id = int(thing.findtext("trackid"))
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"{str(path)!r}: an object without a known name, a box or a trackid ({error!r})") from None
    box = [left, top, right - left, bottom - top]
    return {
        "image_id": image_id,
        "category_id": category_id,
        "instance_id": instance_id,
        "bbox": box,
        "iscrowd": 0,
    }
