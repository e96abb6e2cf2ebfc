"""A run in the formats of other tools. To add one: a file here with `@writes("name")`, and its line below."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from streamvos.errors import InputError
from streamvos.export.formats import coco, cvat, davis, label_studio, mot, table, yolo  # noqa: F401  (they register)
from streamvos.export.formats.pictures import Pictures
from streamvos.export.formats.recorded import RecordedFrame, RecordedRun
from streamvos.export.formats.registry import FORMATS
from streamvos.export.parts import disk_errors

__all__ = ["FORMATS", "RecordedRun", "export_run"]


def export_run(
    run: RecordedRun,
    name: str,
    out: Path,
    *,
    images: bool = False,
    on_frame: Callable[[RecordedFrame], None] = lambda frame: None,
) -> list[str]:
    """Write a run in another format; the folder is there when all of it is.

    Args:
        run: read by `RecordedRun(folder)`.
        name: of the format, see `FORMATS`.
        out: a folder that does not exist, or is empty.
        images: write the video's pictures too, for formats that have a place for them.
        on_frame: called with each frame that is written.

    Returns:
        What lies in the folder, folders with a slash at the end.

    Raises:
        InputError: an unknown format, one that needs masks where the run has none, or a folder with something in it.
        OutputError: it cannot be written.
    """
    chosen = FORMATS.get(name)
    if chosen.needs_masks and not run.has_masks:
        raise InputError(f"format {name} needs masks; run {str(run.folder)!r} has none: run it with the segment stage")
    if images and chosen.pictures is None:
        with_pictures = ", ".join(key for key in FORMATS.names() if FORMATS.get(key).pictures)
        raise InputError(
            f"format {name} has no place for pictures; leave out images=True (those with: {with_pictures})"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"output {str(out)!r} is there already; nothing in it is touched, choose another folder")
    part = out.with_name(f".{out.name}.part")
    with disk_errors(out, "nothing was written"):
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.mkdir()
        except FileExistsError:
            raise InputError(
                f"{str(part)!r} is there: another export is writing there, or one was killed; remove it if none is"
            ) from None
        try:
            _write(run, name, part, images, on_frame)
            if out.is_dir():
                out.rmdir()
            part.rename(out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return sorted(path.name + "/" * path.is_dir() for path in out.iterdir())


def _write(run: RecordedRun, name: str, folder: Path, images: bool, on_frame: Callable[[RecordedFrame], None]) -> None:
    chosen, frames = FORMATS.get(name), run.frames()
    if images:
        frames = Pictures(run, folder / chosen.pictures.format(name=run.name)).along(frames)

    def counted():
        for frame in frames:
            yield frame
            on_frame(frame)

    chosen.write(run, counted(), folder)
