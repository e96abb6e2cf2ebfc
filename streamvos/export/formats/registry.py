"""The formats that a run can be exported to: one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from streamvos.export.formats.recorded import RecordedFrame, RecordedRun
from streamvos.registry import Registry

Write = Callable[[RecordedRun, Iterable[RecordedFrame], Path], None]


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        write: puts a run's frames into a folder that exists and is empty.
        pictures: folder for the video's pictures, in which "{name}" is the video's name; None where there is no place.
        needs_masks: True where boxes alone cannot be written.
    """

    write: Write
    pictures: str | None = None
    needs_masks: bool = False


FORMATS: Registry[Format] = Registry("format")


def writes(name: str, pictures: str | None = None, needs_masks: bool = False) -> Callable[[Write], Write]:
    """Decorate the function that writes a format."""

    def register(write: Write) -> Write:
        FORMATS.register(name)(Format(write, pictures, needs_masks))
        return write

    return register


def picture_name(index: int) -> str:
    """File name of a frame's picture."""
    return f"{index:05d}.jpg"
