"""What the long memory is told about one frame, and how it reports a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamvos.records import MemoryAction, ObjectState

Tell = Callable[[MemoryAction, str, str], None]  # action, entry, reason


@dataclass(frozen=True)
class Sighting:
    """One object, or one class of objects that are not told apart, in one frame.

    Args:
        object_id: the stable identity, >= 1; None where things of `class_name` are only counted.
        class_name: what it is, "" where unknown.
        state: "tracked" where it is seen now.
        score: in [0, 1].
        box: x1, y1, x2, y2 as fractions of the picture's width and height.
        area: fraction of the picture that it covers.
        colour: name of its colour, None where not looked at in this frame.
        label: the name that the user gave it, None where none in this frame.
        prompted: a user pointed at it in this frame.
        count: how many things; more than 1 only where `object_id` is None.
    """

    object_id: int | None
    class_name: str
    state: ObjectState
    score: float
    box: tuple[float, float, float, float]
    area: float
    colour: str | None = None
    label: str | None = None
    prompted: bool = False
    count: int = 1

    @property
    def key(self) -> int | str:
        """What identifies the thing from frame to frame."""
        return self.object_id if self.object_id is not None else self.class_name


@dataclass(frozen=True)
class Moment:
    """One frame as the long memory takes it.

    Args:
        frame_index: number of the frame.
        t_ms: presentation time in milliseconds.
        size: (H, W) of the picture.
        shot: number of the shot.
        is_cut: the first frame of a shot other than the first.
        sightings: what was seen; None where nothing looked for objects in this frame.
        removed: ids that the user took out at this frame.
        names: names that the user gave objects at this frame, seen in it or not.
        picture: gives the thumbnail as JPEG bytes; called only where one is needed.
        camera: whether the pose of the camera is known, None where nobody estimates it.
    """

    frame_index: int
    t_ms: int
    size: tuple[int, int]
    shot: int
    is_cut: bool
    sightings: tuple[Sighting, ...] | None
    picture: Callable[[], bytes]
    removed: tuple[int, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    camera: str | None = None
