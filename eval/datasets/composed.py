"""What is exactly true of a composed sequence: `truth/<sequence>.json`, from which logs and questions are made.

A frame lists the objects that are in the picture or hidden in it (`full_px` > 0); one that is absent is not listed. An
object with `visible_px` 0 is there, hidden behind something. All areas count what the frame shows: a frozen frame
repeats the truth of the picture that it repeats. Frame numbers have no gaps; times have, where frames were dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from streamvos.errors import InputError
from streamvos.export.parts import replacing
from streamvos.foreign_files import read_json
from streamvos.video.rates import parse_rate


@dataclass(frozen=True)
class ObjectInfo:
    """One object of a sequence.

    Args:
        id: >= 1, the value of its pixels in the masks, stable over the sequence.
        class_name: COCO name where there is one ("class" in the file).
        colour: name of its dominant colour, of `memory_bank.episodes.colours.NAMES`.
        twin_of: id of the object that it is made to be confused with, or None.
    """

    id: int
    class_name: str
    colour: str
    twin_of: int | None = None


@dataclass(frozen=True)
class ObjectSeen:
    """One object in one frame.

    Args:
        id: of the object.
        visible_px: pixels that show it. full_px: pixels inside the picture that it would have if nothing hid it.
        box_xyxy: tight box of the visible pixels, right and bottom exclusive; None where nothing is visible.
    """

    id: int
    visible_px: int
    full_px: int
    box_xyxy: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class FrameTruth:
    """One frame.

    Args:
        frame: number from 0, without gaps. time_s: presentation time.
        degradation: name of what was done to the picture, or None. strength: 1 to 3, 0 where nothing was done.
        objects: those in the picture, in ascending order of id.
    """

    frame: int
    time_s: float
    degradation: str | None
    strength: int
    objects: tuple[ObjectSeen, ...]


@dataclass(frozen=True)
class SequenceTruth:
    """A whole sequence.

    Args:
        sequence: its name. fps: ticks of the camera each second; dropped frames leave ticks out.
        num_frames: frames on disk. size: (W, H) pixels. seed, preset: what made it.
        objects: in ascending order of id, also those that no frame shows. frames: `num_frames` of them, in order.
    """

    sequence: str
    fps: Fraction
    num_frames: int
    size: tuple[int, int]
    seed: int
    preset: str
    objects: tuple[ObjectInfo, ...]
    frames: tuple[FrameTruth, ...]

    def __post_init__(self) -> None:
        if self.num_frames != len(self.frames):
            raise InputError(f"truth of {self.sequence!r}: expected {self.num_frames} frames, got {len(self.frames)}")
        if [frame.frame for frame in self.frames] != list(range(self.num_frames)):
            raise InputError(f"truth of {self.sequence!r}: expected frames numbered from 0 without gaps")
        unknown = {seen.id for frame in self.frames for seen in frame.objects} - {thing.id for thing in self.objects}
        if unknown:
            raise InputError(f"truth of {self.sequence!r}: frames show objects {sorted(unknown)} that are not listed")

    def save(self, path: Path) -> None:
        """Write the file, one line for each frame."""
        header = {
            "sequence": self.sequence,
            "fps": str(self.fps),
            "num_frames": self.num_frames,
            "size": list(self.size),
            "seed": self.seed,
            "preset": self.preset,
            "objects": [
                {"id": thing.id, "class": thing.class_name, "colour": thing.colour, "twin_of": thing.twin_of}
                for thing in self.objects
            ],
        }
        lines = ",\n".join(json.dumps(_frame_to_dict(frame), separators=(",", ":")) for frame in self.frames)
        text = json.dumps(header, indent=1, ensure_ascii=False)[:-2] + f',\n "frames": [\n{lines}\n ]\n}}\n'
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> SequenceTruth:
        """Read the file.

        Raises:
            InputError: there is none, or it is not such a file.
        """
        values = read_json(path, f"truth {str(path)!r}")
        try:
            return _from_dict(values)
        except InputError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise InputError(f"truth {str(path)!r} is not of a composed sequence ({error!r})") from None


def _from_dict(values: Mapping[str, Any]) -> SequenceTruth:
    things = (ObjectInfo(thing["id"], thing["class"], thing["colour"], thing["twin_of"]) for thing in values["objects"])
    width, height = values["size"]
    return SequenceTruth(
        sequence=values["sequence"],
        fps=parse_rate(str(values["fps"])),
        num_frames=values["num_frames"],
        size=(width, height),
        seed=values["seed"],
        preset=values["preset"],
        objects=tuple(things),
        frames=tuple(_frame_from_dict(frame) for frame in values["frames"]),
    )


def _frame_to_dict(frame: FrameTruth) -> dict[str, Any]:
    objects = [
        {"id": seen.id, "visible_px": seen.visible_px, "full_px": seen.full_px, "box_xyxy": seen.box_xyxy}
        for seen in frame.objects
    ]
    return {
        "frame": frame.frame,
        "time_s": frame.time_s,
        "degradation": frame.degradation,
        "strength": frame.strength,
        "objects": objects,
    }


def _frame_from_dict(values: Mapping[str, Any]) -> FrameTruth:
    seen = tuple(
        ObjectSeen(
            each["id"],
            each["visible_px"],
            each["full_px"],
            None if each["box_xyxy"] is None else tuple(each["box_xyxy"]),
        )
        for each in values["objects"]
    )
    return FrameTruth(values["frame"], values["time_s"], values["degradation"], values["strength"], seen)
